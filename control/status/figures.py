"""The figures of the Status page (STAT-01..28): one list for the page and for the API, so that they cannot differ.

Every figure comes from the journal (through the store), the settings or the certificate file.
"""

import datetime
import socket
from typing import Final

import msgspec

import engine
from control.context import Context
from control.records.tallies import Totals
from control.records.view import View
from control.web import local_time
from engine import events
from engine.certificate import Source
from engine.config import QuarantinedFiles, Settings
from engine.journal import timestamp
from engine.limits import MIB
from engine.quarantine.wanted import in_force


class Figure(msgspec.Struct, frozen=True):
    """id is stable (STAT-30). value: times are RFC 3339. text is what people read; help says what the label cannot."""

    id: str
    label: str
    value: int | float | str | None
    text: str
    help: str = ""


class Group(msgspec.Struct, frozen=True):
    id: str
    title: str
    figures: list[Figure]
    note: str = ""


# id, label, kind of event, what it counts
_MESSAGES: Final = (
    ("accepted", "Accepted", "accepted", "added to the fast queue"),
    ("rejected", "Rejected", "rejected", "refused during the SMTP session"),
    ("delivered", "Delivered", "delivered", "counted for each recipient, so often above Accepted"),
    ("dropped", "Dropped", "dropped", "removed by policy; the event tells the reason"),
    ("held", "Held", "held", "added to the hold queue since the start"),
    ("forwarded", "Forwarded", "forwarded", "delivered to the address of a rule in place of their recipients"),
)
_INFECTIONS: Final = (
    ("repaired", "Repaired", "file-repaired", "files whose virus was taken out"),
    ("deleted", "Deleted", "file-deleted", "infected files that were removed"),
    ("refused", "Refused", "file-refused", "infected files that were refused with their messages"),
    ("logged", "Logged", "virus-logged", "infected files that were only noted"),
)
_FORWARDED: Final = {
    QuarantinedFiles.NOTHING: "Disabled",
    QuarantinedFiles.UNREPAIRED: "Unrepairable files",
    QuarantinedFiles.ALL: "All files",
}


class Queues(msgspec.Struct, frozen=True):
    """Messages that are in each now, of all relays together (STAT-25..27)."""

    fast: int
    slow: int
    hold: int


def status(context: Context, view: View, totals: dict[str, Totals], queues: Queues | None) -> list[Group]:
    """queues: None if no relay has told them since the start."""
    return [
        Group("messages", "Messages", _messages(totals)),
        _queues(queues),
        Group("infections", "Infections", _infections(totals)),
        Group("system", "System", _system(context, view, totals)),
    ]


def _counted(totals: dict[str, Totals], rows: tuple[tuple[str, str, str, str], ...]) -> list[Figure]:
    return [_number(name, label, totals.get(kind, Totals()).count, text) for name, label, kind, text in rows]


def _number(name: str, label: str, value: int, text: str = "") -> Figure:
    return Figure(name, label, value, f"{value:,}", text)


def _messages(totals: dict[str, Totals]) -> list[Figure]:
    attachments = totals.get("attachment-deleted", Totals()).count
    return [
        *_counted(totals, _MESSAGES),
        _number("attachments", "Attachments stripped", attachments, "top-level attachments taken off messages"),
    ]


def _infections(totals: dict[str, Totals]) -> list[Figure]:
    rows = _counted(totals, _INFECTIONS)
    total = sum(totals.get(kind, Totals()).count for _, _, kind, _ in _INFECTIONS)
    unscanned = totals.get("scanned", Totals()).amount
    quarantined = totals.get("file-quarantined", Totals()).count
    return [
        *rows,
        _number("infections", "Total", total, "repaired, deleted and logged"),
        _number("quarantined", "Quarantined", quarantined, "originals put into the quarantine"),
        _number("unscanned", "Not wholly examined", unscanned, "messages of which a part could not be scanned"),
    ]


def queues_now(view: View) -> Queues | None:
    """The last word of each relay since the start; a relay tells whenever its lengths change."""
    started = view.started() or 0
    told = [event for event in view.latest("queue-lengths") if event.time >= started]
    lengths = [msgspec.json.decode(event.line, type=events.QueueLengths) for event in told]
    if not lengths:
        return None
    return Queues(*(sum(getattr(one, name) for one in lengths) for name in Queues.__struct_fields__))


def _queues(now: Queues | None) -> Group:
    if now is None:
        return Group("queues", "Queues", [], "No relay has told the lengths of its queues since the start.")
    return Group(
        "queues",
        "Queues now",
        [
            _number("fast_queue", "Fast queue", now.fast, "new messages"),
            _number("slow_queue", "Slow queue", now.slow, "to be tried again"),
            _number("hold_queue", "Hold queue", now.hold, "waiting for a person"),
        ],
    )


