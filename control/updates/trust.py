"""The first root: the one file that gateways and mirrors must get by a way of its own; everything else follows."""

import hashlib
import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from control.updates.repository import METADATA
from engine import durable

TRUSTED: Final = "trusted"  # below a directory of definitions
ROOT_FILE: Final = "root.json"
LOCK: Final = ".lock"
ROOT_LEN: Final = 512_000  # octets; as the client of TUF reads at most


class NotARoot(Exception):
    """The file cannot be trusted, whoever gave it. The text says why."""


class Trusted(msgspec.Struct, frozen=True):
    """fingerprint: the SHA-256 of the file, to be compared. quorums: by role, how many keys must sign of how many."""

    version: int
    expires: datetime
    fingerprint: str
    quorums: dict[str, tuple[int, int]]


def examine(octets: bytes) -> Trusted:
    """What a root says. Raises NotARoot."""
    try:
        if len(octets) > ROOT_LEN:
            raise NotARoot(f"has {len(octets)} octets, more than a root can have")
        root: Metadata[Root] = Metadata.from_bytes(octets)
        if not isinstance(root.signed, Root):
            raise NotARoot(f"is no root, but {root.signed.type}")
        root.signed.verify_delegate("root", root.signed_bytes, root.signatures)
    except RepositoryError as error:
        raise NotARoot(f"is no root that its own keys have signed: {error}") from None
    signed = root.signed
    quorums = {name: (role.threshold, len(role.keyids)) for name, role in signed.roles.items()}
    return Trusted(signed.version, signed.expires, hashlib.sha256(octets).hexdigest(), quorums)


def trust(octets: bytes, directory: Path, *, replace: bool = False) -> Trusted:
    """Make this the root that everything is verified by. What was seen under another one is forgotten.

    replace: also if there is another one. Raises NotARoot, durable.Locked, OSError.
    """
    told = examine(octets)
    directory.mkdir(parents=True, exist_ok=True, mode=0o750)
    with durable.alone(directory / LOCK):
        durable.sweep(directory)
        path = directory / ROOT_FILE
        known = path.read_bytes() if path.exists() else octets
        if known != octets and not replace:
            raise NotARoot(
                "is another one than the root trusted until now; if the publisher tells you to go over to it, say so"
                " with --replace"
            )
        if known != octets and (directory / METADATA).exists():
            shutil.rmtree(directory / METADATA)
        durable.put(path, octets, 0o640)
    return told
