"""Files sent to an analysis service (QRN-08): off unless it is set up, and each only after somebody's approval, unless
that is set otherwise. docs/samples.md describes what is sent; nothing of it says whose mail it was.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import requests

from control.actor import Actor
from control.operation import Conflict, NotFound, Unavailable
from control.quarantine_server import settings as server_settings
from control.quarantine_server.desk import AUTOMATIC, Desk
from control.quarantine_server.index import Entry, Index
from control.quarantine_server.store import Store
from control.quarantine_server.work import Work
from engine.policy.metatags import clean
from engine.scan.facts import Verdict

TRIES: Final = 10
FIRST_S: Final = 60
LONGEST_S: Final = 6 * 3600
LOOK_S: Final = 5.0
ANSWER_LEN: Final = 64 * 1024  # octets that are read
SHOWN_LEN: Final = 300  # characters of it that are kept
_S: Final = 1_000_000
log: Final = logging.getLogger(__name__)


class About(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a service is told of a sample; no names of files and no addresses: they may tell who somebody is."""

    sha256: str
    size: int
    kind: str = ""
    viruses: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    definitions: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What a service may say; all of it is only shown."""

    text: str = ""


class Samples(Work):
    """Sends what waits, one after the other. States of a sample: waiting, sent, refused, failed."""

    def __init__(
        self, store: Store, desk: Desk, settings: server_settings.Samples, root: Path, now_us: Callable[[], int]
    ) -> None:
        super().__init__("samples", LOOK_S, "samples are not sent")
        self._store = store
        self._desk = desk
        self.settings = settings
        self._root = root
        self._now_us = now_us

    @property
    def _index(self) -> Index:
        return self._store.index

    def approve(self, actor: Actor, number: int) -> None:
        """Have an item's file sent. Raises NotFound, Conflict."""
        entry = self._desk.one(number)
        if not self.settings.enabled:
            raise Conflict("No analysis service is set up: see [samples] in quarantine.toml.")
        if entry.item.size > self.settings.max_mb << 20:
            raise Conflict(f"The file is larger than the {self.settings.max_mb} MB of samples.max_mb.")
        if entry.sample in ("waiting", "sent"):
            raise Conflict("This file was sent before, or waits to be sent.")
        self._wait(entry, actor.user)
        self._desk.note(actor, "approved it as a sample", entry)

    def propose(self, entry: Entry) -> None:
        """A file was scanned again: where that is set, it goes without being asked if it still has no name."""
        settings = self.settings
        unnamed = entry.verdict != Verdict.INFECTED or all(name.startswith("Heuristic.") for name in entry.names)
        small = entry.item.size <= settings.max_mb << 20
        if settings.enabled and settings.automatic and unnamed and small and not entry.sample:
            self._wait(entry, AUTOMATIC)
            self._index.note(self._now_us(), AUTOMATIC, "", "will be sent as a sample", entry.number)

    def _wait(self, entry: Entry, user: str) -> None:
        now = self._now_us()
        with self._index.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sample (sha256, state, user, time, due) VALUES (?, 'waiting', ?, ?, ?)",
                (entry.item.sha256, user, now, now),
            )
        self.wake()

    # --- sending ------------------------------------------------------------------------------------

    def look(self) -> None:
        while self.settings.enabled and self.goes_on and self._one():
            pass

    def stop(self, patience_s: float | None = None) -> None:
        super().stop(self.settings.timeout_s if patience_s is None else patience_s)

    def _one(self) -> bool:
        """Send what is due. False: nothing is."""
        with self._index.transaction() as connection:
            row = connection.execute(
                "SELECT sha256, attempts, (SELECT MAX(number) FROM item WHERE item.sha256 = sample.sha256)"
                " FROM sample WHERE state = 'waiting' AND due <= ? ORDER BY due LIMIT 1",
                (self._now_us(),),
            ).fetchone()
        if row is None:
            return False
        sha256, attempts, number = row
        entry = self._index.entry(number) if number is not None else None
        if entry is None:
            return False
        state, text = self._sent(entry)
        attempts += 1
        if state == "waiting" and attempts >= TRIES:
            state = "failed"
        pause_s = min(FIRST_S << min(attempts - 1, 20), LONGEST_S)
        with self._index.transaction() as connection:
            connection.execute(
                "UPDATE sample SET state = ?, attempts = ?, due = ?, answer = ? WHERE sha256 = ?",
                (state, attempts, self._now_us() + pause_s * _S, clean(text, SHOWN_LEN), sha256),
            )
        if state != "waiting":
            self._index.note(self._now_us(), AUTOMATIC, "", clean(f"sample {state}: {text}", SHOWN_LEN), number)
        return True

    def _sent(self, entry: Entry) -> tuple[str, str]:
        """The state that an attempt leads to, and what was said."""
        settings, item = self.settings, entry.item
        try:
            headers = {"content-type": "application/zip"} | self._authorization()
            archive = self._desk.zipped(entry, about(entry))
            with (
                archive,
                requests.put(
                    f"{settings.url.rstrip('/')}/{item.sha256}",
                    data=archive,
                    headers=headers,
                    timeout=settings.timeout_s,
                    allow_redirects=False,
                    stream=True,
                ) as answer,
            ):
                text = _text_of(answer, time.monotonic() + settings.timeout_s)
                status = answer.status_code
        except NotFound as error:
            return "failed", error.text
        except Unavailable as error:
            return "waiting", error.text
        except (requests.RequestException, OSError) as error:
            return "waiting", f"the service cannot be reached: {type(error).__name__}"
        if status in (200, 201, 202, 204, 409):
            return "sent", text or "taken"
        if status in (408, 425, 429) or status >= 500:
            return "waiting", f"{status} {text}"
        return "refused", f"{status} {text}"

    def _authorization(self) -> dict[str, str]:
        """Raises OSError."""
        if not self.settings.token_file:
            return {}
        token = (self._root / self.settings.token_file).read_text(encoding="utf-8").strip()
        return {"authorization": f"Bearer {token}"}


def about(entry: Entry) -> About:
    item = entry.item
    names = tuple(dict.fromkeys((*item.viruses, *entry.names)))
    return About(item.sha256, item.size, item.kind, names, item.reasons, entry.revision or item.revision)


def _text_of(answer: requests.Response, deadline: float) -> str:
    """What comes until then (time.monotonic) and within ANSWER_LEN, if it is as it should be."""
    octets = bytearray()
    while len(octets) < ANSWER_LEN and time.monotonic() < deadline:
        piece = answer.raw.read1(ANSWER_LEN - len(octets))
        if not piece:
            break
        octets += piece
    try:
        return msgspec.json.decode(bytes(octets), type=Answer).text
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
