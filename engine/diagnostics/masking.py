"""Takes the secrets of AUTH exchanges (RFC 4954) out of what is written down (DIAG-12)."""

import re
from typing import Final

MASK: Final = b"****"
_AUTH: Final = re.compile(rb"[^A-Za-z]*AUTH[^ \t\r\n]*(?:[ \t]+([A-Za-z0-9_-]+))?", re.IGNORECASE)
_VERB: Final = re.compile(rb"[A-Za-z]+")
_END: Final = re.compile(rb"\r?\n\Z")
_MECHANISMS: Final = frozenset(
    (
        *(b"PLAIN", b"LOGIN", b"EXTERNAL", b"ANONYMOUS", b"CRAM-MD5", b"DIGEST-MD5", b"NTLM", b"GSSAPI"),
        *(b"XOAUTH2", b"OAUTHBEARER", b"SCRAM-SHA-1", b"SCRAM-SHA-1-PLUS", b"SCRAM-SHA-256", b"SCRAM-SHA-256-PLUS"),
    )
)
_COMMANDS: Final = frozenset(
    (
        *(b"EHLO", b"HELO", b"LHLO", b"MAIL", b"RCPT", b"DATA", b"BDAT", b"RSET", b"NOOP", b"VRFY", b"EXPN", b"HELP"),
        *(b"QUIT", b"STARTTLS", b"XCLIENT", b"XFORWARD", b"TURN", b"ETRN", b"ATRN", b"SEND", b"SOML", b"SAML"),
    )
)


class AuthMask:
    """Of one connection. Of AUTH only the mechanism is left, if it is a known one: a secret may stand in its place.

    A client that has said AUTH goes on with secrets, whatever the answer was: from then on lines are shown only if
    they begin with a command.
    """

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def line(self, line: bytes) -> bytes:
        """The same line of the client, or what may be shown of it. Its end stays."""
        auth = _AUTH.match(line)
        if auth is not None:
            self._begun = True
            mechanism = (auth[1] or b"").upper()
            shown = b"AUTH " + mechanism + b" " + MASK if mechanism in _MECHANISMS else b"AUTH " + MASK
        elif self._begun and not self._is_command(line):
            shown = MASK
        else:
            return line
        end = _END.search(line)
        return shown + end[0] if end else shown

    @staticmethod
    def _is_command(line: bytes) -> bool:
        verb = _VERB.match(line)
        return verb is not None and verb[0].upper() in _COMMANDS
