"""A repository of definitions as its publisher keeps it: a directory that is served as it lies there.

    metadata/N.root.json                        every root: gateways go from the one they trust to the newest
    metadata/N.targets.json, N.snapshot.json    written once
    metadata/timestamp.json                     the only file that changes; replaced last, by a rename
    targets/layout-L/DIGEST.definitions.mwd     the compiled images, and
    targets/deltas/DIGEST.NAME                  deltas: written once

So whoever reads sees the old set or the new one. Versions are counted on from what timestamp.json leads to: what a
publisher who was killed had written besides was never seen by anybody and is written again. What nothing leads to is
taken away after a day, when no gateway can be in the middle of fetching it.

For how long each role's metadata counts is noted in the root, and signed with it. Keys are never here.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from tuf.api.exceptions import RepositoryError, StorageError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from control.updates.keys import ROLES, Keys
from control.updates.revision import Revision, target_name
from engine import durable

METADATA: Final = "metadata"
TARGETS: Final = "targets"
TIMESTAMP: Final = "timestamp.json"
KEPT_S: Final = 86_400.0
DAYS: Final = {"root": 365, "targets": 90, "snapshot": 30, "timestamp": 7}
_DAYS_FIELD: Final = "x-mailward-days"
_SHA256: Final = ["sha256"]
_Role = TypeVar("_Role", Root, Targets, Snapshot, Timestamp)


class Refused(Exception):
    """What was asked for is not done; the repository is as it was. The text is for people."""


class Quorum(msgspec.Struct, frozen=True):
    """How many keys a role has, and how many of them must sign."""

    keys: int = 1
    threshold: int = 1


class Repository:
    """Raises Refused, OSError. One process at a time may change it: hold `alone`."""

    def __init__(self, directory: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.directory = directory
        self.now = now

    def alone(self) -> Any:
        """A context in which nobody else changes it. Raises durable.Locked, Refused."""
        if not self.directory.is_dir():
            raise self._missing()
        return durable.alone(self.directory / ".lock")

    def _missing(self) -> Refused:
        return Refused(f"{self.directory} is no repository: make one with `mailward definitions create`")

    # --- what is there ------------------------------------------------------------------------------

    @property
    def root(self) -> Metadata[Root]:
        return self._read(Root, f"{self._last_root()}.root.json")

    @property
    def timestamp(self) -> Metadata[Timestamp]:
        return self._read(Timestamp, TIMESTAMP)

    @property
    def snapshot(self) -> Metadata[Snapshot]:
        return self._read(Snapshot, f"{self.timestamp.signed.snapshot_meta.version}.snapshot.json")

    @property
    def targets(self) -> Metadata[Targets]:
        return self._read(Targets, f"{self.snapshot.signed.meta['targets.json'].version}.targets.json")

    def revision(self, layout: int) -> Revision | None:
        """The one that is published for gateways which read this layout."""
        target = self.targets.signed.targets.get(target_name(layout))
        return None if target is None else msgspec.convert(target.custom, Revision)

    def target_path(self, target: TargetFile) -> Path:
        """Where its file lies."""
        return self.directory / TARGETS / target.get_prefixed_paths()[0]

    def days(self) -> dict[str, int]:
        return {**DAYS, **self.root.signed.unrecognized_fields.get(_DAYS_FIELD, {})}

    def _last_root(self) -> int:
        versions = [int(path.name.split(".")[0]) for path in (self.directory / METADATA).glob("[0-9]*.root.json")]
        if not versions:
            raise self._missing()
        return max(versions)

    def _read(self, kind: type[_Role], name: str) -> Metadata[_Role]:
        try:
            found: Metadata[Any] = Metadata.from_file(str(self.directory / METADATA / name))
        except (StorageError, RepositoryError) as error:
            self._last_root()  # if there is none, this is no repository
            raise Refused(f"{self.directory / METADATA / name} cannot be read: {error}") from None
        if not isinstance(found.signed, kind):
            raise Refused(f"{self.directory / METADATA / name} is of another kind")
        return found

    # --- what changes it ----------------------------------------------------------------------------

    def create(
        self, quorums: Mapping[str, Quorum], days: Mapping[str, int], keys: Keys, passphrase: bytes | None
    ) -> Metadata[Root]:
        """A new repository with keys of its own, without any definitions. Returns the root that gateways trust."""
        (self.directory / METADATA).mkdir(parents=True, exist_ok=True)
        (self.directory / TARGETS).mkdir(exist_ok=True)
        if any((self.directory / METADATA).iterdir()):
            raise Refused(f"{self.directory} has a repository already")
        counted = {**DAYS, **days}
        root = Metadata(Root(consistent_snapshot=True, unrecognized_fields={_DAYS_FIELD: counted}))
        for role in ROLES:
            self._replace_keys(root.signed, role, quorums.get(role, Quorum()), keys, passphrase)
        root.signed.expires = self._expiry("root", counted)
        _sign(root, root.signed, "root", keys)
        self._write("1.root.json", root)
        self._publish(root.signed, Metadata(Targets()), 1, 1, 1, keys)
        return root

    def publish(self, targets: Metadata[Targets], keys: Keys) -> None:
        """A new version of the targets, and with it of snapshot and timestamp. Their files must be there."""
        root, snapshot, timestamp = self.root.signed, self.snapshot.signed, self.timestamp.signed
        version = snapshot.meta["targets.json"].version + 1
        self._publish(root, targets, version, snapshot.version + 1, timestamp.version + 1, keys)

    def renew(self, keys: Keys) -> None:
        """Sign the timestamp again, and what has less than half of its time left, if its keys are here."""
        root = self.root
        if self._ages(root.signed) and _can_sign(root.signed, "root", keys):
            self._next_root(Metadata[Root].from_bytes(root.to_bytes()), keys, root.signed)
        signed, targets, snapshot, timestamp = (
            self.root.signed,
            self.targets,
            self.snapshot.signed,
            self.timestamp.signed,
        )
        if self._ages(targets.signed) and all(_can_sign(signed, role, keys) for role in ROLES[1:]):
            self.publish(targets, keys)
            return
        version = snapshot.version
        if self._ages(snapshot) and _can_sign(signed, "snapshot", keys):
            version += 1
            self._write_snapshot(signed, snapshot.meta["targets.json"], version, keys)
        self._write_timestamp(signed, version, timestamp.version + 1, keys)

    def ageing(self) -> list[str]:
        """Roles that have less than a quarter of their time left: somebody must bring their keys."""
        days = self.days()
        left = {role: expires - self.now() for role, expires in self.expiries().items()}
        return [role for role in ROLES if left[role] < timedelta(days=days[role]) / 4]

    def rotate(self, roles: Mapping[str, Quorum], keys: Keys, passphrase: bytes | None) -> Metadata[Root]:
        """Give the roles new keys; what the old ones sign from now on counts for nothing.

        The new root is signed by the old keys of the root and by its new ones, and everything else again.
        """
        before = self.root
        targets, snapshot, timestamp = self.targets, self.snapshot.signed, self.timestamp.signed
        root = Metadata[Root].from_bytes(before.to_bytes())
        for role, quorum in roles.items():
            self._replace_keys(root.signed, role, quorum, keys, passphrase)
        for role in set(ROLES) - set(roles):
            _signers(root.signed, role, keys)  # else the set would end half signed
        self._next_root(root, keys, before.signed)
        version = snapshot.meta["targets.json"].version + 1
        self._publish(root.signed, targets, version, snapshot.version + 1, timestamp.version + 1, keys)
        return root

    def clean(self) -> None:
        """Take away what nothing leads to, a day after it was written."""
        snapshot, targets = self.timestamp.signed.snapshot_meta.version, self.targets.signed
        led_to = {self.directory / METADATA / name for name in (TIMESTAMP, f"{snapshot}.snapshot.json")}
        led_to.add(self.directory / METADATA / f"{targets.version}.targets.json")
        for target in targets.targets.values():
            led_to.add(path := self.target_path(target))
            if target.custom:  # the next deltas are made of these
                led_to |= {base_path(path, one.base) for one in msgspec.convert(target.custom, Revision).deltas}
        delete_others(self.directory, led_to, KEPT_S)

    def expiries(self) -> dict[str, datetime]:
        signed: Sequence[Signed] = (
            self.root.signed,
            self.targets.signed,
            self.snapshot.signed,
            self.timestamp.signed,
        )
        return {one.type: one.expires for one in signed}

    # --- steps --------------------------------------------------------------------------------------

    def _publish(
        self, root: Root, targets: Metadata[Targets], version: int, snapshot: int, timestamp: int, keys: Keys
    ) -> None:
        for role in ROLES[1:]:
            _signers(root, role, keys)  # all are there before anything is written
        targets.signed.version = version
        targets.signed.expires = self._expiry("targets", self.days())
        _sign(targets, root, "targets", keys)
        octets = self._write(f"{version}.targets.json", targets)
        self._write_snapshot(root, MetaFile.from_data(version, octets, _SHA256), snapshot, keys)
        self._write_timestamp(root, snapshot, timestamp, keys)

    def _write_snapshot(self, root: Root, targets: MetaFile, version: int, keys: Keys) -> None:
        signed = Snapshot(
            version=version, expires=self._expiry("snapshot", self.days()), meta={"targets.json": targets}
        )
        metadata = Metadata(signed)
        _sign(metadata, root, "snapshot", keys)
        self._write(f"{version}.snapshot.json", metadata)

    def _write_timestamp(self, root: Root, snapshot: int, version: int, keys: Keys) -> None:
        octets = (self.directory / METADATA / f"{snapshot}.snapshot.json").read_bytes()
        told = MetaFile.from_data(snapshot, octets, _SHA256)
        metadata = Metadata(
            Timestamp(version=version, expires=self._expiry("timestamp", self.days()), snapshot_meta=told)
        )
        _sign(metadata, root, "timestamp", keys)
        self._write(TIMESTAMP, metadata)

    def _next_root(self, root: Metadata[Root], keys: Keys, old: Root) -> None:
        root.signed.version = old.version + 1
        root.signed.expires = self._expiry("root", self.days())
        _sign(root, root.signed, "root", keys)
        for signer in _signers(old, "root", keys):
            root.sign(signer, append=True)
        self._write(f"{root.signed.version}.root.json", root)

    def _replace_keys(self, root: Root, role: str, quorum: Quorum, keys: Keys, passphrase: bytes | None) -> None:
        if not 0 < quorum.threshold <= quorum.keys:
            raise Refused(f"{role}: of {quorum.keys} keys, {quorum.threshold} cannot sign")
        for key_id in list(root.roles[role].keyids):
            root.revoke_key(key_id, role)
        for _ in range(quorum.keys):
            root.add_key(keys.generate(role, passphrase).public_key, role)
        root.roles[role].threshold = quorum.threshold

    def _write(self, name: str, metadata: Metadata[Any]) -> bytes:
        octets = metadata.to_bytes()
        durable.put(self.directory / METADATA / name, octets, 0o644)
        return octets

    def _expiry(self, role: str, days: Mapping[str, int]) -> datetime:
        return self.now().replace(microsecond=0) + timedelta(days=days[role])

    def _ages(self, signed: Signed) -> bool:
        return signed.expires - self.now() < timedelta(days=self.days()[signed.type]) / 2


def base_path(path: Path, digest: str) -> Path:
    """Where the file with this digest lies, which was published in the place of `path`."""
    return path.with_name(f"{digest}.{path.name.partition('.')[2]}")


def delete_others(directory: Path, led_to: set[Path], kept_s: float) -> list[str]:
    """Delete files of a repository beside roots and those of the set, if they are older than kept_s seconds.

    Returns their paths, relative to the directory.
    """
    before, gone = time.time() - kept_s, []
    for folder in (directory / METADATA, directory / TARGETS):
        for path in folder.rglob("*"):
            kept = path in led_to or path.name.endswith(".root.json")
            if not kept and path.is_file() and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
                gone.append(str(path.relative_to(directory)))
    return gone


def _can_sign(root: Root, role: str, keys: Keys) -> bool:
    return len(keys.signers(role, root.roles[role].keyids)) >= root.roles[role].threshold


def _signers(root: Root, role: str, keys: Keys) -> list[Any]:
    found = keys.signers(role, root.roles[role].keyids)
    needed = root.roles[role].threshold
    if len(found) < needed:
        raise Refused(f"{needed} of the keys of {role} must sign, and {len(found)} are in the directories of keys")
    return list(found)


def _sign(metadata: Metadata[Any], root: Root, role: str, keys: Keys) -> None:
    metadata.signatures.clear()
    for signer in _signers(root, role, keys):
        metadata.sign(signer, append=True)
