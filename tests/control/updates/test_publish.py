"""Publishing: numbers rise, kinds have their dates, keys change, and who is killed in between leaves a repository."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.cli import main
from control.updates.keys import BadKey, Keys
from control.updates.publish import DELTAS
from control.updates.repository import KEPT_S, Quorum, Refused, Repository
from control.updates.revision import target_name
from engine.config import FILE_NAME
from signatures.image import LAYOUT
from tests.control.updates.disk import full_at
from tests.control.updates.killed import die_at
from tests.control.updates.publisher import Gateway, Publisher, image_of


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "publisher")


def call(*arguments: object, **environment: str) -> Result:
    return CliRunner(env=environment).invoke(main, [str(one) for one in arguments])


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_numbers_rise(publisher: Publisher) -> None:
    """DEF-13, DEF-16: by one, or to what the publisher says; never back, and never for the same definitions."""
    assert publisher.publish("Test.One").revision.number == 1
    assert publisher.publish("Test.Two", number=20261122).revision.number == 20261122
    assert publisher.publish("Test.One").revision.number == 20261123
    with pytest.raises(Refused, match="the next one is 20261124"):
        publisher.publish("Test.Two", number=20261123)
    with pytest.raises(Refused, match="numbers of revisions rise"):
        publisher.publish("Test.Two", number=2**53)
    with pytest.raises(Refused, match="published already, as revision 20261123"):
        publisher.publish("Test.One")


def test_each_kind_has_the_date_of_its_last_change(publisher: Publisher) -> None:
    """DEF-14"""
    start = datetime.now(UTC)
    first = publisher.publish("Test.One", "Spam.One").revision
    publisher.late = timedelta(days=1)
    second = publisher.publish("Test.One", "Test.Two", "Spam.One").revision
    assert second.date == second.parts["virus"].date > start + timedelta(hours=23)
    assert second.parts["spam"].date == first.date == first.parts["virus"].date
    publisher.late = timedelta(days=2)
    third = publisher.publish("Test.One", "Test.Two", "Spam.Two").revision
    assert (third.parts["spam"].date, third.parts["virus"].date) == (third.date, second.date)
    assert {kind: part.signatures for kind, part in third.parts.items()} == {"virus": 2, "spam": 1}


def test_what_changed_is_told(publisher: Publisher) -> None:
    """DEF-13"""
    assert publisher.publish("Test.One", "Test.Two").changes.came == ("Test.One", "Test.Two")
    changes = publisher.publish("Test.Two", "Test.Three").changes
    assert (changes.came, changes.went, changes.changed) == (("Test.Three",), ("Test.One",), ())


def test_deltas_of_the_last_revisions(publisher: Publisher, tmp_path: Path) -> None:
    """DEF-01: of so many and no more, each smaller than the file; also when what they are of is long gone."""
    gateways = []
    for number in range(1, DELTAS + 3):
        published = publisher.publish(*(f"Test.N{n}" for n in range(number)))
        gateway = Gateway(tmp_path / str(number), publisher.root)
        base = gateway.fetched(publisher.repository.directory).path
        gateways.append((number, gateway, base.rename(tmp_path / str(number) / "in-force.mwd")))
        for path in publisher.repository.directory.rglob("*.*"):
            os.utime(path, (0, path.stat().st_mtime - KEPT_S))  # as if a day had passed
    newest = DELTAS + 2
    assert list(published.deltas) == [*range(newest - 1, newest - 1 - DELTAS, -1), 0]
    assert all(size < published.size // 10 for number, size in published.deltas.items() if number)
    for number, gateway, base in gateways[:-1]:
        found = gateway.fetched(publisher.repository.directory, in_force=number, base=base)
        assert found.revision.number == newest
        assert found.by_delta is (number >= newest - DELTAS)
    served = [path.name for path in publisher.repository.directory.glob("targets/deltas/*/*")]
    assert len(served) == DELTAS + 1, "those that nothing leads to have gone after a day"


@settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(st.sampled_from([f"Test.{letter}" for letter in "ABCDEFGH"]), min_size=1), min_size=1, max_size=4)
)
def test_whatever_is_published_is_what_is_fetched(
    tmp_path_factory: pytest.TempPathFactory, sets: list[list[str]]
) -> None:
    """DEF-01, DEF-16: publishing, fetching, deltas of any revisions that follow each other."""
    folder = tmp_path_factory.mktemp("round")
    publisher = Publisher(folder / "publisher")
    gateway = Gateway(folder, publisher.root)
    base, number, last = folder / "in-force.mwd", 0, None
    for names in sets:
        if sorted(set(names)) == last:
            continue
        last = sorted(set(names))
        publisher.publish(*last)
        found = gateway.fetched(publisher.repository.directory, in_force=number, base=base)
        assert found.path.read_bytes() == image_of(*last)
        number = found.revision.number
        found.path.replace(base)


def test_a_dry_run_changes_nothing(publisher: Publisher) -> None:
    """DEF-01: and needs no keys."""
    publisher.publish("Test.One")
    before = files(publisher.repository.directory)
    for path in (publisher.folder / "keys").iterdir():
        path.unlink()
    found = publisher.publish("Test.One", "Test.Two", dry=True)
    assert (found.revision.number, found.changes.came) == (2, ("Test.Two",))
    assert set(found.deltas) == {1, 0}
    assert files(publisher.repository.directory) == before
    with pytest.raises(Refused, match="1 of the keys of targets must sign, and 0 are in"):
        publisher.publish("Test.One", "Test.Two")
    assert set(files(publisher.repository.directory)) - set(before) <= {
        name for name in files(publisher.repository.directory) if name.startswith("targets/")
    }, "nothing that anybody is led to"


def test_killed_at_every_step(publisher: Publisher, tmp_path: Path) -> None:
    """DEF-16: at each moment gateways get the revision before or the new one; the next call goes on."""
    publisher.publish("Test.One")
    died, step = True, 0
    while died:
        step += 1
        died = die_at(step, lambda: publisher.publish("Test.One", "Test.Two"))
        found = Gateway(tmp_path / str(step), publisher.root).fetched(publisher.repository.directory)
        assert found.path.read_bytes() == image_of("Test.One", *(["Test.Two"] if found.revision.number == 2 else []))
        if found.revision.number == 2:
            break
    assert step > 5
    assert publisher.publish("Test.Three").revision.number == 3


def test_a_full_disk(publisher: Publisher, tmp_path: Path) -> None:
    """DEF-16: gateways get what was there before, and the next call goes on."""
    publisher.publish("Test.One")
    before = files(publisher.metadata)
    path = publisher.folder / "new.mwd"
    path.write_bytes(image_of("Test.Two"))
    where = ("--repository", publisher.repository.directory, "--keys", publisher.folder / "keys")
    with full_at(path.stat().st_size // 2):
        told = call("definitions", "publish", path, *where)
    assert (told.exit_code, os.strerror(errno.EFBIG) in told.output) == (1, True)
    assert files(publisher.metadata) == before
    assert Gateway(tmp_path, publisher.root).fetched(publisher.repository.directory).revision.number == 1
    assert publisher.publish("Test.Two").revision.number == 2


def test_it_is_renewed_without_news(publisher: Publisher, tmp_path: Path) -> None:
    """DEF-16: every day, with the keys of timestamp and snapshot alone; the rest is asked for in time."""
    publisher.publish("Test.One")
    online = tmp_path / "online"
    online.mkdir()
    for path in (publisher.folder / "keys").iterdir():
        if path.name.startswith(("timestamp", "snapshot")):
            path.rename(online / path.name)
    keys = Keys([online], lambda path: None)
    publisher.repository.rotate({}, Keys([online, publisher.folder / "keys"], lambda path: None), None)
    before = publisher.repository.expiries()
    publisher.late = timedelta(days=20)
    publisher.repository.renew(keys)
    after = publisher.repository.expiries()
    assert after["timestamp"] > before["timestamp"] + timedelta(days=19)
    assert after["snapshot"] > before["snapshot"] + timedelta(days=19)
    assert (after["targets"], after["root"]) == (before["targets"], before["root"])
    assert publisher.repository.ageing() == []
    publisher.late = timedelta(days=70)
    publisher.repository.renew(keys)
    assert publisher.repository.ageing() == ["targets"]
    publisher.repository.renew(Keys([online, publisher.folder / "keys"], lambda path: None))
    assert publisher.repository.ageing() == []
    publisher.late = timedelta(days=200)
    publisher.repository.renew(Keys([online, publisher.folder / "keys"], lambda path: None))
    assert publisher.repository.root.signed.version == 3
    assert publisher.repository.ageing() == []
    with pytest.raises(Refused, match="keys of timestamp must sign"):
        publisher.repository.renew(Keys([publisher.folder / "keys"], lambda path: None))


def test_who_has_too_few_keys_changes_nothing(tmp_path: Path) -> None:
    """DEF-16: neither publishing nor rotating stops half way."""
    publisher = Publisher(tmp_path / "publisher", {"root": Quorum(3, 2), "snapshot": Quorum(2, 2)})
    publisher.publish("Test.One")
    next((publisher.folder / "keys").glob("snapshot-*")).unlink()
    before = files(publisher.metadata)
    with pytest.raises(Refused, match="2 of the keys of snapshot must sign, and 1 are"):
        publisher.publish("Test.Two")
    with pytest.raises(Refused, match="2 of the keys of snapshot"):
        publisher.repository.rotate({"targets": Quorum()}, publisher.keys, None)
    assert files(publisher.metadata) == before
    publisher.repository.rotate({"snapshot": Quorum(1, 1)}, publisher.keys, None)
    assert publisher.publish("Test.Two").revision.number == 2
    with pytest.raises(Refused, match="of 1 keys, 2 cannot sign"):
        publisher.repository.rotate({"root": Quorum(1, 2)}, publisher.keys, None)


def test_what_is_no_repository_or_image(tmp_path: Path, publisher: Publisher) -> None:
    """DEF-16"""
    with pytest.raises(Refused, match="mailward definitions create"):
        Repository(tmp_path).revision(LAYOUT)
    with pytest.raises(Refused, match="has a repository already"):
        publisher.repository.create({}, {}, publisher.keys, None)
    (tmp_path / "no.mwd").write_bytes(b"no image")
    told = call(
        "definitions",
        "publish",
        tmp_path / "no.mwd",
        "--repository",
        publisher.repository.directory,
        "--keys",
        tmp_path,
    )
    assert told.exit_code == 1
    assert "no.mwd" in told.output
    (publisher.metadata / "timestamp.json").write_bytes((publisher.metadata / "1.root.json").read_bytes())
    with pytest.raises(Refused, match="is of another kind"):
        publisher.repository.revision(LAYOUT)
    (publisher.metadata / "timestamp.json").write_bytes(b"damaged")
    with pytest.raises(Refused, match="cannot be read"):
        publisher.repository.revision(LAYOUT)


def test_keys_lie_in_files_that_a_passphrase_opens(tmp_path: Path) -> None:
    """DEF-16"""
    keys = Keys([tmp_path / "keys"], lambda path: b"right")
    made = keys.generate("targets", b"right")
    path = next((tmp_path / "keys").iterdir())
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    ids = [made.public_key.keyid]
    assert keys.signers("targets", ids)[0].public_key.keyid == ids[0]
    assert keys.signers("root", ids) == []
    for given_ in (b"wrong", None):
        with pytest.raises(BadKey, match="the passphrase is wrong"):
            Keys([tmp_path / "keys"], lambda path, given=given_: given).signers("targets", ids)  # type: ignore[misc]
    path.write_bytes(b"damaged")
    with pytest.raises(BadKey, match=path.name):
        keys.signers("targets", ids)


def test_the_commands(tmp_path: Path) -> None:
    """DEF-01, DEF-13, DEF-14, DEF-16: create, publish, rotate, renew, show, trust, fetch, as the manual tells them."""
    repository, keys, image = tmp_path / "www", tmp_path / "keys", tmp_path / "new.mwd"
    image.write_bytes(image_of("Test.One", "Spam.One"))
    (tmp_path / "passphrase").write_text("correct horse\n")
    where = ("--repository", repository, "--keys", keys, "--passphrase-file", tmp_path / "passphrase")
    made = call("definitions", "create", *where, "--quorum", "root=2/3", "--days", "timestamp=2")
    assert made.exit_code == 0, made.output
    assert "2 of 3 keys must sign" in made.output
    assert len(list(keys.iterdir())) == 6
    dry = call("definitions", "publish", image, *where, "--dry-run", "--note", "a first try")
    assert "nothing was published" in dry.output
    assert "a first try" in dry.output
    assert "no definitions" in call("definitions", "show", "--repository", repository).output
    done = call("definitions", "publish", image, *where, "--revision", "7")
    assert done.exit_code == 0, done.output
    for line in ("revision 7 of", "+ Spam.One", "2 came, 0 went, 0 changed", "virus", "spam"):
        assert line in done.output
    wrong = call("definitions", "publish", image, *where[:4], MAILWARD_KEY_PASSPHRASE="wrong")
    assert wrong.exit_code == 1
    assert call("definitions", "rotate", "root", "targets", *where).exit_code == 0
    assert call("definitions", "renew", *where).exit_code == 0
    shown = call("definitions", "show", "--repository", repository).output
    assert "revision 7" in shown
    assert "root      2 of 3 keys" in shown
    to = ("--trust", repository / "metadata" / "1.root.json", "--to", tmp_path / "here")
    assert "revision-7.mwd" in call("definitions", "fetch", repository, *to).output
    assert "nothing new" in call("definitions", "fetch", repository, *to).output
    assert (tmp_path / "here" / "revision-7.mwd").read_bytes() == image.read_bytes()
    assert call("definitions", "create", *where, "--quorum", "root=two").exit_code == 2
    assert call("definitions", "create", *where, "--days", "root=0").exit_code == 2


def test_the_gateway_is_told_whom_to_trust(tmp_path: Path, publisher: Publisher) -> None:
    """DEF-16: and another root only when that is said."""
    root = publisher.metadata / "1.root.json"
    told = call("definitions", "trust", root, "--root", tmp_path / "gateway")
    assert "mailward init" in told.output
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / FILE_NAME).touch()
    told = call("definitions", "trust", root, "--root", tmp_path / "gateway")
    assert told.exit_code == 0, told.output
    assert (tmp_path / "gateway" / "definitions" / "trusted" / "root.json").read_bytes() == root.read_bytes()
    other = Publisher(tmp_path / "other").metadata / "1.root.json"
    assert "--replace" in call("definitions", "trust", other, "--root", tmp_path / "gateway").output
    assert call("definitions", "trust", other, "--root", tmp_path / "gateway", "--replace").exit_code == 0


def test_definitions_for_older_gateways_stay(publisher: Publisher) -> None:
    """DEF-10: what is published for another layout is served on, and numbers rise over all of them."""
    publisher.publish("Test.One")
    targets = publisher.repository.targets
    targets.signed.targets[target_name(LAYOUT - 1)] = targets.signed.targets.pop(target_name())
    publisher.repository.publish(targets, publisher.keys)
    assert publisher.publish("Test.Two").revision.number == 2
    assert {target_name(), target_name(LAYOUT - 1)} <= set(publisher.repository.targets.signed.targets)
