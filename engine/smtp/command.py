"""Command lines taken apart: RFC 5321 s4.1.1 and the parameters of the extensions that we offer.

    mail-parameters: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461),
                     AUTH (RFC 4954), REQUIRETLS (RFC 8689)
    rcpt-parameters: NOTIFY and ORCPT (RFC 3461)
    esmtp-param    = esmtp-keyword ["=" esmtp-value]

Deviations: spaces between `FROM:` and the path are taken, as all servers do, and any number between parameters.
"""

import re
from dataclasses import dataclass

from engine.limits import HARD_MESSAGE_LEN
from engine.queue.record import Recipient
from engine.replies import Reply
from engine.smtp.address import BadAddress, check_mailbox, split_path

ENVID_LEN = 100  # RFC 3461 s4.4
AUTH_LEN = 500  # RFC 4954 s5
ORCPT_LEN = 500  # RFC 3461 s4.2
SIZE_DIGITS = 20  # RFC 1870 s4
_BDAT_DIGITS = 10  # enough for HARD_MESSAGE_LEN

# RFC 3461 s4, narrowed to hexchars that stand for printable ASCII, as s4.4 and s5 demand of what they encode
_xtext = re.compile(r"(?:[!-*,-<>-~]|\+(?:[2-6][0-9A-F]|7[0-9A-E]))+").fullmatch
_utf8_address = re.compile(r"[!-<>-~\u0080-\U0010ffff]+").fullmatch  # RFC 6533 s3, its escapes are not decoded here
_keyword = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*").fullmatch
_helo = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}").fullmatch

_NOTIFY = frozenset(("SUCCESS", "FAILURE", "DELAY"))


class Refused(Exception):
    """The command cannot be taken.

    reply: what to say. violation: whether it counts as one (SMTP-14). closes: the session ends, since nobody can tell
    what the octets that follow are.
    """

    def __init__(self, reply: Reply, *, violation: bool = True, closes: bool = False) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.violation = violation
        self.closes = closes


@dataclass(slots=True)
class Mail:
    """A MAIL command. size: as declared, 0 if it was not. body: as declared or empty."""

    reverse_path: str
    size: int = 0
    body: str = ""
    smtputf8: bool = False
    require_tls: bool = False
    ret: str = ""
    envid: str = ""
    auth: str = ""  # RFC 4954 s5: as declared; nothing is made of it


def is_text(text: str) -> bool:
    """Whether a command line holds nothing that could act in a log, a header field or a terminal.

    Joiners are not printable by Unicode, but belong to words of some scripts.
    """
    return text.isprintable() or text.replace("\u200c", "").replace("\u200d", "").isprintable()


def parse_helo(argument: str) -> str:
    """The client's name: wider than RFC 5321 s4.1.1.1, which many honest hosts break, but safe in a Received field.

    Raises Refused.
    """
    if not _helo(argument):
        raise Refused(Reply.BAD_HELO)
    return argument


def parse_mail(argument: str, extended: bool, takes_auth: bool = False, secure: bool = False) -> Mail:
    """Argument of MAIL, from `FROM:` on. extended: after EHLO, parameters may follow. takes_auth: AUTH among them.
    secure: REQUIRETLS, too, which is offered within TLS only.

    Raises Refused.
    """
    if argument[:5].upper() != "FROM:":
        raise Refused(Reply.SYNTAX)
    try:
        mailbox, rest = split_path(argument[5:].lstrip(" "))
        if mailbox:
            check_mailbox(mailbox)
    except BadAddress:
        raise Refused(Reply.BAD_REVERSE_PATH) from None
    mail = Mail(mailbox)
    if rest:
        for keyword, value in _parameters(rest, extended):
            if keyword == "AUTH" and takes_auth:
                if not value or len(value) > AUTH_LEN or not _xtext(value):
                    raise Refused(Reply.BAD_PARAMETER)
                mail.auth = value
            elif keyword == "REQUIRETLS" and secure:
                if value is not None:
                    raise Refused(Reply.BAD_PARAMETER)
                mail.require_tls = True
            else:
                _set_mail_parameter(mail, keyword, value)
    if not mail.smtputf8 and not argument.isascii():
        raise Refused(Reply.NEEDS_SMTPUTF8_SENDER)
    return mail


