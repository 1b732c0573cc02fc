"""Every word that an SMTP client gets from us: internal status -> reply code, enhanced status code, public text.

Public text names no file, rule, host or exception (RFC 5321 s4.2, RFC 3463). `%s` in a text is filled by the
session with something that the client may know: our own name, an SMTP ID, a count. A reply with a reason is a
refusal in the sense of section 28 of the requirements: the edge writes one `rejected` event for it.
"""

from enum import Enum, StrEnum
from typing import NamedTuple

from engine.limits import COMMAND_LINE_LEN


class Reason(StrEnum):
    """Why something was rejected (REJ-01..08); the reason of `rejected` events."""

    REJECTING = "reject-incoming"  # REJ-01
    CHARACTERS = "address-characters"  # REJ-02
    RELAY = "anti-relay"  # REJ-03
    SIZE = "size"  # REJ-04
    LINE_ENDS = "line-terminators"  # REJ-05
    NUL = "nul-characters"  # REJ-06
    BLOCK_LIST = "block-list"  # REJ-07
    RECIPIENTS = "recipients"  # REJ-08 and so are the rest
    HOPS = "hops"
    CONTENT = "content"
    NEXT_HOP = "next-hop"
    CONNECTIONS = "connections"
    PROTOCOL = "protocol-errors"


def _line(code: int, enhanced: str, text: str) -> bytes:
    return f"{code} {enhanced} {text}".replace("  ", " ").encode() + b"\r\n"


