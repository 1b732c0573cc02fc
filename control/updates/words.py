"""What went wrong with a source, in plain words."""

from tuf.api import exceptions
from tuf.api.serialization import DeserializationError


def of(error: Exception) -> str:
    """A sentence that goes on after the name of the source."""
    match error:
        case exceptions.ExpiredMetadataError():
            return (
                f"what it has is out of date ({error}): its publisher or mirror does no longer renew it, or the"
                " clock of this machine is wrong"
            )
        case exceptions.BadVersionNumberError():
            return f"it has something older than was seen before, or files that do not belong together ({error})"
        case exceptions.UnsignedMetadataError():
            return f"what it has is not signed by the trusted keys ({error})"
        case exceptions.LengthOrHashMismatchError():
            return f"a file of it is not the one that was signed ({error})"
        case DeserializationError():
            return "a file of it is not understood: it is damaged, or this is no place of definitions"
        case exceptions.DownloadLengthMismatchError():
            return f"a file of it is longer than it may be ({error})"
        case exceptions.DownloadHTTPError(status_code=404):
            return f"a file is not there ({error}): check the address"
        case _:
            return str(error)
