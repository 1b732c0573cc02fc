"""Whether anybody asks who sent a message. Apart from authenticate.py, so that scanners need not load what asks DNS."""

from engine.config import Settings


def is_wanted(settings: Settings) -> bool:
    """Whether any setting needs SPF, DKIM, ARC or DMARC (WL-05 too), and so the claims of the message."""
    blocking = settings.blocking
    white_list = blocking.white_list
    return settings.authentication.enabled or blocking.dmarc.enabled or (white_list.enabled and white_list.confirmed)