class Reply(Enum):
    """The table. wire: the whole line as sent, for texts without a blank to fill."""

    code: int
    enhanced: str
    text: str
    reason: Reason | None
    wire: bytes

    def __new__(cls, code: int, enhanced: str, text: str, reason: Reason | None = None) -> "Reply":
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)  # equal words for two statuses must not make them one member
        member.code = code
        member.enhanced = enhanced
        member.text = text
        member.reason = reason
        member.wire = _line(code, enhanced, text)
        return member

    def line(self, blank: str) -> bytes:
        """The line as sent, with the blank filled. blank: printable, without CR and LF."""
        return self.wire.replace(b"%s", blank.encode(), 1)

    @property
    def transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    # --- good ------------------------------------------------------------------------------------
    GREETING = (220, "", "%s ESMTP")
    HELO = (250, "", "%s")
    OK = (250, "2.0.0", "ok")
    SENDER_OK = (250, "2.1.0", "sender ok")
    RECIPIENT_OK = (250, "2.1.5", "recipient ok")
    GO_AHEAD = (354, "", "end data with <CR><LF>.<CR><LF>")
    CHUNK_OK = (250, "2.0.0", "%s octets received")
    QUEUED = (250, "2.0.0", "ok, queued as %s")
    DELIVERED = (250, "2.0.0", "ok, delivered as %s")
    HELP = (214, "2.0.0", "commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS QUIT")
    CANNOT_VERIFY = (252, "2.5.2", "cannot verify, but will take mail for it if it may come this way")
    AUTHENTICATED = (235, "2.7.0", "welcome")
    CHALLENGE = (334, "", "%s")
    TLS_READY = (220, "2.0.0", "ready to start TLS")
    BYE = (221, "2.0.0", "closing the connection")

    # --- our fault, or not now -------------------------------------------------------------------
    REJECTING = (421, "4.3.2", "not accepting mail now, try again later", Reason.REJECTING)
    SHUTTING_DOWN = (421, "4.3.2", "service is shutting down, try again later")
    TOO_MANY_CONNECTIONS = (421, "4.7.0", "too many connections, try again later", Reason.CONNECTIONS)
    TOO_MANY_OF_CLIENT = (421, "4.7.0", "too many connections from your host, try again later", Reason.CONNECTIONS)
    TOO_OFTEN = (421, "4.7.0", "your host connects too often, try again later", Reason.CONNECTIONS)
    TOO_MANY_ERRORS = (421, "4.7.0", "too many protocol errors, mend the client before it tries again", Reason.PROTOCOL)
    FRUITLESS = (421, "4.7.0", "too many commands without a message, try again later", Reason.PROTOCOL)
    TIMEOUT = (421, "4.4.2", "timed out waiting for the client, connect again to go on")
    TOO_SLOW = (421, "4.4.2", "too slow while others wait, try again later", Reason.CONNECTIONS)
    ENOUGH_MESSAGES = (421, "4.7.0", "enough messages for one connection, open another")
    TOO_MANY_FAILURES = (421, "4.7.0", "too many failed attempts to log on, check name and password")
    TRY_AGAIN = (451, "4.3.0", "cannot do this now, try again later")
    QUEUE_FULL = (452, "4.3.1", "cannot store mail now, try again later")
    TOO_MANY_RECIPIENTS = (
        452,
        "4.5.3",
        "too many recipients, send to those left in another message",
        Reason.RECIPIENTS,
    )
    AUTH_LATER = (454, "4.7.0", "cannot check that now, try again later")
    TLS_NOT_AVAILABLE = (454, "4.7.0", "TLS is not available now, try again later")

    # --- the client broke the protocol -----------------------------------------------------------
    UNKNOWN_COMMAND = (500, "5.5.1", "command not recognized, see HELP")
    LINE_TOO_LONG = (500, "5.5.6", f"line too long, a command has {COMMAND_LINE_LEN} octets at most")
    BAD_LINE_END = (500, "5.5.2", "lines end with <CR><LF>, and neither stands alone")
    BAD_OCTETS = (500, "5.5.2", "command contains octets that it may not, give it in ASCII")
    SYNTAX = (501, "5.5.4", "syntax error in arguments, see RFC 5321")
    BAD_HELO = (501, "5.5.4", "give a domain name or an address literal, as in EHLO mail.example.com")
    BAD_REVERSE_PATH = (501, "5.1.7", "malformed reverse-path, give MAIL FROM:<user@example.com>")
    BAD_FORWARD_PATH = (501, "5.1.3", "malformed forward-path, give RCPT TO:<user@example.com>")
    BAD_PARAMETER = (501, "5.5.4", "bad value of a parameter, see the RFC of its extension")
    UNSUPPORTED = (502, "5.5.1", "command not supported, see HELP")
    BAD_SEQUENCE = (503, "5.5.1", "bad sequence of commands, finish the message or send RSET first")
    NESTED_MAIL = (503, "5.5.1", "a message is under way, finish it or send RSET first")
    LOGGED_ON = (503, "5.5.1", "already logged on, connect again to do so as another")
    SAY_HELLO = (503, "5.5.1", "send EHLO first")
    NEED_MAIL = (503, "5.5.1", "send MAIL first")
    NEED_RCPT = (503, "5.5.1", "send RCPT first")
    ALREADY_TLS = (503, "5.5.1", "TLS is active already")
    UNKNOWN_PARAMETER = (555, "5.5.4", "parameter not recognized, use only what EHLO offers")
    NOT_SYNCHRONIZED = (554, "5.5.0", "sent before it was asked for, wait for the reply before")
    NOT_SMTP = (554, "5.5.1", "this is an SMTP server, begin with EHLO")
    BAD_RESPONSE = (501, "5.5.2", "cannot decode the response, give it in base64")
    AUTH_CANCELLED = (501, "5.7.0", "authentication cancelled")
    UNKNOWN_MECHANISM = (504, "5.5.4", "authentication mechanism not supported, use PLAIN or LOGIN")
    AUTH_NEEDED = (530, "5.7.0", "log on first: STARTTLS, then AUTH")
    ENCRYPTION_NEEDED = (538, "5.7.11", "log on only over TLS: send STARTTLS first")
    BAD_CHUNK_SIZE = (501, "5.5.4", "bad chunk size, give BDAT a number of octets")

    # --- refused ---------------------------------------------------------------------------------
    NO_VALID_RECIPIENTS = (554, "5.5.1", "no valid recipients, see the replies to RCPT")
    NEEDS_SMTPUTF8_SENDER = (550, "5.6.7", "sender address needs SMTPUTF8, give it with MAIL")
    NEEDS_SMTPUTF8_RECIPIENT = (553, "5.6.7", "recipient address needs SMTPUTF8, give it with MAIL")
    BAD_SENDER_CHARACTERS = (
        553,
        "5.1.7",
        "sender address contains a character that is not accepted, send from another",
        Reason.CHARACTERS,
    )
    BAD_RECIPIENT_CHARACTERS = (
        553,
        "5.1.3",
        "recipient address contains a character that is not accepted, check the address",
        Reason.CHARACTERS,
    )
    RELAY_DENIED = (550, "5.7.1", "relaying denied, check the domain of the recipient and its MX records", Reason.RELAY)
    TOO_BIG = (552, "5.3.4", "message is larger than accepted here, see SIZE in the reply to EHLO", Reason.SIZE)
    BAD_LINE_ENDS = (
        550,
        "5.6.0",
        "message contains line terminators that are not <CR><LF>, mend the sending program",
        Reason.LINE_ENDS,
    )
    NUL_CHARACTERS = (550, "5.6.0", "message contains NUL characters, encode it as base64", Reason.NUL)
    TOO_MANY_HOPS = (
        554,
        "5.4.6",
        "too many Received fields, the message is in a loop, check how its recipient is routed",
        Reason.HOPS,
    )
    INFECTED = (
        550,
        "5.7.1",
        "refused: the message contains a virus; if it does not, ask our postmaster about reference %s",
        Reason.CONTENT,
    )
    AGAINST_RULES = (
        550,
        "5.7.1",
        "refused: such mail is not accepted here; our postmaster knows why by reference %s",
        Reason.CONTENT,
    )
    NEXT_HOP_REFUSES = (550, "5.0.0", "refused by the next hop; reference %s", Reason.NEXT_HOP)
    BAD_CREDENTIALS = (535, "5.7.8", "user name or password is wrong")
    BLOCK_LISTED = (554, "5.7.1", "client is on the block list %s, which says how to get off it", Reason.BLOCK_LIST)


class Ending(NamedTuple):
    """What a client is told at the end of a message that it waited for. wire: the whole line, perhaps with the words of
    a next hop."""

    reply: Reply
    wire: bytes

    @property
    def text(self) -> str:
        return self.wire.decode("ascii").rstrip()


def ehlo_lines(hostname: str, keywords: list[str]) -> bytes:
    """The reply to EHLO (RFC 5321 s4.1.1.1): our name, then a line for each extension."""
    lines = [hostname, *keywords]
    return b"".join(f"250{'-' if line is not lines[-1] else ' '}{line}\r\n".encode() for line in lines)
