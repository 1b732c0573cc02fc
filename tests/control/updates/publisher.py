"""A publisher of definitions for tests: small images, Ed25519 keys, a clock that can be set."""

import random
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from control.updates.fetch import Fetched, NothingNew, fetch
from control.updates.keys import ROLES, Keys
from control.updates.publish import Published, publish
from control.updates.repository import METADATA, Quorum, Repository
from control.updates.sources import Patience
from control.updates.trust import trust
from signatures import image
from signatures.model import Literal, Signature

PATIENT = Patience(stall_s=60.0, grace_s=60.0)  # whatever else the machine does
IMPATIENT = Patience(stall_s=0.5, grace_s=60.0)  # with those who say nothing
BULK = random.Random(11).randbytes(150_000) + bytes(20_000)  # so that there is something to compress in every image


def image_of(*names: str, bulk: bytes = BULK) -> bytes:
    """Names that begin with Spam are of that kind."""
    made = [
        Signature(
            name, Literal(b"pattern of " + name.encode()), family="spam" if name.startswith("Spam") else "malware"
        )
        for name in names
    ]
    return image.build(made, annexes={"bulk": bulk})


class Publisher:
    """A repository, its keys, and those who trust it, in one folder."""

    def __init__(self, folder: Path, quorums: Mapping[str, Quorum] = {}) -> None:
        self.folder = folder
        self.late = timedelta()
        self.repository = Repository(folder / "repository", lambda: datetime.now(UTC) + self.late)
        self.keys = Keys([folder / "keys"], lambda path: None)
        self.root = self.repository.create(quorums, {}, self.keys, None).to_bytes()

    @property
    def metadata(self) -> Path:
        return self.repository.directory / METADATA

    def publish(self, *names: str, **named: Any) -> Published:
        path = self.folder / "new.mwd"
        path.write_bytes(image_of(*names))
        return publish(self.repository, path, self.keys, **named)

    def copied(self, name: str) -> Path:
        """The repository as it is now, in a folder of its own: a mirror."""
        return Path(shutil.copytree(self.repository.directory, self.folder / name))

    # --- what somebody can do who has keys ----------------------------------------------------------

    def sign(self, metadata: Metadata[Any], role: str, most: int = 9) -> bytes:
        metadata.signatures.clear()
        for signer in self.keys.signers(role, self.repository.root.signed.roles[role].keyids)[:most]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def lead_to(self, snapshot: int, octets: bytes, version: int) -> None:
        """Sign a timestamp that leads to this snapshot."""
        told = MetaFile.from_data(snapshot, octets, ["sha256"])
        signed = Timestamp(version=version, expires=in_days(3), snapshot_meta=told)
        (self.metadata / "timestamp.json").write_bytes(self.sign(Metadata(signed), "timestamp"))

    def snapshot_of(self, targets: int, octets: bytes, version: int) -> bytes:
        """Sign a snapshot that leads to these targets."""
        told = MetaFile.from_data(targets, octets, ["sha256"])
        signed = Snapshot(version=version, expires=in_days(3), meta={"targets.json": told})
        made = self.sign(Metadata(signed), "snapshot")
        (self.metadata / f"{version}.snapshot.json").write_bytes(made)
        return made


class Gateway:
    """Somebody who trusts the publisher and fetches."""

    def __init__(self, folder: Path, root: bytes) -> None:
        self.trusted, self.directory = folder / "trusted", folder / "fetched"
        trust(root, self.trusted)

    def fetch(self, *sources: object, patience: Patience = PATIENT, **named: Any) -> Fetched | NothingNew:
        return fetch([str(source) for source in sources], self.trusted, self.directory, patience=patience, **named)

    def fetched(self, *sources: object, **named: Any) -> Fetched:
        found = self.fetch(*sources, **named)
        assert isinstance(found, Fetched)
        return found

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.directory.iterdir()} if self.directory.exists() else set()


def in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


__all__ = ["IMPATIENT", "PATIENT", "ROLES", "Gateway", "Publisher", "Root", "Targets", "image_of", "in_days"]
