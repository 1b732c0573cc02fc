"""What mail an event leads to, by the settings and what is remembered (NTF-00..17, OUT-01..05, ALR-01..15).

Theory of operation. Each event is looked at once, in the order of their times as far as they were written at all, and
inside the transaction that moves the position in the journal. Who was told what and when is kept in `Memory`, by the
times of events. What is not written for the sake of a rate is noted in the journal, for alerts once an hour.

Besides the rates of the requirements there is an hourly limit for everything, since strangers can cause most of it.
"""

from collections.abc import Iterator
from typing import Final

from control.post import alerts
from control.post.mail import Letter
from control.post.memory import Memory, Note, Pause
from control.post.watchers import CERTIFICATE
from engine import events
from engine.alerts import INFECTED, alert_of
from engine.config import Kind, Outbreak, Settings
from engine.policy.metatags import clean, fill
from engine.policy.notify import SENDER

ALERTS_AN_HOUR: Final = 100  # of one kind
NOTIFICATIONS_AN_HOUR: Final = 1000  # of one kind and audience
REFUSED_UPDATES: Final = 3  # in a row, of one process (ALR-06)
FAILED: Final = "Failed"  # the result of a session
_TOO_MANY: Final = "so many of these went out within an hour already"

Due = Letter | Note | Pause


def due(event: events.Event, time: float, settings: Settings, memory: Memory, host: str) -> Iterator[Due]:
    """What is to be written because of an event. time: of the event; host: the gateway's name for texts of alerts."""
    if isinstance(event, events.NotificationWanted):
        yield from _notification(event, time, settings, memory)
        return
    if isinstance(event, INFECTED):
        yield from _outbreak(event, time, settings.outbreak, memory)
        return
    name = alert_of(event)
    told = _remember(event, memory)
    if not told or not name or not getattr(settings.alerts, name):
        return
    yield from _alert(event, name, time, settings, memory, host)


# --- notifications ----------------------------------------------------------------------------------


def _notification(wanted: events.NotificationWanted, time: float, settings: Settings, memory: Memory) -> Iterator[Due]:
    kind, about = f"{wanted.kind} {wanted.audience}", wanted.smtp_id
    to_sender = wanted.audience == SENDER
    to = (wanted.to,) if to_sender else settings.notifications.administrators
    if not to or not to[0]:
        yield Note(kind, "nobody is named to get it (NTF-13)", about)
        return
    if to_sender and not memory.first_within(f"{kind} {wanted.to.lower()}", time):
        yield Note(kind, "this sender was told of the like within the hour (NTF-15)", about)
        return
    if not memory.below(kind, time, NOTIFICATIONS_AN_HOUR):
        yield Note(kind, _TOO_MANY, about)
        return
    notice = getattr(settings.notifications.of(Kind(wanted.kind)), wanted.audience)
    yield Letter(kind, to, fill(notice.subject, wanted.values), fill(notice.text, wanted.values), about)


# --- outbreak ---------------------------------------------------------------------------------------


def _outbreak(event: events.MessageEvent, time: float, outbreak: Outbreak, memory: Memory) -> Iterator[Due]:
    if not outbreak.enabled:
        return
    window_s = outbreak.minutes * 60.0
    if memory.infected(event.smtp_id, time, window_s, outbreak.messages) < outbreak.messages:
        return
    if not memory.first_within("outbreak", time, window_s):  # OUT-04
        return
    if outbreak.recipients:
        yield Letter("outbreak", outbreak.recipients, outbreak.subject, outbreak.text)
    else:
        yield Note("outbreak", "nobody is named to get it (OUT-02)")
    if outbreak.pause:
        yield Pause()


# --- alerts -----------------------------------------------------------------------------------------


