"""Whether anybody asks who sent a message. Apart from authenticate.py, so that scanners need not load what asks DNS."""

from operator import attrgetter
from typing import Final

from engine.config import Kind, Settings

_SENDERS: Final = attrgetter(*(f"{kind}.sender.enabled" for kind in Kind))  # asked for every message: in one call


def is_wanted(settings: Settings) -> bool:
    """Whether any setting needs SPF, DKIM, ARC or DMARC, and so the claims of the message.

    A white list that has to be confirmed does (WL-05), and notifications to senders, which forged ones must not get
    (NTF-15).
    """
    blocking = settings.blocking
    white_list = blocking.white_list
    return (
        settings.authentication.enabled
        or blocking.dmarc.enabled
        or (white_list.enabled and white_list.confirmed)
        or any(_SENDERS(settings.notifications))
    )
