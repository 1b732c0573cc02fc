"""Every attack that the TUF specification lists (s1.5.2), tried on a gateway: what is in force is never replaced."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from control.updates.fetch import Fetched, NoSource, NothingNew
from control.updates.repository import TARGETS, Quorum
from control.updates.revision import target_name
from control.updates.sources import Patience
from tests.control.updates.publisher import Gateway, Publisher, image_of, in_days
from tests.control.updates.servers import DRIP, ENDLESS, http_server


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """With revision 1."""
    made = Publisher(tmp_path / "publisher")
    made.publish("Test.One")
    return made


@pytest.fixture
def gateway(tmp_path: Path, publisher: Publisher) -> Gateway:
    return Gateway(tmp_path / "gateway", publisher.root)


def refused(gateway: Gateway, *sources: object, why: str, patience: Patience | None = None) -> None:
    """Nothing is taken, nothing is left half, what was fetched before is still there."""
    before = {name: (gateway.directory / name).read_bytes() for name in gateway.files}
    with pytest.raises(NoSource, match=why) as caught:
        gateway.fetch(*sources, **({"patience": patience} if patience else {}))
    assert [problem.source for problem in caught.value.problems] == [str(source) for source in sources]
    assert {name: (gateway.directory / name).read_bytes() for name in gateway.files} == before


def served(publisher: Publisher) -> Path:
    return publisher.repository.directory


def definitions(publisher: Publisher, folder: Path | None = None) -> Path:
    target = publisher.repository.targets.signed.targets[target_name()]
    return (folder or served(publisher)) / TARGETS / target.get_prefixed_paths()[0]


def test_arbitrary_software_of_who_has_no_key(tmp_path: Path, publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: a whole repository, well signed by somebody else."""
    stranger = Publisher(tmp_path / "stranger")
    stranger.publish("Test.Evil")
    refused(gateway, served(stranger), why="not signed by the trusted keys")
    for path in served(stranger).glob("metadata/*"):
        if "root" not in path.name:
            shutil.copy(path, publisher.metadata)
    refused(gateway, served(publisher), why="not signed by the trusted keys")


