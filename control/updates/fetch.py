"""Fetching definitions: from the first of several sources that has them, verified before anything can see them.

What must be trusted lies in one directory, `definitions/trusted`:

    root.json    the first root, put there by `mailward definitions trust`
    metadata/    what was seen last, for every source: so none of them can give something older

What is fetched is verified twice: that it is what the publisher signed (TUF: root, timestamp, snapshot, targets, each
by its threshold of keys, none older than seen before, none expired), and that it may replace what is in force
(DEF-16). A file gets its name in the directory only when all of that holds; what a killed process left is taken away
by the next one.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater

from control.updates import delta, words
from control.updates.repository import METADATA, TARGETS
from control.updates.revision import NOTHING, Revision, digest_of, target_name
from control.updates.sources import BadSource, Patience, Source, Stopped, open_source, shown
from control.updates.trust import LOCK, ROOT_FILE
from engine import durable
from signatures.image import LAYOUT

_FETCHED: Final = "revision-{}.mwd"


class Problem(msgspec.Struct, frozen=True):
    """Why a source was of no use. source: without its password. reason: in plain words, a sentence without its end."""

    source: str
    reason: str


class Fetched(msgspec.Struct, frozen=True):
    """A whole, verified file. octets: received for it. by_delta: it was made from the file in force.

    problems: of the sources before this one.
    """

    path: Path
    revision: Revision
    source: str
    octets: int
    by_delta: bool
    problems: tuple[Problem, ...] = ()


class NothingNew(msgspec.Struct, frozen=True):
    """The source is in order and has this revision, which is in force already or is not wanted."""

    revision: Revision
    source: str
    problems: tuple[Problem, ...] = ()


class UpdateFailed(Exception):
    """Nothing was fetched; what is in force stays. The text is for people and names the next step."""


class NotTrusted(UpdateFailed):
    """There is no root of trust yet, or it cannot be read."""


class AlreadyRunning(UpdateFailed):
    """Another process or thread fetches into the same place (DEF-08)."""


class NotWritten(UpdateFailed):
    """This machine could not write it: disk full, rights."""


class Interrupted(UpdateFailed):
    """It was asked to stop."""


class NoSource(UpdateFailed):
    """No source gave anything that may be used."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        told = "; ".join(f"{problem.source}: {problem.reason}" for problem in problems)
        super().__init__(told or "no source of updates is named: add one to the settings of updates")


class _Unusable(Exception):
    """Signed, and yet not for us. The text says why."""


