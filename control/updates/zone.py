"""The zone of the server as a tzinfo, with its rules for summer and winter, however they are configured there."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final


class _Server(tzinfo):
    """What the C library says."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        local = dt.replace(tzinfo=UTC).astimezone()
        plain = local.replace(tzinfo=None)
        return plain.replace(tzinfo=self, fold=int(plain.astimezone().utcoffset() != local.utcoffset()))


SERVER: Final = _Server()


def server_time(seconds: float) -> datetime:
    """Seconds since 1970 as a clock on the server's wall shows them."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(SERVER)