def _set_mail_parameter(mail: Mail, keyword: str, value: str | None) -> None:
    if keyword == "SIZE":
        mail.size = _size(value)
    elif keyword == "BODY":
        mail.body = _one_of(value, ("7BIT", "8BITMIME"))
    elif keyword == "SMTPUTF8":
        if value is not None:
            raise Refused(Reply.BAD_PARAMETER)
        mail.smtputf8 = True
    elif keyword == "RET":
        mail.ret = _one_of(value, ("FULL", "HDRS"))
    elif keyword == "ENVID":
        if not value or len(value) > ENVID_LEN or not _xtext(value):
            raise Refused(Reply.BAD_PARAMETER)
        mail.envid = value
    else:
        raise Refused(Reply.UNKNOWN_PARAMETER)


def parse_rcpt(argument: str, extended: bool, smtputf8: bool, hostname: str) -> Recipient:
    """Argument of RCPT, from `TO:` on. smtputf8: MAIL said so. Raises Refused.

    `<Postmaster>` without a domain is ours to take (RFC 5321 s4.5.1): it becomes the one at hostname.
    """
    if argument[:3].upper() != "TO:":
        raise Refused(Reply.SYNTAX)
    try:
        mailbox, rest = split_path(argument[3:].lstrip(" "))
        if mailbox.lower() == "postmaster":
            mailbox = f"{mailbox}@{hostname}"
        check_mailbox(mailbox)
    except BadAddress:
        raise Refused(Reply.BAD_FORWARD_PATH) from None
    notify = orcpt = ""
    if rest:
        for keyword, value in _parameters(rest, extended):
            if keyword == "NOTIFY":
                notify = _notify(value)
            elif keyword == "ORCPT":
                orcpt = _orcpt(value, smtputf8)
            else:
                raise Refused(Reply.UNKNOWN_PARAMETER)
    if not smtputf8 and not argument.isascii():
        raise Refused(Reply.NEEDS_SMTPUTF8_RECIPIENT)
    return Recipient(mailbox, notify, orcpt)


def parse_bdat(argument: str) -> tuple[int, bool]:
    """Argument of BDAT (RFC 3030 s2): octets of the chunk, whether it is the last. Raises Refused.

    Refused closes the session: where such a chunk ends, nobody knows or would want to wait for.
    """
    number, _, last = argument.partition(" ")
    if not (number.isascii() and number.isdigit()) or last.upper() not in ("", "LAST"):
        raise Refused(Reply.BAD_CHUNK_SIZE, closes=True)
    if len(number.lstrip("0")) > _BDAT_DIGITS or int(number) > HARD_MESSAGE_LEN:
        raise Refused(Reply.TOO_BIG, violation=False, closes=True)
    return int(number), bool(last)


def _parameters(rest: str, extended: bool) -> list[tuple[str, str | None]]:
    """Keyword in capitals and value (None: no `=`) of each parameter behind a path."""
    if not rest.startswith(" "):
        raise Refused(Reply.SYNTAX)
    if not extended:
        raise Refused(Reply.UNKNOWN_PARAMETER)  # RFC 5321 s4.1.1.11: there are none without EHLO
    found: list[tuple[str, str | None]] = []
    for word in rest.split():
        keyword, equals, value = word.partition("=")
        if not _keyword(keyword) or "=" in value:
            raise Refused(Reply.SYNTAX)
        found.append((keyword.upper(), value if equals else None))
    if len(found) > 1 and len({keyword for keyword, _ in found}) < len(found):
        raise Refused(Reply.BAD_PARAMETER)
    return found


def _one_of(value: str | None, choices: tuple[str, ...]) -> str:
    choice = (value or "").upper()
    if choice not in choices:
        raise Refused(Reply.BAD_PARAMETER)
    return choice


def _size(value: str | None) -> int:
    if not value or not (value.isascii() and value.isdigit()) or len(value) > SIZE_DIGITS:
        raise Refused(Reply.BAD_PARAMETER)
    return int(value)


def _notify(value: str | None) -> str:
    words = (value or "").upper().split(",")
    if words != ["NEVER"] and not (_NOTIFY.issuperset(words) and len(set(words)) == len(words)):
        raise Refused(Reply.BAD_PARAMETER)
    return ",".join(words)


def _orcpt(value: str | None, smtputf8: bool) -> str:
    """RFC 3461 s4.2: addr-type `;` xtext; the type utf-8 takes raw UTF-8 where SMTPUTF8 is in force (RFC 6533)."""
    kind, _, address = (value or "").partition(";")
    raw = smtputf8 and kind.lower() == "utf-8"
    fits = _utf8_address if raw else _xtext
    if not value or len(value) > ORCPT_LEN or not _keyword(kind) or not fits(address):
        raise Refused(Reply.BAD_PARAMETER)
    return value
