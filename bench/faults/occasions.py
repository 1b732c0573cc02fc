"""What happens to a gateway besides mail, so that calls are met that mail alone does not lead to."""

import contextlib
import errno
import os
import random
import shutil
import signal
from collections.abc import Callable

import msgspec

from bench.faults.board import SLOTS, Act, Call, Place, Role
from bench.faults.house import House
from engine import command, config
from engine.command import Answer, Command
from engine.queue import listing

LOAD = "load"
FIRST = "first start"
UPDATE = "update"
_SOME = 20  # messages of the slow queue
_PATIENCE_S = 5.0  # for a relay's answer
_OWN_SLOT = SLOTS - 1
_NO_ANSWER = (OSError, TimeoutError, msgspec.MsgspecError)  # its process was killed, or is being started


class Occasions:
    """by_name: what does it, and returns before it is over, perhaps. killed: told of every process it ends itself."""

    def __init__(self, house: House, dice: random.Random, killed: Callable[[Role], None]) -> None:
        self._house = house
        self._dice = dice
        self._killed = killed
        self._settings = house.root / config.FILE_NAME
        self.by_name: dict[str, Callable[[], None]] = {
            LOAD: lambda: None,
            "relay starts": lambda: self._restarted(Role.RELAY),
            "scanner starts": lambda: self._restarted(Role.SCANNER),
            "pages start": lambda: self._restarted(Role.CONTROL),
            "service starts": lambda: self._restarted(Role.SUPERVISOR),
            "stop and start": self._stopped,
            FIRST: self._first_started,
            "settings": self._settings_saved,
            "definitions": self._definitions_replaced,
            "by hand": self._by_hand,
            "page": house.people.look,
            "queue pages": house.people.work_on_queues,
            "settings pages": house.people.change_settings,
            "quarantine pages": house.people.look_into_quarantine,
            UPDATE: self._updated,
            "log refused": self._log_refused,
        }

    def _restarted(self, role: Role) -> None:
        before = self._house.pids(role)
        self._house.kill_one(role, self._dice)
        self._killed(role)
        self._house.some(role, before)

    def _stopped(self) -> None:
        self._house.gateway.end(signal.SIGTERM)
        self._house.mend()

    def _first_started(self) -> None:
        """As far as the quarantine is concerned, which makes its key once, folders of the queue, and an empty log."""
        self._house.gateway.end(signal.SIGTERM)
        shutil.rmtree(self._house.root / "quarantine", ignore_errors=True)  # a scanner may be about to end
        for place in ("slow", "hold", "tmp", "corrupt"):
            top = self._house.root / "queue" / place
            for folder in [*top.glob("*/"), top]:
                with contextlib.suppress(OSError):  # something is in it
                    folder.rmdir()
        if not len(listing.Queue(self._house.root, ("fast",))):
            for path in self._house.root.glob("queue/fast/*/*.seg"):
                path.unlink()
        self._house.mend()

    def _log_refused(self) -> None:
        """One write of the log fails, so that it goes on in another segment."""
        self._house.board.arm(_OWN_SLOT, Role.RELAY, Call.WRITE, Place.FAST, Act.FAIL, errno.EIO)

    def _updated(self) -> None:
        """Sometimes into a folder that has to be made."""
        if self._dice.random() < 0.5:
            shutil.rmtree(self._house.root / "definitions" / "fetched", ignore_errors=True)
        self._house.publisher.publish()
        self._house.people.update()

    def _settings_saved(self) -> None:
        settings = config.load(self._settings)
        delivery = msgspec.structs.replace(settings.delivery, retry_last_s=self._dice.randint(2, 9))
        config.save(msgspec.structs.replace(settings, delivery=delivery), self._settings)

    def _definitions_replaced(self) -> None:
        path = self._house.root / config.load(self._settings).antivirus.definitions
        other = path.with_suffix(".other")
        shutil.copyfile(path, other)
        os.replace(other, path)

    def ask(self, op: str, ids: tuple[str, ...] = ()) -> Answer:
        """Of the relay. Whether anything was done is seen elsewhere."""
        with contextlib.suppress(*_NO_ANSWER):
            return command.send(self._house.root / "run" / "relay-0.sock", Command(op, ids=ids), _PATIENCE_S)
        return Answer(False)

    def _by_hand(self) -> None:
        slow = tuple(listing.Queue(self._house.root, ("slow",)).ids()[:_SOME])
        self.ask("hold", slow)
        self.ask("requeue", slow)
