"""Publishing a revision: a compiled image becomes a target of the repository, with deltas from the revisions before."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from tuf.api.metadata import TargetFile, Targets

from control.updates import delta
from control.updates.keys import Keys
from control.updates.repository import TARGETS, Refused, Repository, base_path
from control.updates.revision import HIGHEST, KINDS, NOTHING, Delta, Part, Revision, target_name
from engine import durable
from signatures.image import LAYOUT
from signatures.inspection import Contents, Described

DELTAS: Final = 5  # of revisions before: a week of daily ones is fetched in one step or two
DELTAS_MOST: Final = 50
_DELTA: Final = f"deltas/layout-{LAYOUT}/"

_Key = tuple[str, str, str]


class Changes(msgspec.Struct, frozen=True):
    """Names of signatures that came, went and changed, in order."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    changed: tuple[str, ...]


class Published(msgspec.Struct, frozen=True):
    """size: octets of the file. deltas: octets of each, by the number of the revision that it is from."""

    revision: Revision
    size: int
    deltas: dict[int, int]
    changes: Changes


def publish(
    repository: Repository,
    image: Path,
    keys: Keys,
    *,
    number: int = 0,
    note: str = "",
    deltas: int = DELTAS,
    dry: bool = False,
) -> Published:
    """Publish a compiled image.

    number: of the revision; 0: the next one. deltas: from how many revisions before. dry: nothing is written.
    Raises Refused, BadKey, OSError, durable.Locked.
    """
    with repository.alone(), tempfile.TemporaryDirectory(prefix="mailward-") as scratch:
        octets = image.read_bytes()
        new = _contents(image, octets)
        targets = repository.targets
        before, target = repository.revision(LAYOUT), targets.signed.targets.get(target_name())
        digest = hashlib.sha256(octets).hexdigest()
        old: Contents | None = None
        if before is not None and target is not None:
            if target.hashes["sha256"] == digest:
                raise Refused(f"these definitions are published already, as revision {before.number}")
            old = _contents(path := repository.target_path(target), path.read_bytes())
        made = _deltas(_bases(repository, targets.signed, deltas), image, len(octets), Path(scratch))
        revision = Revision(
            number=_number(number, targets.signed),
            date=repository.now().replace(microsecond=0),
            image=new.info.revision,
            signatures=len(new.signatures),
            parts={},
            note=note,
        )
        revision = msgspec.structs.replace(
            revision,
            parts=_parts(revision, new, old, before),
            deltas=tuple(Delta(base, sha256, f"{_DELTA}{base}-{revision.number}") for base, sha256, _ in made),
        )
        if not dry:
            _put(repository, targets.signed, revision, image, [path for _, _, path in made])
            repository.publish(targets, keys)
            repository.clean()
        sizes = {base: path.stat().st_size for base, _, path in made}
        return Published(revision, len(octets), sizes, compare(old, new))


def compare(old: Contents | None, new: Contents) -> Changes:
    """What is in the one and not in the other."""
    before, after = _by_key([] if old is None else old.signatures), _by_key(new.signatures)
    return Changes(
        came=tuple(sorted(key[0] for key in after.keys() - before.keys())),
        went=tuple(sorted(key[0] for key in before.keys() - after.keys())),
        changed=tuple(sorted(key[0] for key in after.keys() & before.keys() if after[key] != before[key])),
    )


def _contents(image: Path, octets: bytes) -> Contents:
    try:
        return Contents(octets)
    except ValueError as error:
        raise Refused(f"{image}: {error}") from None


def _number(asked: int, targets: Targets) -> int:
    known = [msgspec.convert(one.custom, Revision).number for one in targets.targets.values() if one.custom]
    least = max(known, default=0) + 1
    if asked and not least <= asked <= HIGHEST:
        raise Refused(f"numbers of revisions rise: the next one is {least}")
    return asked or least


def _by_key(signatures: Iterable[Described]) -> dict[_Key, tuple[str, str, tuple[str, ...]]]:
    return {
        (one.name, one.family, one.target): (one.severity, one.kind, tuple(sorted(one.looks_for))) for one in signatures
    }


def _parts(revision: Revision, new: Contents, old: Contents | None, before: Revision | None) -> dict[str, Part]:
    """DEF-14: each kind has the date of the revision that changed it last."""
    parts = {}
    for kind, families in KINDS.items():
        here = [one for one in new.signatures if one.family in families]
        was = [] if old is None else [one for one in old.signatures if one.family in families]
        known = None if before is None else before.parts.get(kind)
        same = known is not None and _by_key(here) == _by_key(was)
        parts[kind] = Part(known.date if known is not None and same else revision.date, len(here))
    return parts


def _bases(repository: Repository, targets: Targets, count: int) -> list[tuple[int, str, Path | None]]:
    """(number, SHA-256, file) of what gateways may have: nothing, and the last revisions whose files are still here."""
    found: list[tuple[int, str, Path | None]] = [(0, NOTHING, None)]
    target = targets.targets.get(target_name())
    if target is not None and count:
        before = msgspec.convert(target.custom, Revision)
        path = repository.target_path(target)
        found.append((before.number, target.hashes["sha256"], path))
        for one in before.deltas:
            older = base_path(path, one.base)
            if one.number and older.exists() and len(found) <= count:
                found.append((one.number, one.base, older))
    return found


def _deltas(
    bases: list[tuple[int, str, Path | None]], image: Path, size: int, scratch: Path
) -> list[tuple[int, str, Path]]:
    """Those that are smaller than the file itself; a delta of something must be smaller than that of nothing too."""
    made = []
    for number, digest, base in bases:
        path = scratch / str(number)
        with image.open("rb") as new, path.open("wb") as written:
            if base is None:
                delta.make(None, new, written)
            else:
                with base.open("rb") as old:
                    delta.make(old, new, written)
        if path.stat().st_size < size:
            size = size if number else path.stat().st_size
            made.append((number, digest, path))
    return sorted(made, key=lambda one: -one[0])


def _put(repository: Repository, targets: Targets, revision: Revision, image: Path, deltas: list[Path]) -> None:
    """The files, and their places in the metadata that is to be signed."""
    targets.targets = {name: one for name, one in targets.targets.items() if not name.startswith(_DELTA)}
    for made, path in zip(revision.deltas, deltas, strict=True):
        targets.targets[made.target] = _stored(
            repository, TargetFile.from_file(made.target, str(path), ["sha256"]), path
        )
    whole = TargetFile.from_file(target_name(), str(image), ["sha256"])
    whole.unrecognized_fields["custom"] = msgspec.to_builtins(revision)
    targets.targets[target_name()] = _stored(repository, whole, image)


def _stored(repository: Repository, target: TargetFile, source: Path) -> TargetFile:
    path = repository.directory / TARGETS / target.get_prefixed_paths()[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.sweep(path.parent)
    with durable.replacing(path, 0o644) as half:
        shutil.copyfile(source, half)
    return target
