"""Which event leads to which mail, and how often (NTF-13, NTF-15, OUT-01..05, ALR-01..15)."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from control.post import alerts, rules
from control.post.mail import Letter
from control.post.memory import RATES, SEEN, Memory, Note, Pause
from control.post.rules import ALERTS_AN_HOUR, NOTIFICATIONS_AN_HOUR, Due, due
from engine import events
from engine.alerts import TOLD, alert_of, is_written, told_to_people
from engine.config import Alerts, Notifications, Outbreak, Settings
from engine.config.notices import RECOMMENDED_ALERTS
from engine.config.smtp import Logging
from engine.journal import timestamp

ADMINISTRATORS = ("postmaster@example.com", "second@example.com")
EVERY = Alerts(**dict.fromkeys(Alerts.__struct_fields__, True))
SETTINGS = Settings(notifications=Notifications(administrators=ADMINISTRATORS), alerts=EVERY)
HOUR_S = 3600.0

# every alert: its event, its subject, and what has to stand in the text
TABLE: list[tuple[str, events.Event, str, list[str]]] = [
    ("start", events.ServiceStarted(version="1"), "Gateway started", []),
    ("start_after_crash", events.ServiceStarted(version="1", after_crash=True), "Gateway restarted after a crash", []),
    ("stop", events.ServiceStopping(), "Gateway stopped", []),
    ("low_disk", events.LowDisk("mail queue", "/q", 9.5), "Disk space low", ["mail queue", "/q", "9.5 %"]),
    ("low_memory", events.LowMemory(0.0), "Memory low", ["0.0 %"]),
    ("configuration_changed", events.ConfigurationApplied("a1", ("smtp.listen.port", "dns.servers")),
     "Configuration changed", ["smtp.listen.port, dns.servers"]),
    ("suspect_message", events.Held(smtp_id="1SUS", reason="suspect", suspect=True), "Suspect message held", ["1SUS"]),
    ("scan_error", events.ScanError(smtp_id="1ERR", description="2: damaged"), "Message could not be taken apart",
     ["1ERR", "2: damaged"]),
    ("scan_error", events.ScannerCrashed(smtp_id="1CRA", count=1, reason="signal 11"),
     "Message could not be taken apart", ["1CRA", "signal 11"]),
    ("file_access", events.FileAccessError("/x/y", "altered"), "File access error", ["/x/y", "altered"]),
    ("smtp_violation", events.ProtocolViolation(client="192.0.2.1", connection_id="c1", violation="DATA before RCPT"),
     "SMTP protocol violation", ["192.0.2.1", "DATA before RCPT"]),
    ("http_violation", events.HttpViolation("192.0.2.2", "too large"), "HTTP protocol violation", ["192.0.2.2"]),
    ("failed_logons", events.Logon("Failed", "admin", "192.0.2.3", 3), "Repeated failed logons",
     ["192.0.2.3", "admin"]),
    ("connection_failure", events.ConnectionFailed("mx.example.com:25", "refused"), "Cannot reach mail server",
     ["mx.example.com:25", "refused"]),
    ("unauthorized", events.UnauthorizedAccess("192.0.2.4", "/queues", "report"), "Unauthorized access attempt",
     ["192.0.2.4", "/queues", "report"]),
    ("certificate", events.CertificateExpires("CN=gw.example.com", "2027-01-31T00:00:00+00:00", 30),
     "Certificate expires soon", ["CN=gw.example.com", "2027-01-31"]),
    ("certificate", events.CertificateNotRenewed(("gw.example.com",), "port 80 is closed"), "Certificate not renewed",
     ["gw.example.com", "port 80 is closed", "stays"]),
    ("definitions_old", events.DefinitionsOld("2026-11-01T06:00:00Z", 9), "Definitions too old", ["2026-11-01", "9"]),
    ("found_later", events.FoundLater(smtp_id="1LAT", virus="Test.Later", file="a.exe", sha256="0f", delivered="26"),
     "Virus found after delivery", ["1LAT", "Test.Later", "a.exe"]),
    ("definitions_updated", events.DefinitionsRolledBack("r2", "r1", "three scanners ended"),
     "Definitions taken back", ["r2", "r1", "three scanners ended"]),
    ("quarantine", events.QuarantineFilling(percent=80, octets=8, most=10), "Quarantine needs attention", ["80"]),
    ("quarantine", events.QuarantineFailed(smtp_id="1LAT", reason="it is full"), "Quarantine needs attention",
     ["1LAT", "it is full"]),
    ("quarantine", events.QuarantineServerFailed(server="q.example.org:8453", reason="no answer"),
     "Quarantine needs attention", ["q.example.org", "no answer"]),
    ("block_list", events.BlockListUnusable("bl.example.org", "error code"), "Block list cannot be used",
     ["bl.example.org"]),
]  # fmt: skip


class Desk:
    """Rules with a memory of their own; `tell` gives what is due."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.settings = SETTINGS
        self.now = 1_800_000_000.0

    def tell(self, event: events.Event, after_s: float = 0.0) -> list[Due]:
        self.now += after_s
        return list(due(event, self.now, self.settings, self.memory, "gw.example.com"))

    def letters(self, event: events.Event, after_s: float = 0.0) -> list[Letter]:
        return [one for one in self.tell(event, after_s) if isinstance(one, Letter)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    memory = Memory(tmp_path / "postman.sqlite")
    yield Desk(memory)
    memory.close()


# --- alerts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "event", "subject", "words"), TABLE, ids=[f"{row[0]}-{row[3]}" for row in TABLE])
def test_each_alert(desk: Desk, name: str, event: events.Event, subject: str, words: list[str]) -> None:
    """ALR-01, ALR-02, ALR-03, ALR-04, ALR-05, ALR-07, ALR-08, ALR-09, ALR-10, ALR-11, ALR-12, ALR-13, ALR-14, ALR-15:
    to the administrators (ACC-07); host, time and what there is besides (GAP-16: any violation).
    """
    (letter,) = desk.letters(event)
    assert (letter.kind, letter.to, letter.subject) == (name, ADMINISTRATORS, subject)
    for word in ("Host: gw.example.com", f"Time: {timestamp(int(desk.now * 1e9))[:4]}", *words):
        assert word in letter.text


@pytest.mark.parametrize(("name", "event"), [row[:2] for row in TABLE], ids=[f"{row[0]}-{row[3]}" for row in TABLE])
def test_each_has_its_own_check_box(desk: Desk, name: str, event: events.Event) -> None:
    """ALR-01..15: one setting each, all off by default, and nothing without an address (ACC-07)."""
    others = msgspec.structs.replace(EVERY, **{name: False})
    for wrong in (Settings(alerts=others, notifications=SETTINGS.notifications), Settings()):
        desk.settings = wrong
        assert not desk.tell(event)
    desk.memory.forget("low ")
    desk.settings = Settings(alerts=EVERY)
    (note,) = desk.tell(event)
    assert isinstance(note, Note) and note.kind == name and "nobody" in note.reason


def test_every_alert_of_the_settings_has_an_event() -> None:
    names = {row[0] for row in TABLE} | {"definitions_updated"}
    assert names == set(Alerts.__struct_fields__)
    assert set(RECOMMENDED_ALERTS) < names and len(RECOMMENDED_ALERTS) == 5
    assert {type(row[1]) for row in TABLE} < set(TOLD)


def test_each_step_towards_the_end_of_the_certificate_is_told_once(desk: Desk) -> None:
    """CERT-08: also where the pages were started again meanwhile, and from the first for the next certificate."""

    def step(days: int, recovered: bool = False) -> list[Due]:
        return desk.tell(events.CertificateExpires("CN=gw", "2027-01-31", days, recovered), after_s=10 * HOUR_S)

    for _ in range(2):
        for days in (30, 7, 1, 0):
            assert len(step(days)) == 1
            assert not step(days)
        assert not step(0, recovered=True)


def test_one_reason_for_no_renewal_is_told_once_an_hour(desk: Desk) -> None:
    """CERT-05"""
    event = events.CertificateNotRenewed(("gw.example.com",), "port 80 is closed")
    assert len(desk.letters(event)) == 1
    assert not desk.letters(event, after_s=HOUR_S / 2)
    assert len(desk.letters(event, after_s=HOUR_S)) == 1


def test_start_after_a_crash_is_told_instead_of_the_start(desk: Desk) -> None:
    """ALR-02: in place of ALR-01, also where only that one is on."""
    crashed = events.ServiceStarted(version="1", after_crash=True)
    assert [one.kind for one in desk.letters(crashed)] == ["start_after_crash"]
    desk.settings = msgspec.structs.replace(SETTINGS, alerts=Alerts(start=True))
    assert not desk.letters(crashed)


@pytest.mark.parametrize("what", ["logging", "scanning", "mail queue", ""])
def test_once_for_each_crossing(desk: Desk, what: str) -> None:
    """ALR-04: one alert per directory and crossing, again after recovery; ALR-05 likewise."""

    def low(recovered: bool = False) -> events.Event:
        if what:
            return events.LowDisk(what, f"/{what}", 5.0, recovered)
        return events.LowMemory(5.0, recovered)

    assert len(desk.letters(low())) == 1
    assert not desk.tell(low(), after_s=10 * HOUR_S)  # noticed again by a process that was started again
    assert not desk.tell(low(recovered=True))
    assert len(desk.letters(low())) == 1
    assert rules.is_low(what or "memory", desk.memory)
    if what:
        assert len(desk.letters(events.LowDisk("another", "/another", 5.0))) == 1


def test_definitions(desk: Desk) -> None:
    """ALR-06, DEF-11: a new revision while running is told once, whoever loads it; that of the start is not."""

    def loaded(revision: str) -> list[Letter]:
        return desk.letters(events.DefinitionsLoaded(revision=revision, signatures=10))

    desk.tell(events.ServiceStarted(version="1"))
    assert not loaded("one") and not loaded("one")
    (letter,) = loaded("two")
    assert letter.subject == "Definitions updated" and "two" in letter.text
    assert not loaded("two")
    assert not loaded("one")  # another relay was late
    desk.tell(events.ServiceStarted(version="1"))
    assert not loaded("three")  # exchanged while the service was down


def test_three_failed_updates_in_a_row(desk: Desk) -> None:
    """ALR-06: with a text of their own; told once until one ends well; counted for one process."""

    def refused(process: str = "relay-0") -> list[Letter]:
        return desk.letters(events.DefinitionsRefused(process=process, reason="damaged"))

    desk.tell(events.DefinitionsLoaded(revision="one", signatures=1))
    assert not refused() and not refused("relay-1") and not refused("relay-2") and not refused()
    (letter,) = refused()
    assert letter.subject == "Definitions update failed" and "three times" in letter.text
    assert not refused() and not refused("relay-1")
    desk.tell(events.DefinitionsLoaded(revision="two", signatures=1))
    assert not refused() and not refused()
    assert len(refused()) == 1


def test_only_suspect_messages(desk: Desk) -> None:
    """ALR-08, GAP-15: not those that policy or a person put into the hold queue."""
    assert not desk.tell(events.Held(smtp_id="1ABC", reason="subject"))


def test_failed_logons(desk: Desk) -> None:
    """ALR-13, ACC-08: the third failure and every one after it; the count begins anew after a good logon."""
    told = [len(desk.letters(events.Logon("Failed", "admin", "192.0.2.3", count))) for count in (1, 2, 3, 4, 5)]
    assert told == [0, 0, 1, 1, 1]
    assert not desk.tell(events.Logon("Succeeded", "admin", "192.0.2.3"))
    assert not desk.tell(events.Logon("Failed", "admin", "192.0.2.3", 1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (events.ProtocolViolation(client="192.0.2.1", connection_id="a", violation="x"),
         events.ProtocolViolation(client="192.0.2.2", connection_id="b", violation="x")),
        (events.HttpViolation("192.0.2.1", "x"), events.HttpViolation("192.0.2.2", "x")),
        (events.ConnectionFailed("a:25", "x"), events.ConnectionFailed("b:25", "x")),
        (events.BlockListUnusable("a", "x"), events.BlockListUnusable("b", "x")),
        (events.ScanError(smtp_id="1A", description="x"), events.ScanError(smtp_id="1B", description="x")),
        (events.FileAccessError("/a", "x"), events.FileAccessError("/b", "x")),
    ],
)  # fmt: skip
def test_once_an_hour_for_the_same(desk: Desk, one: events.Event, other: events.Event) -> None:
    """ALR-11, ALR-12: for each client; ALR-14: for each next hop. What was left out is noted, once an hour."""
    assert len(desk.letters(one)) == 1
    assert len(desk.letters(other)) == 1
    (note,) = desk.tell(one, after_s=HOUR_S - 1)
    assert isinstance(note, Note) and "within the hour" in note.reason
    assert not desk.tell(one)
    assert len(desk.letters(one, after_s=1)) == 1


def test_events_that_are_read_late_or_with_another_clock(desk: Desk) -> None:
    """Rates hold backwards too, and a clock that was set does not silence anything."""
    event = events.ConnectionFailed("a:25", "x")
    assert len(desk.letters(event)) == 1
    assert not desk.letters(event, after_s=-10)
    assert len(desk.letters(event, after_s=-86_400)) == 1


def test_alerts_of_one_kind_have_an_hourly_limit(desk: Desk) -> None:
    sent = [desk.letters(events.HttpViolation(f"192.0.2.{n}", "x"), 1) for n in range(ALERTS_AN_HOUR + 1)]
    assert [len(one) for one in sent] == [1] * ALERTS_AN_HOUR + [0]
    assert desk.letters(events.LowMemory(1.0))  # others are not held up
    assert desk.letters(events.HttpViolation("198.51.100.1", "x"), HOUR_S)


def test_hostile_words_make_no_lines(desk: Desk) -> None:
    """NTF-17: what clients sent stands in one line."""
    bad = "x\r\nHost: evil\u2028Time: never\x00" + "y" * 10_000
    (letter,) = desk.letters(events.ProtocolViolation(client="192.0.2.1", connection_id="c", violation=bad))
    assert sum(line.startswith(("Host:", "Time:")) for line in letter.text.split("\n")) == 2
    assert len(letter.text) < 2000 and "\r" not in letter.text and "\u2028" not in letter.text


def test_settings_are_named_without_their_values() -> None:
    """ALR-07: ConfigurationApplied carries names only."""
    assert events.ConfigurationApplied.__struct_fields__ == ("revision", "changed", "time", "process")


# --- notifications ------------------------------------------------------------------------------------


def wanted(
    audience: str = "sender", kind: str = "virus", to: str = "a@example.net", number: int = 1
) -> events.NotificationWanted:
    values = {"MSGINFO": "From: a@example.net, To: b@example.com", "VIRUSINFO": "x.exe: Worm, deleted"}
    return events.NotificationWanted(
        smtp_id=f"1ABC{number}", kind=kind, audience=audience, to=to if audience == "sender" else "", values=values
    )


def test_texts_are_filled_in(desk: Desk) -> None:
    """NTF-01, NTF-06, NTF-16: subject and text as they are set, with what the metatags stand for."""
    (letter,) = desk.letters(wanted())
    assert (letter.to, letter.subject, letter.about) == (("a@example.net",), "Your message contained a virus", "1ABC1")
    assert "x.exe: Worm, deleted" in letter.text and "{$" not in letter.text
    (letter,) = desk.letters(wanted("administrator"))
    assert (letter.to, letter.subject) == (ADMINISTRATORS, "Virus detected")
    assert "From: a@example.net, To: b@example.com" in letter.text


def test_one_an_hour_for_each_sender_and_kind(desk: Desk) -> None:
    """NTF-15: whatever the case of the address; administrators hear of each message."""
    assert desk.letters(wanted())
    (note,) = desk.tell(wanted(to="A@Example.NET", number=2), after_s=HOUR_S - 1)
    assert isinstance(note, Note) and (note.kind, note.about) == ("virus sender", "1ABC2")
    assert desk.letters(wanted(kind="content")) and desk.letters(wanted(to="other@example.net"))
    assert desk.letters(wanted("administrator")) and desk.letters(wanted("administrator", number=2))
    assert desk.letters(wanted(), after_s=1)


def test_without_administrators_nobody_is_told(desk: Desk) -> None:
    """NTF-13, ACC-07"""
    desk.settings = Settings()
    (note,) = desk.tell(wanted("administrator"))
    assert isinstance(note, Note) and "NTF-13" in note.reason


def test_notifications_have_an_hourly_limit(desk: Desk) -> None:
    with desk.memory.transaction():
        many = [desk.letters(wanted(to=f"{number}@example.net")) for number in range(NOTIFICATIONS_AN_HOUR + 1)]
    assert sum(map(len, many)) == NOTIFICATIONS_AN_HOUR and not many[-1]


# --- outbreak -----------------------------------------------------------------------------------------


def infected(number: int) -> events.Event:
    return events.VirusLogged(smtp_id=f"1INF{number}", virus="Worm", part="2")


def outbreak(desk: Desk, messages: int = 3, pause: bool = False, to: tuple[str, ...] = ("o@example.com",)) -> None:
    told = Outbreak(enabled=True, messages=messages, minutes=10, recipients=to, pause=pause)
    desk.settings = msgspec.structs.replace(SETTINGS, outbreak=told)


def test_outbreak(desk: Desk) -> None:
    """OUT-01, OUT-02, OUT-03, NTF-07: N messages within M minutes, to recipients of its own, the text and no more."""
    outbreak(desk)
    assert not desk.tell(infected(1)) and not desk.tell(infected(2), 300)
    (letter,) = desk.letters(infected(3), 300)
    assert (letter.to, letter.subject) == (("o@example.com",), "Possible virus outbreak")
    assert letter.text == Outbreak().text and "{$" not in letter.text


def test_messages_are_counted_not_files(desk: Desk) -> None:
    """OUT-04: also those that were only logged, each once."""
    outbreak(desk)
    kinds = [events.VirusLogged, events.FileDeleted, events.FileRepaired]
    for kind, _ in itertools.product(kinds, range(5)):
        assert not desk.tell(kind(smtp_id="1ONE", virus="Worm", part="2"), 1)
    assert not desk.tell(infected(1))
    assert desk.letters(infected(2))


def test_the_window_slides(desk: Desk) -> None:
    """OUT-04, crossed by a second on both sides."""
    outbreak(desk)
    assert not any(desk.tell(infected(n), after_s) for n, after_s in ((1, 0), (2, 599), (3, 2), (4, 599)))
    assert desk.letters(infected(5), 1)


def test_the_next_alert_comes_at_the_earliest_after_the_window(desk: Desk) -> None:
    """OUT-04"""
    outbreak(desk, messages=1)
    assert desk.letters(infected(1))
    assert not desk.tell(infected(2), 599)
    assert desk.letters(infected(3), 1)


def test_order_of_events_does_not_matter(desk: Desk) -> None:
    """OUT-04: those of several relays are read out of order."""
    outbreak(desk)
    assert not desk.tell(infected(1)) and not desk.tell(infected(2), -100)
    assert desk.letters(infected(3), -100)


def test_outbreak_is_off_by_default_and_needs_recipients(desk: Desk) -> None:
    """OUT-01, OUT-02: none of ACC-07."""
    assert not any(desk.tell(infected(number)) for number in range(20))
    outbreak(desk, messages=1, to=())
    (note,) = desk.tell(infected(21))
    assert isinstance(note, Note)


def test_pause(desk: Desk) -> None:
    """OUT-05: an option."""
    outbreak(desk, messages=1, pause=True)
    assert isinstance(desk.tell(infected(1))[-1], Pause)


# --- memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enabled", [True, False])
def test_what_updates_are_judged_by_is_written_always(enabled: bool) -> None:
    """LOG-01, DEF-16: without it no new definitions would be taken back by themselves."""
    settings = Settings(logging=Logging(enabled=enabled))
    for event in (
        events.DefinitionsLoaded(revision="r", signatures=1),
        events.DefinitionsRefused(reason="r"),
        events.ScannerCrashed(smtp_id="1", count=1, reason="r"),
    ):
        assert is_written(event, settings) and not told_to_people(event, settings)
    assert is_written(events.Completed(smtp_id="1"), settings) is enabled


def test_memory_is_bounded(desk: Desk) -> None:
    with desk.memory.transaction():
        for number in range(RATES + 1):
            assert desk.memory.first_within(f"key {number}", desk.now)
        assert not desk.memory.first_within(f"key {RATES}", desk.now)
        assert desk.memory.first_within("key 0", desk.now)  # forgotten, as the oldest
        for number in range(SEEN + 1):
            assert desk.memory.is_new(b"%d" % number)
        assert not desk.memory.is_new(b"%d" % SEEN) and not desk.memory.is_new(b"1")
        assert desk.memory.is_new(b"0")


# --- which events are written while logging is off ----------------------------------------------------


@pytest.mark.parametrize(("name", "event"), [row[:2] for row in TABLE], ids=[f"{row[0]}-{row[3]}" for row in TABLE])
def test_what_somebody_is_told_is_written_though_logging_is_off(name: str, event: events.Event) -> None:
    """LOG-01: and nothing else is."""
    assert alert_of(event) == name
    assert told_to_people(event, Settings(alerts=msgspec.structs.replace(Alerts(), **{name: True})))
    assert not told_to_people(event, Settings())


def test_other_events_while_logging_is_off() -> None:
    """LOG-01"""
    assert told_to_people(wanted(), Settings())
    assert told_to_people(infected(1), Settings(outbreak=Outbreak(enabled=True)))
    for event in (infected(1), events.Completed(smtp_id="1"), events.QueueLengths(1, 1, 1), events.ServiceStopped()):
        assert not told_to_people(event, Settings(alerts=EVERY))


def test_texts_say_what_to_do() -> None:
    for name in Alerts.__struct_fields__:
        subject, text = alerts._TEXTS[name]
        assert subject and text.endswith(".") and "—" not in text


def test_update_sessions(desk: Desk) -> None:
    """ALR-06: three failures in a row are told once; sessions that find nothing new, or end well, are no news."""

    def session(result: str) -> list[Due]:
        return desk.tell(events.DefinitionsUpdateSession(result, "schedule", reason="no answer"))

    assert [session(result) for result in ("Succeeded", "Nothing new", "Failed", "Failed", "Nothing new")] == [[]] * 5
    assert [session("Failed"), session("Failed")] == [[], []]
    (letter,) = session("Failed")
    assert isinstance(letter, Letter)
    assert letter.subject == "Definitions update failed"
    assert "no answer" in letter.text
    assert session("Failed") == []


def test_that_definitions_are_new_enough_again_is_no_alert(desk: Desk) -> None:
    assert desk.tell(events.DefinitionsOld("2026-11-01T06:00:00Z", 9, recovered=True)) == []
