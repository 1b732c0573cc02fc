"""Looks now and then at what nobody else tells of: space on the disks, memory (ALR-04, ALR-05), and how long the
certificate lasts (CERT-08).

An event is written when a mark is crossed: below LOW_PERCENT it is low, above RECOVERED_PERCENT well again; in between
it stays what it was, so that a value that wavers does not make an alert each time.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from control.certificates.chain import WARN_DAYS
from control.certificates.keeper import Installed
from control.post.self_test import SelfTest
from engine import events
from engine.layout import Layout

PERIOD_S: Final = 30.0
LOW_PERCENT: Final = 10.0
RECOVERED_PERCENT: Final = 12.0
CERTIFICATE: Final = "certificate"
CERTIFICATE_DAYS: Final = (WARN_DAYS, 7, 1, 0)  # an event when fewer are left; 0: it has expired
DAY_S: Final = 86_400.0
UNLIMITED: Final = 1 << 60  # what cgroup v1 says for no limit is near 2^63


class Readings:
    """What there is, in per cent; None where it cannot be told."""

    def __init__(self, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._cgroup = cgroup

    def disk(self, path: Path) -> float | None:
        """Of the space that the service may use, as `df` counts."""
        try:
            found = os.statvfs(path)
        except OSError:
            return None
        usable = found.f_blocks - found.f_bfree + found.f_bavail
        return 100.0 * found.f_bavail / usable if usable else None

    def memory(self) -> float | None:
        """Available memory of the machine, or what is left of the container's limit, whichever is less."""
        found = [one for one in (self._machine(), self._container()) if one is not None]
        return min(found, default=None)

    def _machine(self) -> float | None:
        fields = {}
        for line in _text(self._proc / "meminfo").splitlines():
            name, _, value = line.partition(":")
            fields[name] = _number(value.removesuffix("kB"))
        return _percent(fields.get("MemAvailable"), fields.get("MemTotal"))

    def _container(self) -> float | None:
        """The tightest limit of the control groups that we are in: version 2, else version 1."""
        own = _text(self._proc / "self" / "cgroup").splitlines()
        group = next((line[3:] for line in own if line.startswith("0::")), "/")
        found = []
        path = Path(os.path.normpath("/" + group))
        for one in (path, *path.parents):
            place = self._cgroup / str(one).lstrip("/")
            found.append(_left(place, "memory.max", "memory.current", "inactive_file"))
        old = self._cgroup / "memory"
        found.append(_left(old, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"))
        return min((one for one in found if one is not None), default=None)


def _left(place: Path, limit: str, usage: str, cache: str) -> float | None:
    """What is left of a control group's limit. Pages of files that nobody uses can be had at any time."""
    most, used = _number(_text(place / limit)), _number(_text(place / usage))
    if most is None or used is None or most > UNLIMITED:
        return None
    for line in _text(place / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == cache:
            used -= _number(value) or 0
    return _percent(max(0, most - used), most)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(text: str) -> int | None:
    return int(text) if text.strip().isdecimal() else None


def _percent(part: int | None, whole: int | None) -> float | None:
    return 100.0 * part / whole if part is not None and whole else None


class Mark:
    """One reading and on which side of the marks it was last."""

    def __init__(self, is_low: bool = False) -> None:
        self._is_low = is_low

    def crossed(self, percent: float | None) -> bool:
        """Whether it is low now and was not, or the other way round."""
        if percent is None:
            return False
        low = percent < LOW_PERCENT or (self._is_low and percent <= RECOVERED_PERCENT)
        crossed, self._is_low = low != self._is_low, low
        return crossed

    @property
    def is_low(self) -> bool:
        return self._is_low


class Countdown:
    """How near the end of the certificate is: the last of CERTIFICATE_DAYS that was passed, None before all of them."""

    def __init__(self, passed: int | None) -> None:
        self._passed = passed

    def moved(self, left_days: float, warn_days: int) -> bool:
        """Whether another one was passed, or there is a certificate that lasts longer. warn_days: more do not count."""
        passed = min((step for step in CERTIFICATE_DAYS if left_days < step <= warn_days), default=None)
        moved, self._passed = passed != self._passed, passed
        return moved

    @property
    def passed(self) -> int | None:
        return self._passed


class Watchers:
    """Call `look` as often as you like: it looks every PERIOD_S. clock: seconds, monotonic.

    was_low: what is known from before the start, by the name of a directory, `memory`, or `certificate` and days, so
    that what was low all the time is not told of again and what recovered meanwhile is. installed: the certificate in
    force.
    """

    def __init__(
        self,
        layout: Layout,
        event: Callable[[events.Event], None],
        clock: Callable[[], float],
        readings: Readings | None = None,
        installed: Callable[[], Installed | None] = lambda: None,
        wall_clock: Callable[[], float] = time.time,
        self_test: SelfTest | None = None,
    ) -> None:
        # DIR-02, DIR-04, DIR-06. Scanners write no files; what they map, the definitions in use, lies in `run`.
        self._directories = {"logging": layout.journal, "scanning": layout.run, "mail queue": layout.queue}
        self._event = event
        self._clock = clock
        self._readings = readings or Readings()
        self._marks: dict[str, Mark] = {}
        self._installed = installed
        self._wall_clock = wall_clock
        self._self_test = self_test
        self._countdown: Countdown | None = None
        self._due = clock()

    def look(self, was_low: Callable[[str], bool]) -> None:
        if self._clock() < self._due:
            return
        self._due = self._clock() + PERIOD_S
        for directory, path in self._directories.items():
            percent = self._readings.disk(path)
            mark = self._marks.setdefault(directory, Mark(was_low(directory)))
            if mark.crossed(percent) and percent is not None:
                self._event(
                    events.LowDisk(
                        directory=directory, path=str(path), free_percent=round(percent, 1), recovered=not mark.is_low
                    )
                )
        percent = self._readings.memory()
        mark = self._marks.setdefault("memory", Mark(was_low("memory")))
        if mark.crossed(percent) and percent is not None:
            self._event(events.LowMemory(free_percent=round(percent, 1), recovered=not mark.is_low))
        if (found := self._installed()) is not None:
            self._look_at_certificate(found, was_low)
        if self._self_test is not None:
            self._self_test.look()

    def _look_at_certificate(self, found: Installed, was_low: Callable[[str], bool]) -> None:
        if self._countdown is None:
            told = (days for days in CERTIFICATE_DAYS if was_low(f"{CERTIFICATE} {days}"))
            self._countdown = Countdown(min(told, default=None))
        before = self._countdown.passed
        left_s = found.expires.timestamp() - self._wall_clock()
        if not self._countdown.moved(left_s / DAY_S, found.warn_days):
            return
        passed = self._countdown.passed
        recovered = passed is None or (before is not None and passed > before)
        if recovered:
            self._tell_of_certificate(found, before or 0, recovered=True)
        if passed is not None:
            self._tell_of_certificate(found, passed, recovered=False)

    def _tell_of_certificate(self, found: Installed, days: int, recovered: bool) -> None:
        self._event(
            events.CertificateExpires(
                subject=found.subject,
                expires=found.expires.isoformat(timespec="seconds"),
                within_days=days,
                recovered=recovered,
            )
        )
