"""What needs the operator's attention, said above the figures of the Status page, each with the next step."""

from collections.abc import Iterator
from typing import Final

import msgspec

from control.certificates.warning import warning
from control.context import Context
from control.post.watchers import LOW_PERCENT, Readings
from control.quarantine.forwarder import Progress
from control.records.view import View
from control.status.readiness import readiness
from control.updates.memory import FAILED
from engine import events
from engine.config import Settings
from engine.layout import Layout

BAD: Final = "bad"
WARN: Final = "warn"
READING_S: Final = 10.0  # how often disks and memory are looked at
FEW: Final = 1000  # signatures; what comes with Mailward is far below, what protects anybody far above


class Notice(msgspec.Struct, frozen=True):
    """level: bad or warn. link: a page of ours where the next step is done."""

    level: str
    text: str
    link: str = ""
    link_text: str = ""


def notices(context: Context, view: View) -> list[Notice]:
    settings = context.settings()
    return [
        *_of_parts(context),
        *context.recent.of("room", lambda: list(of_room(context.layout, Readings())), READING_S),
        *_of_settings(settings),
        *_certificate(context),
        *_definitions(view),
        *_updates(context),
        *of_quarantine(context.quarantine.forwarder.progress),
    ]


def _of_parts(context: Context) -> Iterator[Notice]:
    """What does not do its work."""
    if context.follower.problem:
        yield Notice(
            BAD,
            f"The figures are behind: the journal cannot be read ({context.follower.problem})."
            " Mail is not affected. Check the free space and the rights of the directories log and control.",
        )
    if context.postman.problem:
        yield Notice(
            BAD,
            f"Notifications and alerts are not written: {context.postman.problem}."
            " Mail is not affected. Check the free space and the rights of the directory control.",
        )
    if context.self_test.problem:  # TMP-05
        yield Notice(BAD, context.self_test.problem)
    silent = [str(number) for number, answers in readiness(context).relays.items() if not answers]
    if silent:
        what = f"Relay {silent[0]} does" if len(silent) == 1 else f"Relays {', '.join(silent)} do"
        yield Notice(
            BAD,
            f"{what} not answer: the mail in hand there waits. One that ended is started again by itself; if this"
            " stays so, look into the log of the service and start the service again.",
            "/events?kind=process-restarted",
            "See what was started again",
        )


def of_room(layout: Layout, readings: Readings) -> Iterator[Notice]:
    """ALR-04, ALR-05: the same directories and marks as those of the alerts."""
    for name, path in (("mail queue", layout.queue), ("logging", layout.journal), ("scanning", layout.run)):
        free = readings.disk(path)
        if free is not None and free < LOW_PERCENT:
            yield Notice(
                BAD,
                f"The disk of the {name} directory is nearly full: {free:.0f} % is free ({path}). Without space no mail"
                " is accepted. Delete what is not needed there, or enlarge the disk.",
            )
    free = readings.memory()
    if free is not None and free < LOW_PERCENT:
        yield Notice(
            WARN,
            f"The server is short of memory: {free:.0f} % is available. Give it more, or run fewer relays and scanners"
            " (processes in the settings).",
            "/configuration/setup/other",
            "Change the processes",
        )


def _certificate(context: Context) -> Iterator[Notice]:
    """CERT-08: 30 days ahead."""
    acme, memory = context.settings().web.acme, context.renewal.memory
    text = warning(context.certificates.installed(), acme, memory.problem, context.clock())
    if text:
        yield Notice(WARN, text, "/configuration/setup/certificates", "Go to Certificates")


def _of_settings(settings: Settings) -> Iterator[Notice]:
    if settings.relay.allow_all:  # RELAY-02
        yield Notice(
            BAD,
            "This is an open relay: anybody may send mail to anybody through it. Switch “Allow all” off, and list your"
            " own servers instead.",
            "/blocking/relay",
            "Go to Anti-relay",
        )
    if settings.delivery.reject_incoming:
        yield Notice(
            WARN,
            "Incoming mail is rejected: senders try again later.",
            "/configuration/setup/delivery",
            "Accept mail again",
        )
    if settings.delivery.pause:
        yield Notice(
            WARN, "Delivery is paused: accepted mail waits.", "/configuration/setup/delivery", "Deliver mail again"
        )
    if not settings.antivirus.enabled:
        yield Notice(
            WARN,
            "Virus scanning is disabled: infected mail is delivered.",
            "/antivirus/settings/configure",
            "Switch it on",
        )
    if not settings.notifications.administrators:
        yield Notice(
            WARN,
            "No administrator's address is set: nobody is told by mail when something goes wrong.",
            "/assistant",
            "Finish the setup",
        )


def _updates(context: Context) -> Iterator[Notice]:
    """What became of the last update, and whether what is in force is too old."""
    if problem := context.updates.problem:
        text = f"The definitions are not updated: {problem}."
        yield Notice(BAD, text, "/definitions/updates", "Go to Updates")
    history = context.updates.memory.history
    if history and history[0].result == FAILED:
        text = f"The last update of the definitions failed: {history[0].reason}. What was in force before stays in use."
        yield Notice(WARN, text, "/definitions/updates", "Go to Updates")
    if context.updates.memory.old_told:
        _, days = context.updates.age()
        text = f"The definitions are {days} days old: new viruses pass."
        yield Notice(BAD, text, "/definitions/updates", "Go to Updates")


def of_quarantine(progress: Progress) -> Iterator[Notice]:
    if progress.server and progress.problem:
        yield Notice(
            WARN,
            f"The central quarantine server {progress.server} takes no files: {progress.problem}. They stay here, and"
            " mail goes on.",
            "/quarantine/items",
            "Go to Quarantine",
        )


def _definitions(view: View) -> Iterator[Notice]:
    refused, loaded = view.latest("definitions-refused"), view.latest("definitions-loaded")
    if loaded:
        yield from of_number(msgspec.json.decode(loaded[0].line, type=events.DefinitionsLoaded).signatures)
    if not refused or (loaded and loaded[0].time >= refused[0].time):
        return
    reason = msgspec.json.decode(refused[0].line, type=events.DefinitionsRefused).reason
    yield Notice(
        BAD,
        f"The last definitions file was refused: {reason}. The one before stays in use.",
        "/definitions",
        "Go to Definitions",
    )


def of_number(signatures: int) -> Iterator[Notice]:
    """Scanning that has next to nothing to look for looks as if it were at work."""
    if signatures < FEW:
        yield Notice(
            WARN,
            f"Only {signatures} signature{'s are' if signatures != 1 else ' is'} in force: enough to try Mailward out,"
            " not to find viruses. Name a source of updates, or put a file in force.",
            "/definitions",
            "Get definitions",
        )
