"""All of one relay: its share, its age limit, its settings (DIAG-02..05, DIAG-09)."""

from pathlib import Path

import msgspec
import pytest

from engine.config import (
    ConfigError,
    ConversationLog,
    DataStream,
    Diagnostics,
    ErrorClass,
    LogLevel,
    SaveQueueFiles,
    Settings,
    parse,
    remarks,
)
from engine.diagnostics import files
from engine.diagnostics.keeper import DAY_NS, Keeper
from engine.ids import IdMaker
from engine.limits import MIB
from engine.queue.state import MessageState
from engine.queue.store import Extent
from engine.smtp.gate import ClientInfo

START_NS = 1_900_000_000 * 1_000_000_000
LOGGED = Diagnostics(inbound=ConversationLog(LogLevel.ALL))


class NoStore:
    def extents(self, message: MessageState) -> list[Extent]:
        return []


class Clock:
    now_ns = START_NS

    def __call__(self) -> int:
        return self.now_ns


def keeper(directory: Path, number: int, clock: Clock, settings: Diagnostics = LOGGED) -> Keeper:
    return Keeper(directory, number, 2, NoStore(), settings, print, clock)


def talk(one: Keeper, number: int, clock: Clock) -> None:
    """A connection with relay `number`."""
    ids = IdMaker(number, clock)
    record = one.recorder.inbound(ClientInfo("192.0.2.1", 1, ids.next().lower()))
    if record is not None:
        record.end("closed")


def test_defaults() -> None:
    """DIAG-01, DIAG-02, DIAG-03, DIAG-04, DIAG-05, DIAG-09."""
    assert Diagnostics() == Diagnostics(
        save_queue_files=SaveQueueFiles.DISABLE,
        max_mb=1024,
        keep_days=7,
        inbound=ConversationLog(LogLevel.DISABLE, ErrorClass.ALL, DataStream.IGNORE),
        outbound=ConversationLog(LogLevel.DISABLE, ErrorClass.ALL, DataStream.IGNORE),
    )


def test_relays_share_the_room_and_leave_each_others_files_alone(tmp_path: Path) -> None:
    """DIAG-02: also after a start, and for files of relays that there are no more."""
    clock = Clock()
    both = [keeper(tmp_path, number, clock) for number in range(2)]
    for number, one in enumerate(both):
        assert one.room.max_len == 512 * MIB
        for _ in range(number + 1):
            clock.now_ns += 1_000_000
            talk(one, number, clock)
    talk(both[0], 2, clock)  # as if there had been a third one
    again = [keeper(tmp_path, number, clock) for number in range(2)]
    assert [len(one.room) for one in again] == [2, 2]
    again[1].room.sweep("2999")
    assert sorted(file.id[-2:] for file in files.listing(tmp_path)) == ["00", "02"]


def test_age(tmp_path: Path) -> None:
    """DIAG-02: until the last second of keep_days, counted from the beginning; a shorter time counts at once."""
    clock = Clock()
    one = keeper(tmp_path, 0, clock)
    talk(one, 0, clock)
    clock.now_ns += 7 * DAY_NS
    one.sweep()
    assert len(files.listing(tmp_path)) == 1
    clock.now_ns += 1_000_000_000
    one.sweep()
    assert files.listing(tmp_path) == []
    talk(one, 0, clock)
    clock.now_ns += DAY_NS + 1_000_000_000
    one.apply(msgspec.structs.replace(LOGGED, keep_days=1))
    one.sweep()
    assert files.listing(tmp_path) == []


def test_new_settings_are_for_new_conversations(tmp_path: Path) -> None:
    """DIAG-03."""
    clock = Clock()
    one = keeper(tmp_path, 0, clock, Diagnostics())
    talk(one, 0, clock)
    one.apply(LOGGED)
    begun = one.recorder.inbound(ClientInfo("192.0.2.1", 1, IdMaker(0, clock).next().lower()))
    one.apply(Diagnostics())
    assert begun is not None and files.listing(tmp_path) == []
    begun.end("closed")
    assert one.recorder.inbound(ClientInfo("192.0.2.1", 1, "c")) is None
    assert one.recorder.outbound("mx.example", "c", 1) is None
    assert len(files.listing(tmp_path)) == 1


def remarked(settings: Settings) -> list[str]:
    """What of the diagnostics is remarked on."""
    return [one.setting for one in remarks(settings) if one.setting.startswith("diagnostics.")]


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_keeping_mail_is_remarked_on(direction: str) -> None:
    """DIAG-09: a warning where the content of mail is kept, and only there."""
    echo = ConversationLog(LogLevel.ALL, data=DataStream.ECHO)
    off = ConversationLog(data=DataStream.ECHO)
    for log, expected in ((echo, [f"diagnostics.{direction}.data"]), (off, [])):
        settings = Settings(diagnostics=Diagnostics(**{direction: log}))  # type: ignore[arg-type]
        assert remarked(settings) == expected
    saving = Settings(diagnostics=Diagnostics(save_queue_files=SaveQueueFiles.ON_CRASH))
    assert remarked(saving) == ["diagnostics.save_queue_files"]


@pytest.mark.parametrize(("name", "value"), [("max_mb", 15), ("max_mb", 1048577), ("keep_days", 0), ("keep_days", 366)])
def test_bounds_of_the_bounds(name: str, value: int) -> None:
    """DIAG-02."""
    with pytest.raises(ConfigError, match=f"diagnostics.{name}"):
        parse(f"[diagnostics]\n{name} = {value}\n")
