"""The postman: every event leads to its mail once, whenever a process dies, whatever happens to the journal."""

import asyncio
import email
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from control.post.memory import WAITING, Memory
from control.post.postman import AGAIN_S, FILE_NAME, Postman
from engine import config, events
from engine.command import Answer, Command, CommandFailed, CommandServer
from engine.config import Alerts, Delivery, Notifications, Outbreak, Settings, Smtp
from engine.journal import JournalWriter, file_name
from engine.layout import Layout
from engine.queue.errors import QueueFull

SETTINGS = Settings(
    smtp=Smtp(hostname="gw.example.com"),
    notifications=Notifications(administrators=("postmaster@example.com",)),
    alerts=Alerts(start=True, stop=True, http_violation=True, unauthorized=True),
)


class Dies(BaseException):
    """The process is killed here."""


class Relay:
    """A real command socket, in a thread, that keeps what it is given as a relay does: each word once."""

    def __init__(self, path: Path) -> None:
        self.taken: dict[str, Command] = {}
        self.asked = 0
        self.fault: Exception | None = None
        self._path = path
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = CommandServer(path, self._perform)
        self._do(self._server.start())

    def _do(self, work) -> None:  # type: ignore[no-untyped-def]
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _perform(self, command: Command) -> Answer:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        self.taken.setdefault(command.id, command)
        return Answer(True, count=1)

    def subjects(self) -> list[str]:
        return [email.message_from_bytes(command.content)["Subject"] for command in self.taken.values()]

    def stop(self) -> None:
        self._do(self._server.stop())
        self._do(self._settle())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _settle(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class Room:
    """An installation without processes. now: seconds since 1970, for the postman."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.now = 1_800_000_000.0
        self.settings = SETTINGS
        self.told: list[events.Event] = []
        self.journal = JournalWriter(self.layout.journal, "supervisor")
        self.other = JournalWriter(self.layout.journal, "relay-0")
        self.relay: Relay | None = None
        self._postmen: list[Postman] = []

    def start_relay(self, number: int = 0) -> Relay:
        self.relay = Relay(self.layout.command_socket(number))
        return self.relay

    def postman(self, event: Callable[[events.Event], None] | None = None) -> Postman:
        """A new one, as after a restart of its process."""
        self.close_postmen()
        one = Postman(
            self.layout, lambda: self.settings, lambda: "gw.example.com", event or self.told.append, lambda: self.now
        )
        self._postmen.append(one)
        return one

    def close_postmen(self) -> None:
        for one in self._postmen:
            if one._memory is not None:
                one._memory.close()
        self._postmen = []

    def close(self) -> None:
        self.close_postmen()
        self.journal.close()
        self.other.close()
        if self.relay is not None:
            self.relay.stop()

    def kinds(self) -> list[str]:
        return [one.kind for one in self.told if isinstance(one, events.AlertSent)]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    one = Room(tmp_path)
    yield one
    one.close()


def begin(room: Room) -> Postman:
    """One that has read the start of the run."""
    room.journal.write(events.ServiceStarted(version="1"))
    postman = room.postman()
    postman.step()
    return postman


def violation(client: str) -> events.Event:
    return events.HttpViolation(client, "x")


def test_an_event_becomes_one_mail(room: Room) -> None:
    """ALR-01, SMTP-09: to those who are named, from the gateway's own account, told in the journal."""
    relay = room.start_relay()
    postman = begin(room)
    postman.step()
    (command,) = relay.taken.values()
    assert command.to == ("postmaster@example.com",)
    message = email.message_from_bytes(command.content)
    assert (message["Subject"], message["From"]) == ("Gateway started", '"Mailward" <mailward-noreply@gw.example.com>')
    (sent,) = room.told
    assert isinstance(sent, events.AlertSent) and (sent.kind, sent.recipients) == ("start", 1)


def test_without_a_relay_mail_waits_in_order(room: Room) -> None:
    """ALR-03: what could not be handed over before the stop is sent at the next start; nothing is lost."""
    begin(room)
    room.journal.write(events.ServiceStopping())
    room.journal.write(events.ServiceStarted(version="1"))
    postman = room.postman()
    postman.step()
    assert not room.told
    relay = room.start_relay()
    postman.step()
    assert not relay.taken  # it waits a little before it asks again
    room.now += AGAIN_S
    postman.step()
    assert relay.subjects() == ["Gateway started", "Gateway stopped", "Gateway started"]


def test_a_clock_that_is_set_back_does_not_keep_mail_waiting(room: Room) -> None:
    postman = begin(room)
    room.now -= 86_400
    relay = room.start_relay()
    postman.step()
    assert relay.subjects() == ["Gateway started"]


@pytest.mark.parametrize("fault", [QueueFull("no room"), ZeroDivisionError()])
def test_a_relay_that_cannot_now_is_asked_again(room: Room, fault: Exception) -> None:
    relay = room.start_relay()
    relay.fault = fault
    postman = begin(room)
    assert not relay.taken and relay.asked
    relay.fault = None
    room.now += AGAIN_S
    postman.step()
    assert relay.subjects() == ["Gateway started"]


def test_what_a_relay_refuses_for_good_holds_up_nothing(room: Room) -> None:
    relay = room.start_relay()
    relay.fault = CommandFailed("no such address")
    postman = begin(room)
    relay.fault = None
    (note,) = room.told
    assert isinstance(note, events.AlertSuppressed) and note.reason == "no such address"
    room.other.write(violation("192.0.2.1"))
    postman.step()
    assert relay.subjects() == ["HTTP protocol violation"]


def test_mail_that_nobody_takes_is_given_up_after_days(room: Room) -> None:
    """As long as mail of others is tried (DLV-04)."""
    postman = begin(room)
    room.now += SETTINGS.delivery.days * 86_400
    postman.step()
    assert not room.told
    room.now += AGAIN_S + 1
    postman.step()
    (note,) = room.told
    assert isinstance(note, events.AlertSuppressed) and note.reason == "no relay runs"


def test_another_relay_takes_it_when_one_is_dead(room: Room) -> None:
    room.layout.command_socket(0).touch()  # left behind by one that was killed
    relay = room.start_relay(1)
    begin(room)
    assert relay.subjects() == ["Gateway started"]


STEPS = 13  # places to die in that the test below has: the last number is one more, and dies nowhere


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_killed_between_any_two_steps(room: Room, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """NTF-15, ALR-03: no mail is lost, and none is taken twice, wherever the process dies."""
    relay = room.start_relay()
    room.journal.write(events.ServiceStarted(version="1"))
    room.other.write(violation("192.0.2.1"))
    room.other.write(violation("192.0.2.1"))  # within the hour
    count = 0

    def maybe_die(*_: object) -> None:
        nonlocal count
        count += 1
        if count == step + 1:
            raise Dies

    def tell(event: events.Event) -> None:
        room.told.append(event)
        maybe_die()

    def dying(method: Callable[..., object], before: bool) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            if before:
                maybe_die()
            result = method(*arguments, **named)
            if not before:
                maybe_die()
            return result

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Memory, "add", dying(Memory.add, before=False))
        patch.setattr(Memory, "keep_position", dying(Memory.keep_position, before=False))
        patch.setattr(Memory, "done", dying(Memory.done, before=True))
        patch.setattr(Postman, "_submit", dying(Postman._submit, before=False))
        try:
            room.postman(tell).step()
            died = False
        except Dies:
            died = True
    assert died is (step < STEPS) and count == min(step + 1, STEPS)
    room.postman().step()
    assert sorted(relay.subjects()) == ["Gateway started", "HTTP protocol violation"]
    again = relay.asked
    room.postman().step()
    assert relay.asked == again
    assert {"start", "http_violation"} == set(room.kinds())


# --- the journal --------------------------------------------------------------------------------------


def test_begins_with_the_present_run(room: Room) -> None:
    """The first start of all tells nothing of what is past, but of the run that it is in (ALR-02, ALR-03)."""
    relay = room.start_relay()
    room.other.write(violation("192.0.2.1"))
    room.journal.write(events.ServiceStopping())
    room.journal.write(events.ServiceStarted(version="1", after_crash=False))
    room.other.write(violation("192.0.2.2"))
    room.postman().step()
    assert sorted(relay.subjects()) == ["Gateway started", "HTTP protocol violation"]
    assert any(b"192.0.2.2" in command.content for command in relay.taken.values())


def test_old_files_are_not_read_at_the_first_start(room: Room) -> None:
    old = room.layout.journal / file_name("relay-0", "2020-01-01")
    old.write_bytes(b'{"event":"http-violation","client":"192.0.2.9","violation":"x","time":"2020-01-01T00:00:00Z"}\n')
    os.utime(old, (1, 1))
    postman = begin(room)
    assert postman._memory is not None
    assert postman._memory.positions()[old.name].offset == old.stat().st_size


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_journal_that_is_put_back_tells_nobody_twice(room: Room, forgotten: bool) -> None:
    """Another inode with the same events, and one event more; also where they are too many to be remembered each."""
    relay = room.start_relay()
    postman = begin(room)
    for number in range(5):
        room.other.write(events.UnauthorizedAccess(f"192.0.2.{number}", "/queues"))
    postman.step()
    assert len(relay.taken) == 6
    if forgotten:
        assert postman._memory is not None
        postman._memory._connection.execute("DELETE FROM seen")
    for path in room.layout.journal.iterdir():
        copy = path.with_suffix(".copy")
        copy.write_bytes(path.read_bytes())
        copy.replace(path)
    room.other.close()
    room.other = JournalWriter(room.layout.journal, "relay-0")
    room.other.write(events.UnauthorizedAccess("192.0.2.99", "/queues"))
    postman.step()
    room.postman().step()
    assert len(relay.taken) == relay.asked == 7  # the relay would know them again: it was not even asked


def test_a_shortened_and_a_deleted_file(room: Room) -> None:
    """Retention deletes files (LOG-02); a file that was cut is read from its beginning."""
    relay = room.start_relay()
    postman = begin(room)
    room.other.write(violation("192.0.2.1"))
    postman.step()
    (path,) = room.layout.journal.glob("relay-0*")
    line = path.read_bytes()
    os.truncate(path, 0)
    postman.step()
    room.other.write(violation("192.0.2.2"))
    postman.step()
    assert len(relay.taken) == 3
    path.unlink()
    postman.step()
    assert postman._memory is not None and path.name not in postman._memory.positions()
    path.write_bytes(line)
    postman.step()
    assert len(relay.taken) == 3


def test_doubled_torn_and_foreign_lines(room: Room) -> None:
    relay = room.start_relay()
    postman = begin(room)
    path = room.layout.journal / file_name("relay-1", "2027-01-01")
    line = b'{"event":"unauthorized-access","client":"192.0.2.7","path":"/x","time":"2127-01-01T00:00:00Z"}\n'
    edited = b'{"client":"192.0.2.8","path":"/x","time":"2127-01-01T00:00:00Z","event":"unauthorized-access"}\n'
    nonsense = b'{"event":"http-violation"}\n\xff\x00\n[]\n{"event":"of another version"}\n\n'
    path.write_bytes(line + line + nonsense + edited[:20])
    postman.step()
    assert len(relay.taken) == relay.asked == 2
    with path.open("ab") as file:
        file.write(edited[20:])
    postman.step()
    assert len(relay.taken) == 3


def test_a_line_without_end_is_passed_over(room: Room) -> None:
    relay = room.start_relay()
    postman = begin(room)
    path = room.layout.journal / file_name("relay-1", "2027-01-01")
    line = b'{"event":"http-violation","client":"192.0.2.7","violation":"x","time":"2127-01-01T00:00:00Z"}\n'
    path.write_bytes(b"x" * (3 << 20) + b"\n" + line)
    while postman.step():
        pass
    assert len(relay.taken) == 2


def test_reading_waits_while_too_much_waits(room: Room) -> None:
    postman = begin(room)
    memory = postman._memory
    assert memory is not None
    number, item = memory.next() or pytest.fail("nothing waits")
    with memory.transaction():
        for _ in range(WAITING - 1):
            memory.add(item)
    room.other.write(violation("192.0.2.1"))
    room.now += AGAIN_S
    postman.step()
    assert memory.waiting() == WAITING
    with memory.transaction():
        memory.done(number)
    postman.step()
    assert memory.waiting() == WAITING


# --- what else it does --------------------------------------------------------------------------------


def test_outbreak_pauses_delivery_where_that_is_set(room: Room) -> None:
    """OUT-05: as a person would do it, told as a change, and only once."""
    outbreak = Outbreak(enabled=True, messages=1, minutes=1, recipients=("o@example.com",), pause=True)
    room.settings = Settings(outbreak=outbreak, delivery=Delivery(days=7))
    config.save(room.settings, room.layout.config)
    relay = room.start_relay()
    postman = begin(room)
    room.other.write(events.FileDeleted(smtp_id="1ABC", virus="Worm", part="2"))
    postman.step()
    found = config.load(room.layout.config)
    assert found.delivery == Delivery(days=7, pause=True) and found.outbreak == outbreak
    assert relay.subjects() == ["Possible virus outbreak"]
    (modified,) = [one for one in room.told if isinstance(one, events.ObjectModified)]
    assert modified.object == "delivery.pause"


def test_a_broken_settings_file_is_left_alone(room: Room) -> None:
    """OUT-05"""
    room.settings = Settings(outbreak=Outbreak(enabled=True, messages=1, minutes=1, pause=True))
    room.layout.config.write_text("[smtp\n")
    postman = begin(room)
    room.other.write(events.FileDeleted(smtp_id="1ABC", virus="Worm", part="2"))
    postman.step()
    assert room.layout.config.read_text() == "[smtp\n"
    assert any(isinstance(one, events.AlertSuppressed) and "paused" in one.reason for one in room.told)


def test_a_damaged_memory_is_set_aside(room: Room) -> None:
    """What is known is lost then: the present run is told again."""
    (room.layout.control / FILE_NAME).write_bytes(b"no database" * 1000)
    relay = room.start_relay()
    begin(room)
    assert relay.subjects() == ["Gateway started"]
    assert (room.layout.control / "postman.damaged").exists()


def test_a_failure_is_kept_inside(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages are not taken down by it, and say so; then it goes on."""
    relay = room.start_relay()
    room.journal.write(events.ServiceStarted(version="1"))
    postman = room.postman()
    with monkeypatch.context() as patch:
        patch.setattr(Memory, "positions", lambda self: 1 / 0)
        assert postman._guarded() is False
    assert "division" in postman.problem
    postman._guarded()
    assert not postman.problem and relay.subjects() == ["Gateway started"]


@pytest.mark.parametrize("method", ["is_new", "first_within", "below", "add", "keep_position"])
def test_a_memory_that_cannot_be_written_loses_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """ALR-12: the disk is full just when an event is looked at; it is told when there is room."""
    relay = room.start_relay()
    postman = begin(room)
    room.other.write(violation("192.0.2.1"))

    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Memory, method, full)
        assert postman._guarded() is False
    assert "disk is full" in postman.problem
    postman._guarded()
    assert relay.subjects() == ["Gateway started", "HTTP protocol violation"]


def test_one_event_that_cannot_be_understood_stops_nothing(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = room.start_relay()
    postman = begin(room)
    room.other.write(
        events.NotificationWanted(smtp_id="1", kind="unheard-of", audience="sender", to="a@example.net", values={})
    )
    room.other.write(violation("192.0.2.1"))
    postman.step()
    assert relay.subjects() == ["Gateway started", "HTTP protocol violation"]