def _system(context: Context, view: View, totals: dict[str, Totals]) -> list[Figure]:
    settings = context.settings()
    server = f"{settings.smtp.hostname or socket.gethostname()}, port\u00a0{settings.smtp.listen.port}"
    megabytes = round(totals.get("accepted", Totals()).amount / MIB, 1)
    return [
        _word("server", "Server", server),
        *_started(context, view),
        Figure("received_mb", "Received", megabytes, f"{megabytes:,.1f} MB", "for processing, since the start"),
        _word("incoming", "Incoming messages", "Reject" if settings.delivery.reject_incoming else "Accept"),
        _word("delivery", "Message delivery", "Pause" if settings.delivery.pause else "Delivery"),
        _word("scanning", "Virus scanning", "Enabled" if settings.antivirus.enabled else "Disabled"),
        _word("quarantine", "Quarantine forwarding", _forwarding(settings), _forwarding_help(settings)),
        *_definitions(context, view),
        *_certificate(context),
    ]


def _forwarding(settings: Settings) -> str:
    """STAT-06: as it has an effect (QRN-02)."""
    return _FORWARDED[in_force(settings)] if settings.quarantine.server else _FORWARDED[QuarantinedFiles.NOTHING]


def _forwarding_help(settings: Settings) -> str:
    kept = in_force(settings)
    if kept is QuarantinedFiles.NOTHING:
        return "nothing is put aside"
    return f"to {settings.quarantine.server}" if settings.quarantine.server else "files are put aside and stay here"


def _word(name: str, label: str, text: str, help_: str = "") -> Figure:
    return Figure(name, label, text, text, help_)


def _started(context: Context, view: View) -> list[Figure]:
    told = view.latest("service-started")
    if not told:
        return [_word("version", "Version", engine.VERSION), Figure("started", "Started", None, "not in the journal")]
    event = msgspec.json.decode(told[0].line, type=events.ServiceStarted)
    running_s = max(0, round(context.clock() - told[0].time / 1_000_000))
    return [
        _word("version", "Version", event.version),
        Figure(
            "started",
            "Started",
            timestamp(told[0].time * 1000),
            local_time(told[0].time),
            "after a crash" if event.after_crash else "",
        ),
        Figure("running_s", "Running for", running_s, duration(running_s)),
    ]


def _definitions(context: Context, view: View) -> list[Figure]:
    """STAT-10..12: an attempt is a definitions file that came into its place, however it came there."""
    told, refused = view.latest("definitions-loaded"), view.latest("definitions-refused")
    rows = []
    if told:
        event = msgspec.json.decode(told[0].line, type=events.DefinitionsLoaded)
        known = context.updates.memory.of(event.revision)
        number = f"number {known.number} of {local_time(known.date)}, " if known else ""
        detail = f"{number}{event.signatures:,} signatures, loaded {local_time(told[0].time)}"
        rows.append(_word("definitions", "Definitions revision", event.revision, detail))
    latest = max(told[:1] + refused[:1], key=lambda event: event.time, default=None)
    if latest is None:
        return [Figure("definitions_attempt", "Definitions last tried", None, "Never")]
    outcome = "Succeeded" if latest.kind == "definitions-loaded" else "Failed"
    return [
        *rows,
        Figure("definitions_attempt", "Definitions last tried", timestamp(latest.time * 1000), local_time(latest.time)),
        _word("definitions_outcome", "Outcome", outcome, "of the last definitions file"),
    ]


def _certificate(context: Context) -> list[Figure]:
    """STAT-13: one that was made here counts as none."""
    found = context.certificates.installed()
    if found is None:
        return []
    is_own = found.source is Source.SELF_MADE
    expires = f"expires {local_time(_microseconds(found.expires))}"
    left = found.expires - datetime.datetime.fromtimestamp(context.clock(), datetime.UTC)
    if left.days < found.warn_days:
        expires += f", in {left.days} days" if left.days >= 0 else ": it has expired"
    installed = _microseconds(found.installed)
    return [
        Figure(
            "certificate",
            "TLS certificate",
            None if is_own else timestamp(installed * 1000),
            "Not installed" if is_own else f"Installed {local_time(installed)}",
            f"self-signed, made at the first start; {expires}" if is_own else expires,
        )
    ]


def _microseconds(time: datetime.datetime) -> int:
    return round(time.timestamp() * 1_000_000)


def duration(seconds: int) -> str:
    """As in "3 days 4 h" or "12 min": the two largest units that matter."""
    minutes, _ = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} day{'s' if days > 1 else ''} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
