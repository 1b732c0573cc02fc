"""What updates must not forget: what was tried and what came of it, which revision is which, what is not wanted."""

from pathlib import Path
from typing import Final

import msgspec

from control import kept
from engine import durable

FILE_NAME: Final = "updates.json"
HISTORY: Final = 50  # attempts
KNOWN: Final = 50  # sets, by the revision of their image
UNWANTED: Final = 20  # sets
SHOWN: Final = 200  # of what was found later, and of what is offered for release
SUCCEEDED, NOTHING_NEW, FAILED = "Succeeded", "Nothing new", "Failed"


class Attempt(msgspec.Struct, frozen=True):
    """DEF-13. time: when it ended, and began: microseconds since 1970. result: Succeeded, Nothing new or Failed.

    revision, number: of the set that came into force, or would have. user: who asked, or "schedule".
    """

    time: int
    began: int
    user: str
    result: str
    reason: str = ""
    source: str = ""
    revision: str = ""
    number: int = 0


class Known(msgspec.Struct, frozen=True):
    """What was said of a set when it was fetched. date: microseconds since 1970.

    number: of the publisher's revision, or of ClamAV's daily database.
    """

    revision: str
    number: int
    date: int
    source: str
    clamav: bool = False


class Watched(msgspec.Struct, frozen=True):
    """A set that has just come into force. since, until: microseconds since 1970. before: the one it took the place of.

    looked_up: whether it was asked what was delivered before, and what is held by withdrawn signatures alone.
    by_hand: a person chose it, and it is not taken back.
    """

    revision: str
    before: str
    since: int
    until: int
    looked_up: bool = False
    by_hand: bool = False


class Later(msgspec.Struct, frozen=True):
    """One file that was delivered before it was known to be infected. Times: microseconds since 1970.

    more: how many got it besides those that are listed.
    """

    time: int
    smtp_id: str
    delivered: int
    virus: str
    file: str
    sha256: str
    reverse_path: str
    forward_paths: tuple[str, ...]
    more: int = 0


class Offered(msgspec.Struct, frozen=True):
    """Held mail that was examined again, since the signatures that it was held for were withdrawn.

    clean: nothing is found in it any more, so that it may be released.
    """

    time: int
    smtp_id: str
    signatures: tuple[str, ...]
    clean: bool


class Rescanned(msgspec.Struct, frozen=True):
    """A file of the quarantine that new definitions judge otherwise. viruses: that it was taken for; now: names found.

    Nothing is found in it any more if `now` is empty.
    """

    time: int
    id: str
    smtp_id: str
    file: str
    viruses: tuple[str, ...]
    now: tuple[str, ...]


class Progress(msgspec.Struct, frozen=True):
    """Of examining the files of the quarantine again. revision: of the set that is used; name: of the last file.

    done, left: files.
    """

    revision: str
    name: str = ""
    done: int = 0
    left: int = 0


class Memory(msgspec.Struct, frozen=True):
    """Newest first, all lists. unwanted: sets that are not to come into force again by themselves.

    in_force: the revision of the set that was seen last. old_told: whether it was told that the set is too old.
    rescan: of the quarantine, as long as it lasts.
    begun: who asked for the session that runs; after a start, for one that was cut off and is to be made again.
    """

    history: tuple[Attempt, ...] = ()
    known: tuple[Known, ...] = ()
    unwanted: tuple[Known, ...] = ()
    in_force: str = ""
    watched: Watched | None = None
    old_told: bool = False
    begun: str = ""
    later: tuple[Later, ...] = ()
    offered: tuple[Offered, ...] = ()
    rescanned: tuple[Rescanned, ...] = ()
    rescan: Progress | None = None

    def of(self, revision: str) -> Known | None:
        return next((one for one in self.known if one.revision == revision), None)

    def with_attempt(self, attempt: Attempt) -> "Memory":
        return msgspec.structs.replace(self, history=(attempt, *self.history)[:HISTORY])

    def with_known(self, known: Known) -> "Memory":
        others = tuple(one for one in self.known if one.revision != known.revision)
        return msgspec.structs.replace(self, known=(known, *others)[:KNOWN])

    def without(self, revision: str) -> "Memory":
        """It is wanted again."""
        return msgspec.structs.replace(self, unwanted=tuple(one for one in self.unwanted if one.revision != revision))

    def unwanting(self, known: Known) -> "Memory":
        others = self.without(known.revision).unwanted
        return msgspec.structs.replace(self, unwanted=(known, *others)[:UNWANTED])


def read(path: Path) -> Memory:
    """If there is nothing, nothing was tried: sets are told apart by what is in them. Raises OSError."""
    return kept.read(path, Memory)


def write(path: Path, memory: Memory) -> None:
    """Durable, at once. Raises OSError."""
    durable.put(path, msgspec.json.encode(memory))