def _alert(event: events.Event, name: str, time: float, settings: Settings, memory: Memory, host: str) -> Iterator[Due]:
    to = settings.notifications.administrators
    if not to:
        reason = "nobody is named to get it (ACC-07)"
    elif (key := _once_an_hour(event)) and not memory.first_within(f"{name} {key}", time):
        reason = f"told of {clean(key, 100)} within the hour"
    elif not memory.below(name, time, ALERTS_AN_HOUR):
        reason = _TOO_MANY
    else:
        yield alerts.letter(event, name, time, to, host)
        return
    if memory.first_within(f"not {name}", time):
        yield Note(name, reason, getattr(event, "smtp_id", ""))


def _once_an_hour(event: events.Event) -> str:
    """Whom or what alerts of this kind are about, where one an hour of the same is enough; else empty."""
    match event:
        case events.ProtocolViolation(client=client) | events.HttpViolation(client=client):  # ALR-11, ALR-12
            return client
        case events.ConnectionFailed(server=server):  # ALR-14
            return server
        case events.BlockListUnusable(list=domain):
            return domain
        case events.FileAccessError(path=path):
            return path
        case events.CertificateNotRenewed(reason=reason):
            return reason
        case events.ScanError(smtp_id=smtp_id) | events.ScannerCrashed(smtp_id=smtp_id):
            return smtp_id  # one message, one alert
    return ""


def _remember(event: events.Event, memory: Memory) -> bool:
    """Keep what later events are judged by. Returns whether this one is news: a crossing, a revision never seen."""
    match event:
        case events.ServiceStarted():
            memory.forget("definitions ")
            memory.forget("refused ")
        case events.LowDisk(directory=directory, recovered=recovered):
            return _crossed(directory, recovered, memory)
        case events.LowMemory(recovered=recovered):
            return _crossed("memory", recovered, memory)
        case events.CertificateExpires(within_days=days, recovered=recovered):
            return _expires(days, recovered, memory)
        case events.DefinitionsLoaded(revision=revision):
            return _is_update(clean(revision), memory)
        case events.DefinitionsRefused(process=process):
            return _is_third_failure(process, memory)
        case events.DefinitionsUpdateSession(result=result):
            return _is_third_session(result, memory)
    return True


def is_low(what: str, memory: Memory) -> bool:
    """Whether the last that was told of a directory, or of `memory`, is that it is low."""
    return bool(memory.get(f"low {what}"))


def _crossed(what: str, recovered: bool, memory: Memory) -> bool:
    """ALR-04, ALR-05: once for each crossing of the mark, also where it is noticed again after a restart."""
    news = not recovered and not is_low(what, memory)
    memory.put(f"low {what}", "" if recovered else "yes")
    return news


def _expires(days: int, recovered: bool, memory: Memory) -> bool:
    """CERT-08: once for each step towards the end, and from the first again when there is one that lasts."""
    if recovered:
        memory.forget(f"low {CERTIFICATE} ")
    return not recovered and _crossed(f"{CERTIFICATE} {days}", False, memory)


def _is_update(revision: str, memory: Memory) -> bool:
    """ALR-06: what the first process loads after a start is no update; nor is what other processes load after it."""
    first = not memory.get("definitions any")
    if memory.get(f"definitions {revision}"):
        return False
    memory.put("definitions any", "yes")
    memory.put(f"definitions {revision}", "yes")
    memory.forget("refused ")
    return not first


def _is_third_session(result: str, memory: Memory) -> bool:
    """ALR-06: that one went well is told when the new ones are loaded, and one that found nothing new is no news."""
    if result != FAILED:
        memory.forget("sessions failed")
        return False
    failures = int(memory.get("sessions failed") or 0) + 1
    memory.put("sessions failed", str(failures))
    return failures == REFUSED_UPDATES


def _is_third_failure(process: str, memory: Memory) -> bool:
    """ALR-06: three in a row, by the count of one process, since each one that looks at a broken file says so."""
    failures = int(memory.get(f"refused {process}") or 0) + 1
    memory.put(f"refused {process}", str(failures))
    if failures < REFUSED_UPDATES or memory.get("refused told"):
        return False
    memory.put("refused told", "yes")
    return True
