"""Who has to be told about a message (NTF-00..17): pure. control/post/postman.py writes the mail.

A sender is only told if that can hit nobody else: what answers forged senders is itself abuse (NTF-15, GAP-33). What
was refused before its content was read never comes here (NTF-14), and of what was refused after that no sender is told:
the refusal has done so.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from engine.config import Kind, Notifications, Settings
from engine.config.metatags import AUDIENCES, CONTENTINFO, DISPOSITION, MSGINFO, SPAMINFO, VIRUSINFO, allowed_in
from engine.events import NotificationWanted
from engine.policy.evidence import Authentication, Evidence
from engine.policy.metatags import VALUE_LEN, clean
from engine.policy.violation import Criterion, Violation
from engine.queue.record import Disposition

SENDER, ADMINISTRATOR = AUDIENCES
_PIECE_LEN: Final = 200  # characters of one name or address in a list of several
# A criterion that is not here tells nobody: so it is to be with the engine that guesses spam (NTF-12, HEUR-06).
_KIND: Final = {
    Criterion.SENDER: Kind.SPAM,
    Criterion.BLOCK_LIST: Kind.SPAM,
    Criterion.DMARC: Kind.SPAM,
    Criterion.SUBJECT: Kind.CONTENT,
    Criterion.FILE_NAME: Kind.CONTENT,
    Criterion.CONTAINER_LIMIT: Kind.CONTAINER,
    Criterion.ENCRYPTED: Kind.ENCRYPTED,
}
_WHAT: Final = {
    Criterion.SENDER: "sender",
    Criterion.BLOCK_LIST: "block list",
    Criterion.DMARC: "DMARC",
    Criterion.SUBJECT: "subject",
    Criterion.FILE_NAME: "file name",
    Criterion.CONTAINER_LIMIT: "container limit",
    Criterion.ENCRYPTED: "encrypted container",
}
_SENTENCE: Final = {
    Disposition.DROP: "The message was dropped.",
    Disposition.FORWARD: "The message was forwarded to another address instead of its recipients.",
    Disposition.HOLD: "The message was set aside in the hold queue.",
    Disposition.BOUNCE: "The message was returned to its sender.",
    Disposition.REFUSE: "The message was refused while its client waited.",
}


class Infection(msgspec.Struct, frozen=True):
    """One infected file. virus: all that was found in it. handling: repaired, deleted or logged, as in events, or
    refused with its message. done: what its repair took out."""

    virus: str
    part: str
    file: str
    handling: str
    done: Sequence[str] = ()


def wanted(
    smtp_id: str,
    evidence: Evidence,
    violations: Sequence[Violation],
    infections: Sequence[Infection],
    disposition: Disposition,
    settings: Settings,
    own_address: str,
) -> list[NotificationWanted]:
    """The notifications for what was found in one message, after it was decided what becomes of it.

    One of each kind and audience, whatever the number of violations. own_address: that our own mail comes from, lower
    case: never told anything (NTF-15), and nobody is told of mail of our own that came back.
    """
    if (not violations and not infections) or is_own(evidence, own_address):
        return []
    found: dict[Kind, list[Violation]] = {}
    for one in violations:
        if kind := _KIND.get(one.criterion):
            found.setdefault(kind, []).append(one)
    if infections:
        found[Kind.VIRUS] = []
    notices = []
    for kind in Kind:
        audiences = _audiences(kind, evidence, settings.notifications, own_address) if kind in found else []
        if disposition is Disposition.REFUSE:
            audiences = [one for one in audiences if one != SENDER]
        if audiences:
            values = _values(kind, evidence, found[kind], infections, disposition)
            notices += [_notice(smtp_id, evidence, kind, audience, values) for audience in audiences]
    return notices


def _audiences(kind: Kind, evidence: Evidence, notifications: Notifications, own_address: str) -> list[str]:
    notices = notifications.of(kind)
    told = []
    if notices.sender.enabled and may_tell_sender(evidence, own_address):
        told.append(SENDER)
    if notices.administrator.enabled:
        told.append(ADMINISTRATOR)
    return told


def is_own(evidence: Evidence, own_address: str) -> bool:
    """Whether it looks like mail that we wrote and that somebody passed on to us: to write again because of it would
    never end. Who forges that look gets no further by it.
    """
    return not evidence.envelope.reverse_path and own_address in evidence.header.senders


def may_tell_sender(evidence: Evidence, own_address: str) -> bool:
    """NTF-15: not the null reverse-path, programs, lists, ourselves, or who is most likely forged."""
    sender = evidence.envelope.reverse_path
    if not sender or sender.lower() == own_address or evidence.header.automatic:
        return False
    return not _is_forged(sender, evidence.authentication)


def _is_forged(sender: str, results: Authentication) -> bool:
    """SPF says that the client may not send for it, and no DKIM signature of its domain says otherwise."""
    if results.spf not in ("fail", "softfail"):
        return False
    domain = sender.rpartition("@")[2].lower()
    return not any(one.result == "pass" and _is_within(domain, one.domain.lower()) for one in results.dkim)


def _is_within(domain: str, signer: str) -> bool:
    return bool(signer) and (domain == signer or domain.endswith(f".{signer}"))


def _notice(smtp_id: str, evidence: Evidence, kind: Kind, audience: str, values: dict[str, str]) -> NotificationWanted:
    tags = allowed_in(kind, audience)
    return NotificationWanted(
        smtp_id=smtp_id,
        kind=kind,
        audience=audience,
        to=evidence.envelope.reverse_path if audience == SENDER else "",
        values={tag: value for tag, value in values.items() if tag in tags},
    )


def _values(
    kind: Kind,
    evidence: Evidence,
    violations: Sequence[Violation],
    infections: Sequence[Infection],
    disposition: Disposition,
) -> dict[str, str]:
    """What the metatags stand for (META-01..05), each one line."""
    envelope = evidence.envelope
    values = {
        MSGINFO: clean(
            f"From: {clean(envelope.reverse_path, _PIECE_LEN) or '<>'}, To: {_list(envelope.forward_paths)}"
        ),
        DISPOSITION: _sentence(disposition, violations, infections if kind is Kind.VIRUS else ()),
    }
    if kind is Kind.VIRUS:
        values[VIRUSINFO] = _list(map(_infection, infections), "; ")
    elif kind is Kind.SPAM:
        values[SPAMINFO] = _list((_spam(one, evidence) for one in violations), "; ")
    else:
        values[CONTENTINFO] = _list(map(_content, violations), "; ")
    return values


def _sentence(disposition: Disposition, violations: Sequence[Violation], infections: Sequence[Infection]) -> str:
    if disposition is not Disposition.DELIVER:
        return _SENTENCE[disposition]
    handlings = {one.handling for one in infections}
    if any(one.parts and one.action == "delete" for one in violations) or "deleted" in handlings:
        return "What broke the rule was deleted, and the rest of the message went on to its recipients."
    if "repaired" in handlings:
        return "The file was repaired, and the message went on to its recipients."
    return "This was only logged: the message went on to its recipients."


def _infection(one: Infection) -> str:
    file = clean(one.file, _PIECE_LEN) or f"part {clean(one.part, _PIECE_LEN) or 'message'}"
    done = f" ({', '.join(one.done)} taken out)" if one.done else ""
    return f"{file}: {clean(one.virus, _PIECE_LEN)}, {one.handling}{done}"


def _content(one: Violation) -> str:
    """Which entry of the settings matched what of the message."""
    return _matched(_WHAT[one.criterion], one)


def _spam(one: Violation, evidence: Evidence) -> str:
    sender = clean(evidence.envelope.reverse_path, _PIECE_LEN) or "<>"
    return f"From: {sender}; {_matched(_WHAT[one.criterion], one)}"


def _matched(what: str, one: Violation) -> str:
    entry, value = clean(one.entry, _PIECE_LEN), clean(one.value, _PIECE_LEN)
    words = f'{what} "{entry}"' if entry else what
    return f"{words}: {value}" if value else words


def _list(pieces: Iterable[str], separator: str = ", ") -> str:
    """As many of them as fit in one value, and how many more there are."""
    listed = [clean(piece, _PIECE_LEN * 3) for piece in pieces]
    room = VALUE_LEN - 100  # for what stands around it
    shown = 0
    while shown < len(listed) and (room := room - len(listed[shown]) - len(separator)) >= 0:
        shown += 1
    shown = max(shown, min(1, len(listed)))
    left = len(listed) - shown
    return separator.join(listed[:shown]) + (f" and {left} more" if left else "")
