"""Saved reports: questions with a name, and who gets the answers by mail, and when.

They lie in one file that is replaced as a whole, so that it is always one that was written entirely.
"""

import hashlib
import threading
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from engine import durable

FILE_NAME: Final = "reports.json"
SAVED: Final = 100  # reports
RECIPIENTS: Final = 20  # of one
ADDRESS_LEN: Final = 256
Every = Literal["never", "day", "week", "month"]
Actions = Annotated[tuple[Annotated[str, msgspec.Meta(max_length=64)], ...], msgspec.Meta(max_length=100)]


class Schedule(msgspec.Struct, frozen=True):
    """every: a report of the day, week (Monday to Sunday) or month that is over. hour, minute: of the server's zone."""

    every: Every = "never"
    hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 6
    minute: Annotated[int, msgspec.Meta(ge=0, le=59)] = 0
    recipients: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=ADDRESS_LEN)], ...], msgspec.Meta(max_length=RECIPIENTS)
    ] = ()


class SavedReport(msgspec.Struct, frozen=True):
    """kind: summary or detail. period: a name of control.reports.period, or empty: from first to until.

    sent_until: end of the last period that was mailed, microseconds since 1970.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    kind: Literal["summary", "detail"] = "summary"
    period: Annotated[str, msgspec.Meta(max_length=40)] = ""
    first: Annotated[str, msgspec.Meta(max_length=40)] = ""
    until: Annotated[str, msgspec.Meta(max_length=40)] = ""
    actions: Actions = ()
    term: Annotated[str, msgspec.Meta(max_length=200)] = ""
    schedule: Schedule = Schedule()
    sent_until: int = 0


class Full(Exception):
    """There are as many as may be."""


class SavedReports:
    """Of one installation; from any thread. Raises OSError, and ValueError for a file that is none of ours."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._lock = threading.Lock()

    def all(self) -> list[SavedReport]:
        with self._lock:
            return sorted(self._read(), key=lambda one: one.name.casefold())

    def find(self, name: str) -> SavedReport | None:
        return next((one for one in self.all() if one.name == name), None)

    def put(self, report: SavedReport, etag: str = "") -> bool:
        """Add it, or replace the one of that name. etag: of the one that is meant; empty: any, or none.

        Returns whether that was so. Raises Full.
        """
        with self._lock:
            saved = self._read()
            old = next((one for one in saved if one.name == report.name), None)
            if etag and (old is None or etag_of(old) != etag):
                return False
            others = [one for one in saved if one is not old]
            if len(others) >= SAVED:
                raise Full
            self._write([*others, report])
            return True

    def drop(self, name: str) -> bool:
        """Returns whether there was one."""
        with self._lock:
            saved = self._read()
            others = [one for one in saved if one.name != name]
            self._write(others)
            return len(others) < len(saved)

    def mark_sent(self, name: str, until: int) -> None:
        with self._lock:
            marked = [
                msgspec.structs.replace(one, sent_until=until) if one.name == name else one for one in self._read()
            ]
            self._write(marked)

    def _read(self) -> list[SavedReport]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[SavedReport])
        except FileNotFoundError:
            return []

    def _write(self, saved: list[SavedReport]) -> None:
        durable.put(self._path, msgspec.json.format(msgspec.json.encode(saved)))


def etag_of(report: SavedReport) -> str:
    """Of what people change in it."""
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(report, sent_until=0))).hexdigest()[:24]
