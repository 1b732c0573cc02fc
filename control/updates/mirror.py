"""A mirror inside the site (DEF-09): a directory that holds what a publisher's has, verified before anybody sees it.

    metadata/, targets/    as at the publisher's; served by any web or FTP server, or as a shared directory
    .mirror/               the root of trust and what was seen last, and half files

Files with a version or a digest in their name come first, timestamp.json last and by a rename: a gateway that reads
meanwhile sees the set before or the new one, whole. If anything of a source is not as it was signed, the next source is
tried, and what the mirror has stays.
"""

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.ngclient import Updater

from control.updates import words
from control.updates.fetch import Interrupted, NoSource, NotTrusted, NotWritten, Problem, refreshed
from control.updates.repository import KEPT_S, METADATA, TARGETS, TIMESTAMP, delete_others
from control.updates.revision import Revision
from control.updates.sources import BadSource, Patience, Source, Stopped, open_source
from control.updates.trust import ROOT_FILE, ROOT_LEN
from engine import durable

STATE: Final = ".mirror"
FILES: Final = 1000  # targets of one repository: a handful of layouts, with some fifty deltas each
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,100}(/[a-z0-9][a-z0-9.-]{0,100}){0,3}")


class Mirrored(msgspec.Struct, frozen=True):
    """revisions: by target. octets: fetched. gone: paths, relative to the directory, that were taken away.

    changed: whether readers get anything else than before.
    """

    revisions: dict[str, Revision]
    source: str
    octets: int
    changed: bool
    gone: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


class NotAMirror(Exception):
    """The directory holds something else, which is left alone."""


def state_of(directory: Path) -> Path:
    """Where its root of trust lies. Raises NotAMirror, OSError."""
    directory.mkdir(parents=True, exist_ok=True)
    state = directory / STATE
    if not state.exists():
        if any(directory.iterdir()):
            raise NotAMirror(f"{directory} is neither empty nor a mirror: name a directory of its own")
        state.mkdir(mode=0o700)
    return state


def mirror(
    sources: Sequence[str],
    directory: Path,
    stopped: Callable[[], bool] = lambda: False,
    patience: Patience = Patience(),  # noqa: B008 - frozen
) -> Mirrored:
    """Bring the directory up to date from the first source that is in order.

    Raises UpdateFailed, NotAMirror, durable.Locked; then it is as it was, but for files that nothing leads to.
    """
    try:
        state = state_of(directory)
        with durable.alone(state / ".lock"):
            if not (state / ROOT_FILE).exists():
                raise NotTrusted(f"{directory} has no root of trust: name the publisher's root.json with --trust")
            for folder in (directory / METADATA, directory / TARGETS):
                folder.mkdir(exist_ok=True)
            for folder in (state, *(path for path in directory.glob("*/**") if path.is_dir())):
                durable.sweep(folder)
            return _first_good(sources, directory, stopped, patience)
    except Stopped:
        raise Interrupted("it was stopped; the mirror serves what it had") from None
    except OSError as error:
        raise NotWritten(
            f"the mirror cannot be written ({error.strerror}): check the space and the rights of {directory}; it serves"
            " what it had"
        ) from error


def _first_good(sources: Sequence[str], directory: Path, stopped: Callable[[], bool], patience: Patience) -> Mirrored:
    problems: list[Problem] = []
    for text in sources:
        try:
            source = open_source(text, directory / STATE, patience, stopped)
        except BadSource as error:
            problems.append(Problem(text.rpartition("@")[2], str(error)))
            continue
        with contextlib.closing(source):
            try:
                found = _from(source, directory)
            except (DownloadError, RepositoryError) as error:
                problems.append(Problem(source.name, words.of(error)))
                continue
        return msgspec.structs.replace(found, problems=tuple(problems))
    raise NoSource(tuple(problems))


def _from(source: Source, directory: Path) -> Mirrored:
    state = directory / STATE
    updater = refreshed(source, state, (state / ROOT_FILE).read_bytes())
    targets = _read(state / METADATA / "targets.json")
    if len(targets.targets) > FILES:
        raise RepositoryError(f"it has more than {FILES} files")
    led_to: set[Path] = set()
    revisions: dict[str, Revision] = {}
    for name, target in targets.targets.items():
        if not _NAME.fullmatch(name):
            raise RepositoryError(f"a file of it has the name {name[:200]!r}")
        path = directory / TARGETS / target.get_prefixed_paths()[0]
        _bring(updater, target, path)
        led_to.add(path)
        if target.custom:
            with contextlib.suppress(msgspec.ValidationError):  # of a version of Mailward that says more
                revisions[name] = msgspec.convert(target.custom, Revision)
    _older_roots(source, directory)
    changed, served = _serve(directory)
    gone = delete_others(directory, led_to | served, KEPT_S)
    return Mirrored(revisions, source.name, source.received, changed, tuple(gone))


def _bring(updater: Updater, target: TargetFile, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if updater.find_cached_target(target, str(path)) is None:
        with durable.replacing(path, 0o644) as half:
            updater.download_target(target, str(half))


def _serve(directory: Path) -> tuple[bool, set[Path]]:
    """Put the metadata that was verified where it is served. Returns whether it is new, and its paths."""
    seen, served = directory / STATE / METADATA, directory / METADATA
    paths = {served / path.name: path for path in (seen / "root_history").glob("*.root.json")}
    for role in ("targets", "snapshot"):
        version = Metadata.from_file(str(seen / f"{role}.json")).signed.version
        paths[served / f"{version}.{role}.json"] = seen / f"{role}.json"
    paths[served / TIMESTAMP] = seen / TIMESTAMP  # the last one
    changed = False
    for path, source in paths.items():
        octets = source.read_bytes()
        if not path.exists() or path.read_bytes() != octets:
            durable.put(path, octets, 0o644)
            changed = True
    return changed, set(paths)


def _older_roots(source: Source, directory: Path) -> None:
    """Roots before the one that is trusted here: gateways may begin with them. Each must have signed the next one."""
    folder = directory / METADATA
    newer: Metadata[Root] = Metadata.from_file(str(directory / STATE / ROOT_FILE))
    for version in range(newer.signed.version - 1, 0, -1):
        path = folder / f"{version}.root.json"
        if not path.exists():
            octets = source.download_bytes(f"{METADATA}/{path.name}", ROOT_LEN)
            older: Metadata[Root] = Metadata.from_bytes(octets)
            if not isinstance(older.signed, Root) or older.signed.version != version:
                raise RepositoryError(f"{path.name} is another file")
            older.signed.verify_delegate("root", newer.signed_bytes, newer.signatures)
            durable.put(path, octets, 0o644)
        newer = Metadata.from_file(str(path))


def _read(path: Path) -> Targets:
    found: Metadata[Targets] = Metadata.from_file(str(path))
    return found.signed
