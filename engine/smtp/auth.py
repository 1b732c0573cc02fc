"""The exchange that an AUTH command begins, without I/O: PLAIN (RFC 4616) and LOGIN, in the frame of RFC 4954.

    exchange = Exchange(argument)                   # of the AUTH command
    while (credentials := exchange.credentials) is None:
        ...                                         # say exchange.challenge, read a line
        exchange.respond(line)

Base64 is taken strictly: what has two readings is none. Whoever is named, credentials say nothing of whether they are
right.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final, NamedTuple

from engine.limits import SUBMITTER_NAME_LEN
from engine.passwords import PASSWORD_MAX_LEN
from engine.replies import Reply
from engine.smtp.command import Refused, is_text

MECHANISMS: Final = ("PLAIN", "LOGIN")
_CANCEL: Final = "*"
_EMPTY: Final = "="  # an initial response that is there and empty (RFC 4954 s4)


class Credentials(NamedTuple):
    """name: printable, not empty, at most SUBMITTER_NAME_LEN octets; password: at most PASSWORD_MAX_LEN octets."""

    name: str
    password: str


class Exchange:
    """One of them. credentials: None until the client has said all.

    Raises Refused, and nothing else, on whatever a client may send; then it is over. Lines are bounded by who reads
    them, and there are two at most.
    """

    def __init__(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        steps = _STEPS.get(mechanism.upper())
        if steps is None:
            raise Refused(Reply.UNKNOWN_MECHANISM if mechanism else Reply.SYNTAX)
        self.credentials: Credentials | None = None
        self._name = ""
        self._steps = list(steps)
        if initial:
            self._take(b"" if initial == _EMPTY else _decoded(initial))

    @property
    def challenge(self) -> bytes:
        """The line that asks for the next response."""
        return Reply.CHALLENGE.line(b64encode(self._steps[0][0]).decode())

    def respond(self, line: bytes) -> None:
        """The answer to a challenge, with its end."""
        if not line.endswith(b"\r\n"):
            raise Refused(Reply.BAD_LINE_END)
        text = line[:-2].decode("latin-1")  # what is not ASCII is not base64 either
        if text == _CANCEL:
            raise Refused(Reply.AUTH_CANCELLED, violation=False)
        self._take(_decoded(text))

    def _take(self, octets: bytes) -> None:
        _, step = self._steps.pop(0)
        step(self, octets)

    def _plain(self, octets: bytes) -> None:
        """RFC 4616 s2: [authzid] NUL authcid NUL passwd."""
        parts = octets.split(b"\0")
        if len(parts) != 3:
            raise Refused(Reply.BAD_RESPONSE)
        acting, name, password = parts
        if acting not in (b"", name):
            raise Refused(Reply.BAD_CREDENTIALS)  # nobody acts for another
        self._name = _name(name)
        self._password(password)

    def _login_name(self, octets: bytes) -> None:
        self._name = _name(octets)

    def _password(self, octets: bytes) -> None:
        if not octets or len(octets) > PASSWORD_MAX_LEN or b"\0" in octets:
            raise Refused(Reply.BAD_RESPONSE)
        self.credentials = Credentials(self._name, _text(octets))


_STEPS: Final[dict[str, tuple[tuple[bytes, Callable[[Exchange, bytes], None]], ...]]] = {
    "PLAIN": ((b"", Exchange._plain),),
    "LOGIN": ((b"Username:", Exchange._login_name), (b"Password:", Exchange._password)),
}


def _decoded(text: str) -> bytes:
    try:
        octets = b64decode(text, validate=True)
    except ValueError:
        raise Refused(Reply.BAD_RESPONSE) from None
    if b64encode(octets) != text.encode():  # padding that is too much, bits that are left over
        raise Refused(Reply.BAD_RESPONSE)
    return octets


def _name(octets: bytes) -> str:
    name = _text(octets)
    if not name or len(octets) > SUBMITTER_NAME_LEN or not is_text(name):
        raise Refused(Reply.BAD_RESPONSE)
    return name


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise Refused(Reply.BAD_RESPONSE) from None