def test_arbitrary_software_in_place_of_the_file(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: of the same length; no delta helps, they are exchanged too."""
    for path in served(publisher).glob("targets/*/**/*"):
        if path.is_file():
            path.write_bytes(bytes(path.stat().st_size))
    refused(gateway, served(publisher), why="not the one that was signed")


def test_rollback_of_the_timestamp(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: a source that has an older state than was seen anywhere, wholly and well signed."""
    old = publisher.copied("old")
    publisher.publish("Test.One", "Test.Two")
    assert gateway.fetched(served(publisher)).revision.number == 2
    refused(gateway, old, why="older than was seen before")


def test_rollback_of_the_snapshot(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: whoever has the key of the timestamp cannot go back."""
    publisher.publish("Test.One", "Test.Two")
    gateway.fetched(served(publisher))
    publisher.lead_to(2, (publisher.metadata / "2.snapshot.json").read_bytes(), version=9)
    refused(gateway, served(publisher), why="older than was seen before")


def test_rollback_of_the_targets(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: nor can who has the keys of timestamp and snapshot."""
    publisher.publish("Test.One", "Test.Two")
    gateway.fetched(served(publisher))
    octets = publisher.snapshot_of(2, (publisher.metadata / "2.targets.json").read_bytes(), version=9)
    publisher.lead_to(9, octets, version=9)
    refused(gateway, served(publisher), why="older than was seen before")


def test_indefinite_freeze(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: a source that goes on giving the last state that it liked; the time of the timestamp ends it."""
    publisher.late = -timedelta(days=8)
    publisher.publish("Test.Two")
    refused(gateway, served(publisher), why="out of date.*timestamp")


@pytest.mark.parametrize("role", ["snapshot", "targets", "root"])
def test_freeze_below_a_fresh_timestamp(publisher: Publisher, gateway: Gateway, role: str) -> None:
    """DEF-16: whoever has the key of the timestamp cannot keep older metadata alive."""
    publisher.late = -timedelta(days=400)
    if role == "root":
        publisher.repository.rotate({"root": Quorum()}, publisher.keys, None)
        publisher.late = timedelta()
        publisher.publish("Test.Two")
    else:
        publisher.publish("Test.Two")
        octets = (publisher.metadata / "3.snapshot.json").read_bytes()
        if role == "targets":
            octets = publisher.snapshot_of(3, (publisher.metadata / "3.targets.json").read_bytes(), version=4)
        publisher.lead_to(4 if role == "targets" else 3, octets, version=9)
    refused(gateway, served(publisher), why=f"out of date.*{role}")


@pytest.mark.parametrize("path", ["timestamp.json", "1.targets.json", "definitions.mwd", "2.root.json"])
def test_endless_data(publisher: Publisher, gateway: Gateway, path: str) -> None:
    """DEF-16: never more than the length that was signed, or the bound of the client, is taken."""
    publisher.publish("Test.One", "Test.Two", deltas=0)
    with http_server(served(publisher)) as server:
        server.faults = {path.replace("1.targets", "3.targets"): ENDLESS, "0-2": ENDLESS}
        refused(gateway, server.url, why="longer than it may be")


def test_slow_retrieval(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: an octet now and then is no stall; it ends all the same."""
    with http_server(served(publisher)) as server:
        server.faults = {"timestamp.json": DRIP}
        refused(gateway, server.url, why="slower than", patience=Patience(stall_s=5.0, grace_s=0.3, rate=1 << 20))


def test_extraneous_dependencies(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: a target more in metadata that is not signed for it; and of what is signed, only ours is taken."""
    targets = publisher.repository.targets
    targets.signed.targets["program.exe"] = TargetFile.from_data("program.exe", b"program", ["sha256"])
    (publisher.metadata / "2.targets.json").write_bytes(targets.to_bytes())
    refused(gateway, served(publisher), why="longer than it may be")
    publisher.repository.publish(targets, publisher.keys)
    assert gateway.fetched(served(publisher)).revision.number == 1
    assert gateway.files == {"revision-1.mwd"}, "DEF-10: definitions only"


@pytest.mark.parametrize("name", ["targets", "snapshot"])
def test_mix_and_match(publisher: Publisher, gateway: Gateway, name: str) -> None:
    """DEF-16: files of different states, each of them well signed."""
    publisher.publish("Test.One", "Test.Two")
    shutil.copy(publisher.metadata / f"2.{name}.json", publisher.metadata / f"3.{name}.json")
    refused(gateway, served(publisher), why="not the one that was signed")


def test_wrong_software(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: something that is signed, but not what was asked for."""
    other = next(path for path in served(publisher).glob("targets/deltas/*/*"))
    wanted = definitions(publisher)
    shutil.copy(other, wanted)
    other.write_bytes(b"")
    refused(gateway, served(publisher), why="not the one that was signed")


def test_a_malicious_mirror_does_not_keep_others_from_serving(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-09, DEF-16: the next source is asked, and what the first one did is told."""
    mirror = publisher.copied("mirror")
    for path in mirror.glob("targets/*/**/*.*"):
        if path.is_file():
            path.write_bytes(b"evil")
    found = gateway.fetched(mirror, served(publisher))
    assert found.source == str(served(publisher))
    assert [problem.source for problem in found.problems] == [str(mirror)]
    assert found.path.read_bytes() == image_of("Test.One")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_fewer_keys_than_the_threshold(tmp_path: Path, role: str) -> None:
    """DEF-16: one key of two is not enough to sign anything."""
    publisher = Publisher(tmp_path / "publisher", {role: Quorum(3, 2)})
    publisher.publish("Test.One")
    gateway = Gateway(tmp_path / "gateway", publisher.root)
    gateway.fetched(served(publisher))
    if role == "root":
        root = Metadata[Root].from_bytes(publisher.root)
        root.signed.version = 2
        (publisher.metadata / "2.root.json").write_bytes(publisher.sign(root, "root", 1))
    elif role == "timestamp":
        timestamp = publisher.repository.timestamp
        timestamp.signed.version = 9
        (publisher.metadata / "timestamp.json").write_bytes(publisher.sign(timestamp, role, 1))
    else:
        targets = publisher.repository.targets
        targets.signed.version = 3
        octets = publisher.sign(targets, "targets", 1 if role == "targets" else 9)
        (publisher.metadata / "3.targets.json").write_bytes(octets)
        snapshot = publisher.snapshot_of(3, octets, version=3)
        if role == "snapshot":
            metadata: Metadata[Targets] = Metadata.from_bytes(snapshot)
            snapshot = publisher.sign(metadata, "snapshot", 1)
            (publisher.metadata / "3.snapshot.json").write_bytes(snapshot)
        publisher.lead_to(3, snapshot, version=9)
    refused(gateway, served(publisher), why="not signed by the trusted keys.*1/2")


def test_a_key_that_was_replaced_signs_nothing(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: also for who has seen nothing of it yet."""
    stolen = publisher.keys.signers("targets", publisher.repository.root.signed.roles["targets"].keyids)[0]
    publisher.repository.rotate({"targets": Quorum()}, publisher.keys, None)
    targets = publisher.repository.targets
    targets.signed.version += 1
    targets.sign(stolen)
    octets = targets.to_bytes()
    (publisher.metadata / f"{targets.signed.version}.targets.json").write_bytes(octets)
    publisher.lead_to(9, publisher.snapshot_of(targets.signed.version, octets, version=9), version=9)
    refused(gateway, served(publisher), why="not signed by the trusted keys")


def test_fast_forward_and_the_way_back(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: versions that were set to the end of the world count no more when the keys were replaced."""
    gateway.fetched(served(publisher))
    forward = publisher.copied("forward")
    targets = (publisher.metadata / "2.targets.json").read_bytes()
    publisher.lead_to(2**31, publisher.snapshot_of(2, targets, version=2**31), version=2**31)
    assert isinstance(gateway.fetch(served(publisher), in_force=1), NothingNew)
    shutil.copytree(forward, served(publisher), dirs_exist_ok=True)
    refused(gateway, served(publisher), why="older than was seen before")
    publisher.repository.rotate({"timestamp": Quorum(), "snapshot": Quorum()}, publisher.keys, None)
    publisher.publish("Test.Two")
    assert gateway.fetched(served(publisher)).revision.number == 2


def test_the_root_goes_on_over_several_steps(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16: a gateway that was off for long takes each step; meanwhile all keys were replaced."""
    roles = {role: Quorum(2, 2) for role in ("root", "targets", "snapshot", "timestamp")}
    publisher.repository.rotate({"root": Quorum()}, publisher.keys, None)
    publisher.repository.rotate(roles, publisher.keys, None)
    publisher.repository.rotate({"root": Quorum(3, 2)}, publisher.keys, None)
    publisher.publish("Test.Two")
    assert isinstance(gateway.fetch(served(publisher)), Fetched)
    broken = publisher.copied("broken")
    (broken / "metadata" / "3.root.json").unlink()
    refused(Gateway(gateway.trusted.parent / "late", publisher.root), broken, why="not signed by the trusted keys")


def test_a_root_that_its_predecessor_did_not_sign(publisher: Publisher, gateway: Gateway) -> None:
    """DEF-16"""
    root = Metadata[Root].from_bytes(publisher.root)
    for key_id in list(root.signed.roles["root"].keyids):
        root.signed.revoke_key(key_id, "root")
    signer = publisher.keys.generate("root", None)
    root.signed.add_key(signer.public_key, "root")
    root.signed.version, root.signed.expires = 2, in_days(100)
    root.sign(signer)
    (publisher.metadata / "2.root.json").write_bytes(root.to_bytes())
    refused(gateway, served(publisher), why="not signed by the trusted keys")
