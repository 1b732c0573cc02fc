"""Which class an SMTP error is of (DIAG-05..08, DIAG-13), told from reply codes and enhanced status codes. Pure."""

from typing import Final

from engine import replies
from engine.config import ErrorClass

_UNSUPPORTED: Final = frozenset((502, 504, 555))  # command, parameter not implemented; parameters not recognized
_PROTOCOL: Final = frozenset((500, 501, 503))  # syntax of command, of its arguments; order
_BROKEN: Final = frozenset((replies.Reason.LINE_ENDS, replies.Reason.NUL))  # in the content of a message


def of_reply(code: int, enhanced: str) -> ErrorClass:
    """Of a reply from 400 on, whoever said it. enhanced: its enhanced status code (RFC 3463), may be empty."""
    if code in _UNSUPPORTED:
        return ErrorClass.UNSUPPORTED
    subject = enhanced.partition(".")[2]
    if code in _PROTOCOL or (subject.startswith("5.") and subject != "5.3"):  # 5.3: too many recipients
        return ErrorClass.PROTOCOL
    return ErrorClass.COMMUNICATION if code == 421 and subject.startswith("4.") else ErrorClass.LOCAL


def of_ours(reply: replies.Reply) -> ErrorClass:
    """Of a reply of the gateway itself."""
    return ErrorClass.PROTOCOL if reply.reason in _BROKEN else of_reply(reply.code, reply.enhanced)


def of_failure(enhanced: str) -> ErrorClass:
    """Of a failure that no next hop said: network, DNS and TLS are communication, nonsense of its is protocol."""
    subject = enhanced.partition(".")[2]
    if subject.startswith("4.") or subject == "7.5":
        return ErrorClass.COMMUNICATION
    return ErrorClass.PROTOCOL if subject.startswith(("5.", "7.")) else ErrorClass.LOCAL
