"""Low disk space and low memory: where the marks are, and what is read (ALR-04, ALR-05)."""

import datetime
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.certificates.keeper import Installed
from control.post.watchers import CERTIFICATE_DAYS, LOW_PERCENT, PERIOD_S, RECOVERED_PERCENT, Mark, Readings, Watchers
from engine import events
from engine.layout import Layout


class Fake(Readings):
    """Readings that a test sets; None: cannot be told."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.disks: dict[Path, float | None] = dict.fromkeys((layout.journal, layout.run, layout.queue), 50.0)
        self.memory_percent: float | None = 50.0

    def disk(self, path: Path) -> float | None:
        return self.disks[path]

    def memory(self) -> float | None:
        return self.memory_percent


class Room:
    def __init__(self, root: Path, was_low: set[str] | None = None) -> None:
        self.layout = Layout(root)
        self.readings = Fake(self.layout)
        self.told: list[events.Event] = []
        self.now = 0.0
        self.was_low = was_low or set()
        self.left_days: float | None = None
        self.lasts_days = 90.0
        self.watchers = Watchers(
            self.layout, self.told.append, lambda: self.now, self.readings, self.installed, lambda: 0.0
        )

    def installed(self) -> Installed | None:
        if self.left_days is None:
            return None
        time = datetime.datetime.fromtimestamp(0, datetime.UTC)
        expires = time + datetime.timedelta(days=self.left_days)
        return Installed(
            source=None, subject="CN=gw", issuer="CN=ca", names=("gw",), self_signed=False, key="", key_installed=time,
            installed=time, begins=expires - datetime.timedelta(days=self.lasts_days), expires=expires, serial="1",
            fingerprint="", chain=(),
        )  # fmt: skip

    def steps(self, left_days: float) -> list[tuple[int, bool]]:
        """What is told of a certificate that lasts so long: days, and whether it is good news."""
        self.left_days = left_days
        return [(one.within_days, one.recovered) for one in self.look() if isinstance(one, events.CertificateExpires)]

    def look(self) -> list[events.Event]:
        """What is told of now."""
        self.told.clear()
        self.watchers.look(self.was_low.__contains__)
        self.now += PERIOD_S
        return list(self.told)


def test_the_certificate_is_told_of_step_by_step(tmp_path: Path) -> None:
    """CERT-08: 30 days ahead, and again as the end comes near; a new one is good news."""
    room = Room(tmp_path)
    assert not room.steps(30.0)
    for days in CERTIFICATE_DAYS:
        assert room.steps(days - 0.001) == [(days, False)]
        assert not room.steps(days - 0.002)
    assert room.steps(20) == [(0, True), (30, False)]
    assert room.steps(90) == [(30, True)]
    assert not room.steps(89)


def test_a_short_certificate_is_told_of_when_it_should_have_been_renewed(tmp_path: Path) -> None:
    """CERT-08"""
    room = Room(tmp_path)
    room.lasts_days = 6.0
    assert not room.steps(1.1)
    assert room.steps(0.9) == [(1, False)]


def test_what_was_told_of_the_certificate_before_the_start_is_not_told_again(tmp_path: Path) -> None:
    """CERT-08"""
    assert not Room(tmp_path, {"certificate 30", "certificate 7"}).steps(6)
    assert Room(tmp_path, {"certificate 30"}).steps(6) == [(7, False)]
    assert Room(tmp_path, {"certificate 30", "certificate 7"}).steps(60) == [(7, True)]
    assert Room(tmp_path).steps(-1) == [(0, False)]


@pytest.mark.parametrize("directory", ["logging", "scanning", "mail queue"])
def test_each_directory(tmp_path: Path, directory: str) -> None:
    """ALR-04, LOG-04: each of the three by itself; once below 10 %, again only after more than 12 %."""
    room = Room(tmp_path)
    layout = room.layout
    path = {"logging": layout.journal, "scanning": layout.run, "mail queue": layout.queue}[directory]
    room.readings.disks[path] = LOW_PERCENT
    assert not room.look()
    room.readings.disks[path] = LOW_PERCENT - 0.1
    assert room.look() == [events.LowDisk(directory, str(path), 9.9)]
    for wavering in (LOW_PERCENT + 1, LOW_PERCENT - 5, RECOVERED_PERCENT):
        room.readings.disks[path] = wavering
        assert not room.look()
    room.readings.disks[path] = RECOVERED_PERCENT + 0.1
    assert room.look() == [events.LowDisk(directory, str(path), 12.1, recovered=True)]
    room.readings.disks[path] = 0.0
    assert room.look() == [events.LowDisk(directory, str(path), 0.0)]


def test_memory(tmp_path: Path) -> None:
    """ALR-05"""
    room = Room(tmp_path)
    assert not room.look()
    room.readings.memory_percent = 9.0
    assert room.look() == [events.LowMemory(9.0)]
    assert not room.look()
    room.readings.memory_percent = 13.0
    assert room.look() == [events.LowMemory(13.0, recovered=True)]


def test_what_was_low_before_the_start(tmp_path: Path) -> None:
    """ALR-04: no second alert for it, and its recovery is noticed."""
    room = Room(tmp_path, {"mail queue", "memory"})
    room.readings.disks[room.layout.queue] = 5.0
    assert room.look() == [events.LowMemory(50.0, recovered=True)]
    room.readings.disks[room.layout.queue] = 50.0
    assert room.look() == [events.LowDisk("mail queue", str(room.layout.queue), 50.0, recovered=True)]


def test_what_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.readings.memory_percent = 5.0
    room.look()
    room.readings.memory_percent = None
    room.readings.disks[room.layout.queue] = None
    assert not room.look()
    assert Readings().disk(tmp_path / "nowhere") is None


def test_looks_only_now_and_then(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.look()
    room.now -= 1
    room.readings.memory_percent = 5.0
    assert not room.look()
    assert room.look()


@given(st.lists(st.one_of(st.none(), st.floats(0, 100))))
def test_crossings_alternate(percents: list[float | None]) -> None:
    """ALR-04: low, well, low ...; never the same twice in a row."""
    mark, states = Mark(), [False]
    for percent in percents:
        if mark.crossed(percent):
            states.append(mark.is_low)
        assert mark.is_low is states[-1]
        if percent is not None and percent < LOW_PERCENT:
            assert mark.is_low
        if percent is not None and percent > RECOVERED_PERCENT:
            assert not mark.is_low
    assert all(a is not b for a, b in itertools.pairwise(states))


# --- what is read -------------------------------------------------------------------------------------


def proc(tmp_path: Path, available: int = 500, total: int = 1000, group: str = "0::/a.slice/b.service\n") -> Path:
    found = tmp_path / "proc"
    (found / "self").mkdir(parents=True, exist_ok=True)
    (found / "meminfo").write_text(f"MemTotal: {total} kB\nMemFree: 1 kB\nMemAvailable:  {available} kB\nOdd\n")
    (found / "self" / "cgroup").write_text(group)
    return found


def limited(place: Path, limit: str, used: int, inactive: int = 0) -> None:
    place.mkdir(parents=True, exist_ok=True)
    (place / "memory.max").write_text(limit + "\n")
    (place / "memory.current").write_text(f"{used}\n")
    (place / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_memory_of_the_machine(tmp_path: Path) -> None:
    """ALR-05: available memory."""
    assert Readings(proc(tmp_path, 95), tmp_path / "none").memory() == 9.5


def test_limit_of_the_container_counts_if_it_is_tighter(tmp_path: Path) -> None:
    """ALR-05: of our own control group or of one above it; pages of files can be had at any time."""
    cgroup = tmp_path / "cgroup"
    readings = Readings(proc(tmp_path), cgroup)
    limited(cgroup / "a.slice" / "b.service", "max", 900)
    assert readings.memory() == 50.0
    limited(cgroup / "a.slice", "1000", 950, 50)
    assert readings.memory() == 10.0
    limited(cgroup / "a.slice" / "b.service", "1000", 1200)
    assert readings.memory() == 0.0
    limited(cgroup / "a.slice", "100000", 1)
    limited(cgroup / "a.slice" / "b.service", "1000", 10)
    assert readings.memory() == 50.0


def test_inside_a_container(tmp_path: Path) -> None:
    """ALR-05: there its own group is the root; version 1 has other names."""
    limited(tmp_path / "cgroup", "1000", 920)
    assert Readings(proc(tmp_path, group="0::/\n"), tmp_path / "cgroup").memory() == 8.0
    old = tmp_path / "old" / "memory"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("1000")
    (old / "memory.usage_in_bytes").write_text("700")
    (old / "memory.stat").write_text("total_inactive_file 10")
    assert Readings(proc(tmp_path, group="4:memory:/\n"), tmp_path / "old").memory() == 31.0
    (old / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert Readings(proc(tmp_path, group="4:memory:/\n"), tmp_path / "old").memory() == 50.0


@given(st.text(max_size=200), st.text(max_size=50))
def test_any_text_is_survived(tmp_path_factory: pytest.TempPathFactory, text: str, group: str) -> None:
    folder = tmp_path_factory.mktemp("r")
    found = proc(folder)
    (found / "meminfo").write_text(text)
    (found / "self" / "cgroup").write_text("0::/../../" + group.replace("\0", "") + "\n")
    percent = Readings(found, folder / "cgroup").memory()
    assert percent is None or percent >= 0


def test_this_machine(tmp_path: Path) -> None:
    readings = Readings()
    assert 0.0 <= (readings.disk(tmp_path) or 0.0) <= 100.0
    memory = readings.memory()
    assert memory is not None and 0.0 <= memory <= 100.0