def fetch(
    sources: Sequence[str],
    trusted: Path,
    directory: Path,
    *,
    in_force: int = 0,
    base: Path | None = None,
    older: bool = False,
    unwanted: Collection[int] = (),
    stopped: Callable[[], bool] = lambda: False,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> Fetched | NothingNew:
    """Fetch the newest revision from the first source that has it, into `directory` as `revision-NUMBER.mwd`.

    Args:
        sources: addresses (https, http, ftp, file) and absolute paths of directories, in the order to be tried.
        trusted: the directory with root.json.
        directory: for fetched files only; made if it is not there. A fetch takes files of other revisions away.
        in_force: the number of the revision in force, 0 if there is none.
        base: the file in force, for deltas.
        older: take a revision whose number is below in_force too (DEF-16: only when asked).
        unwanted: numbers of revisions that are not to be fetched again, such as one that failed here.
        stopped: asked while octets come; True ends it.

    Blocks for as long as the sources take; call it in a thread or process of its own. Raises UpdateFailed.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        trusted.mkdir(parents=True, exist_ok=True, mode=0o750)
        with durable.alone(trusted / LOCK):
            durable.sweep(directory)
            asked = _Asked(trusted, _first_root(trusted), directory, in_force, base, older, frozenset(unwanted))
            return _first_good(asked, sources, patience, stopped)
    except durable.Locked:
        raise AlreadyRunning("an update is running already: wait until it ends") from None
    except Stopped:
        raise Interrupted("the update was stopped; what is in force stays") from None
    except OSError as error:
        raise NotWritten(
            f"the update cannot be written ({error.strerror}): check the space and the rights of {directory} and"
            f" {trusted}; what is in force stays"
        ) from error


class _Asked(msgspec.Struct, frozen=True):
    trusted: Path
    root: bytes
    directory: Path
    in_force: int
    base: Path | None
    older: bool
    unwanted: frozenset[int]


def _first_good(
    asked: _Asked, sources: Sequence[str], patience: Patience, stopped: Callable[[], bool]
) -> Fetched | NothingNew:
    problems: list[Problem] = []
    for text in sources:
        try:
            source = open_source(text, asked.directory, patience, stopped)
        except BadSource as error:
            problems.append(Problem(text.rpartition("@")[2], str(error)))
            continue
        with contextlib.closing(source):
            try:
                found = _from(source, asked)
            except (DownloadError, RepositoryError, _Unusable) as error:
                problems.append(Problem(shown(text), words.of(error)))
                continue
        return msgspec.structs.replace(found, problems=tuple(problems))
    raise NoSource(tuple(problems))


def _from(source: Source, asked: _Asked) -> Fetched | NothingNew:
    updater = refreshed(source, asked.trusted, asked.root)
    target = updater.get_targetinfo(target_name())
    if target is None:
        raise _Unusable(f"has no definitions for this version of Mailward (layout {LAYOUT}): update Mailward")
    try:
        revision = msgspec.convert(target.custom, Revision)
    except msgspec.ValidationError as error:
        raise _Unusable(f"describes its definitions in a way that is not understood: {error}") from None
    if revision.number == asked.in_force or revision.number in asked.unwanted:
        return NothingNew(revision, source.name)
    if revision.number < asked.in_force and not asked.older:
        raise _Unusable(f"has revision {revision.number}, which is older than {asked.in_force} in force")
    path = asked.directory / _FETCHED.format(revision.number)
    by_delta = False
    if updater.find_cached_target(target, str(path)) is None:
        by_delta = _store(updater, source, target, revision, asked.base, path)
    for other in set(asked.directory.glob(_FETCHED.format("*"))) - {path}:
        other.unlink(missing_ok=True)
    return Fetched(path, revision, source.name, source.received, by_delta)


def refreshed(source: Source, trusted: Path, root: bytes) -> Updater:
    """A client that has verified what the source has now. Raises DownloadError, RepositoryError, Stopped, OSError."""
    metadata = trusted / METADATA
    for left in metadata.glob("tmp*"):  # by a client that was killed
        left.unlink(missing_ok=True)
    updater = Updater(str(metadata), METADATA, None, TARGETS, fetcher=source, bootstrap=root)
    updater.refresh()
    for path in metadata.glob("*.json"):  # what was seen must not be forgotten: it is what older things are told by
        durable.sync(path)
    return updater


def _store(
    updater: Updater, source: Source, target: TargetFile, revision: Revision, base: Path | None, path: Path
) -> bool:
    """Have the file at the path, whole and durable. Returns whether a delta of what is in force was enough."""
    with durable.replacing(path, 0o640) as half:
        for one, old in _useful(updater, target, revision, base):
            try:
                _by_delta(updater, source, one, old, target, half)
            except (delta.BadDelta, DownloadError, RepositoryError):  # whatever it is: the whole file is there too
                continue
            return old is not None
        updater.download_target(target, str(half))
    return False


def _useful(
    updater: Updater, target: TargetFile, revision: Revision, base: Path | None
) -> Iterator[tuple[TargetFile, Path | None]]:
    """Deltas that are smaller than the file: of what is in force, and then of nothing."""
    known: dict[str, Path | None] = {NOTHING: None}
    if base is not None:
        with contextlib.suppress(OSError):
            known = {digest_of(base): base, NOTHING: None}
    for digest, old in known.items():
        for one in revision.deltas:
            found = updater.get_targetinfo(one.target) if one.base == digest else None
            if found is not None and found.length < target.length:
                yield found, old


def _by_delta(
    updater: Updater, source: Source, found: TargetFile, base: Path | None, target: TargetFile, half: Path
) -> None:
    """Raises BadDelta, DownloadError, RepositoryError; then the file holds nothing of worth."""
    name = f"{TARGETS}/{found.get_prefixed_paths()[0]}"
    with contextlib.ExitStack() as stack:
        octets = stack.enter_context(source.download_file(name, found.length))
        found.verify_length_and_hashes(octets)
        octets.seek(0)
        old = None if base is None else stack.enter_context(base.open("rb"))
        new = stack.enter_context(half.open("wb"))
        delta.apply(old, octets, new, target.length)
    with half.open("rb") as made:
        target.verify_length_and_hashes(made)


def _first_root(trusted: Path) -> bytes:
    try:
        return (trusted / ROOT_FILE).read_bytes()
    except OSError as error:
        raise NotTrusted(
            f"there is no root of trust ({trusted / ROOT_FILE}: {error.strerror}): get root.json from the publisher of"
            " the definitions and call `mailward definitions trust FILE --root DIRECTORY`"
        ) from None
