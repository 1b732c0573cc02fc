"""Mirrors inside the site (DEF-09): what they serve is whole and verified at every moment, wherever they bring it."""

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from click.testing import CliRunner, Result
from tuf.api.metadata import TargetFile

from control.cli import main
from control.updates.fetch import NoSource, NothingNew, NotTrusted, NotWritten
from control.updates.mirror import STATE, Mirrored, NotAMirror, mirror, state_of
from control.updates.repository import KEPT_S, METADATA, TARGETS, Quorum
from control.updates.serving import server_of
from control.updates.trust import trust
from control.updates.upload import NotUploaded, upload
from engine import durable
from tests.control.updates.disk import full_at
from tests.control.updates.ftp import ftp_server
from tests.control.updates.killed import die_at
from tests.control.updates.publisher import IMPATIENT, PATIENT, Gateway, Publisher, image_of
from tests.control.updates.servers import ERROR, STALL, HttpServer, http_server

OLD, NEW = image_of("Test.One"), image_of("Test.One", "Test.Two")


class Site:
    """A publisher with a web server, and a mirror of it in the site, which has revision 1."""

    def __init__(self, folder: Path, server: HttpServer, publisher: Publisher) -> None:
        self.folder, self.server, self.publisher = folder, server, publisher
        self.mirror, self.patience = folder / "mirror", PATIENT
        trust(publisher.root, state_of(self.mirror))

    def renewed(self, *sources: object) -> Mirrored:
        return mirror([str(source) for source in sources or (self.server.url,)], self.mirror, patience=self.patience)

    def gateway(self, name: str) -> Gateway:
        return Gateway(self.folder / name, self.publisher.root)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    publisher = Publisher(tmp_path / "publisher")
    publisher.publish("Test.One")
    with http_server(publisher.repository.directory) as server:
        found = Site(tmp_path, server, publisher)
        found.renewed()
        yield found


def seen(folder: Path) -> dict[str, bytes]:
    """What a reader of the directory can see."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in (METADATA, TARGETS)
        for path in (folder / name).rglob("*")
        if path.is_file()
    }


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def test_a_mirror_serves_what_the_publisher_does(site: Site) -> None:
    """DEF-09: also the deltas; and what is there is not fetched again."""
    gateway = site.gateway("gateway")
    base = gateway.fetched(site.mirror).path.rename(site.folder / "in-force.mwd")
    site.publisher.publish("Test.One", "Test.Two")
    found = site.renewed()
    assert (found.changed, found.source) == (True, site.server.url)
    assert [revision.number for revision in found.revisions.values()] == [2]
    assert gateway.fetched(site.mirror, in_force=1, base=base).by_delta
    site.server.asked.clear()
    assert not site.renewed().changed
    assert not [asked for asked in site.server.asked if TARGETS in asked]
    assert not list(site.mirror.rglob(f"{durable.HALF}*"))


@pytest.mark.parametrize("end", ["mwd", "-2", "3.targets.json", "3.snapshot.json", "timestamp.json"])
def test_readers_see_the_old_set_until_the_new_one_is_whole(site: Site, end: str) -> None:
    """DEF-09: whatever is the file that does not come."""
    before = seen(site.mirror)
    site.publisher.publish("Test.One", "Test.Two")
    site.server.faults, site.patience = {end: STALL}, IMPATIENT
    with pytest.raises(NoSource):
        site.renewed()
    now = seen(site.mirror)
    assert {name: now[name] for name in before} == before
    assert site.gateway("gateway").fetched(site.mirror).path.read_bytes() == OLD
    assert site.renewed(site.server.url, site.server.folder).problems[0].source == site.server.url
    assert site.gateway("later").fetched(site.mirror).path.read_bytes() == NEW


def test_what_is_not_as_it_was_signed_is_never_served(site: Site) -> None:
    """DEF-09, DEF-16"""
    before = seen(site.mirror)
    site.publisher.publish("Test.One", "Test.Two")
    evil = site.publisher.copied("evil")
    for path in evil.glob("targets/*/**/*.*"):
        if path.is_file():
            path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(NoSource, match="not the one that was signed"):
        site.renewed(evil)
    assert seen(site.mirror) == before
    stranger = Publisher(site.folder / "stranger")
    with pytest.raises(NoSource, match="not signed by the trusted keys"):
        site.renewed(stranger.repository.directory)
    assert seen(site.mirror) == before


def test_a_full_disk(site: Site) -> None:
    """DEF-09: the mirror serves what it had, and goes on when there is room."""
    before = seen(site.mirror)
    site.publisher.publish("Test.One", "Test.Two")
    with full_at(len(NEW) // 2), pytest.raises(NotWritten, match="check the space"):
        site.renewed()
    assert seen(site.mirror) == before
    assert site.renewed().changed
    assert site.gateway("gateway").fetched(site.mirror).path.read_bytes() == NEW


def test_killed_at_every_step(site: Site) -> None:
    """DEF-09: at each moment a gateway gets the old set or the new one from it, and the next call mends it."""
    site.publisher.publish("Test.One", "Test.Two")
    source = site.publisher.repository.directory
    died, step = True, 0
    while died:
        step += 1
        died = die_at(step, lambda: site.renewed(source))
        assert site.gateway(f"gateway-{step}").fetched(site.mirror).path.read_bytes() in (OLD, NEW)
    assert step > 10
    assert not site.renewed(source).changed
    assert not list(site.mirror.rglob(f"{durable.HALF}*"))


def test_roots_before_the_one_that_is_trusted_are_served_too(site: Site) -> None:
    """DEF-09: gateways of the site may have begun with an older one; each must have signed the next."""
    for _ in range(2):
        site.publisher.repository.rotate({"root": Quorum()}, site.publisher.keys, None)
    late = site.folder / "late"
    trust((site.publisher.metadata / "3.root.json").read_bytes(), state_of(late))
    mirror([site.server.url], late)
    assert {f"metadata/{n}.root.json" for n in (1, 2, 3)} <= set(seen(late))
    assert site.gateway("gateway").fetched(late).path.read_bytes() == OLD
    later = site.folder / "later"
    trust((site.publisher.metadata / "3.root.json").read_bytes(), state_of(later))
    shutil.copy(Publisher(site.folder / "stranger").metadata / "1.root.json", site.publisher.metadata / "1.root.json")
    with pytest.raises(NoSource, match="not signed by the trusted keys"):
        mirror([site.server.url], later)


@pytest.mark.parametrize("name", ["../../evil", "/evil", ".evil", "a/b/c/d/e", "a" * 200, "a\\b", "EVIL"])
def test_names_lead_nowhere_else(site: Site, name: str) -> None:
    """DEF-09: not even those that the publisher signed."""
    targets = site.publisher.repository.targets
    targets.signed.targets[name] = TargetFile.from_data(name, b"evil", ["sha256"])
    site.publisher.repository.publish(targets, site.publisher.keys)
    with pytest.raises(NoSource, match="has the name"):
        site.renewed()
    assert site.gateway("gateway").fetched(site.mirror).revision.number == 1


def test_so_many_files_and_no_more(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-09"""
    count = len(site.publisher.repository.targets.signed.targets)
    monkeypatch.setattr("control.updates.mirror.FILES", count)
    site.renewed()
    monkeypatch.setattr("control.updates.mirror.FILES", count - 1)
    with pytest.raises(NoSource, match=f"more than {count - 1} files"):
        site.renewed()


def test_only_a_directory_of_its_own_becomes_a_mirror(tmp_path: Path, site: Site) -> None:
    """DEF-09: what lies elsewhere is left alone."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(NotAMirror, match="neither empty nor a mirror"):
        mirror([site.server.url], tmp_path / "home")
    with pytest.raises(NotTrusted, match="--trust"):
        mirror([site.server.url], tmp_path / "new")


def test_what_nothing_leads_to_goes_after_a_day(site: Site) -> None:
    """DEF-09: not before, since a gateway may be fetching it."""
    before = set(seen(site.mirror))
    site.publisher.publish("Test.One", "Test.Two")
    assert site.renewed().gone == ()
    for name in before:
        status = (site.mirror / name).stat()
        os.utime(site.mirror / name, (status.st_atime, status.st_mtime - KEPT_S - 1))
    gone = set(site.renewed().gone)
    assert gone == {name for name in before if "root" not in name and "timestamp" not in name}
    assert not gone & set(seen(site.mirror))
    assert site.gateway("gateway").fetched(site.mirror).path.read_bytes() == NEW


@pytest.mark.parametrize("knows_move", [True, False])
def test_brought_to_a_web_server(site: Site, knows_move: bool) -> None:
    """DEF-09: by PUT and MOVE; timestamp.json is the last one, and under its name at once if the server can do that."""
    folder = site.folder / "www"
    folder.mkdir()
    with http_server(folder) as server:
        server.refused = set() if knows_move else {"MOVE"}
        assert upload(site.mirror, server.url, patience=PATIENT) == len(seen(site.mirror))
        assert seen(folder) == seen(site.mirror)
        assert [asked for asked in server.asked if asked.split()[0] in ("PUT", "MOVE")][-1].startswith(
            "MOVE" if knows_move else "PUT /metadata/timestamp.json"
        )
        assert site.gateway("gateway").fetched(server.url).path.read_bytes() == OLD
        site.publisher.publish("Test.One", "Test.Two")
        site.renewed()
        (folder / "metadata" / "2.targets.json").write_bytes(b"half")
        assert upload(site.mirror, server.url, ["targets/gone"], patience=PATIENT) < len(seen(site.mirror))
        assert seen(folder) == seen(site.mirror)
        assert "DELETE /targets/gone" in server.asked
        server.refused = {"PUT"}
        with pytest.raises(NotUploaded, match="answers 405 to PUT"):
            upload(site.mirror, server.url, patience=PATIENT)


def test_brought_to_an_ftp_server(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-09: with a password of the address, or of ~/.netrc; who may not write is told, and not the password."""
    folder = site.folder / "ftp" / "definitions"
    folder.mkdir(parents=True)
    with ftp_server(folder.parent) as address:
        sent = upload(site.mirror, f"ftp://site:secret@{address}/definitions", patience=PATIENT)
        assert sent == len(seen(site.mirror))
        assert seen(folder) == seen(site.mirror)
        assert site.gateway("gateway").fetched(f"ftp://{address}/definitions").path.read_bytes() == OLD
        site.publisher.publish("Test.One", "Test.Two")
        site.renewed()
        home = site.folder / "home"
        home.mkdir()
        (home / ".netrc").write_text("machine 127.0.0.1 login site password secret\n")
        (home / ".netrc").chmod(0o600)
        monkeypatch.setenv("HOME", str(home))
        (folder / "targets" / "gone").write_bytes(b"old")
        upload(site.mirror, f"ftp://{address}/definitions", ["targets/gone", "targets/never"], patience=PATIENT)
        assert seen(folder) == seen(site.mirror)
        with pytest.raises(NotUploaded) as caught:
            upload(site.mirror, f"ftp://site:wrong@{address}/definitions", patience=PATIENT)
        assert "530" in str(caught.value)
        assert "wrong" not in str(caught.value)
        with pytest.raises(NotUploaded, match="55"):
            upload(site.mirror, f"ftp://anonymous:@{address}/definitions", patience=PATIENT)
        assert seen(folder) == seen(site.mirror)


def test_served_by_itself(site: Site) -> None:
    """DEF-09: where there is no web server; sets, and nothing else of the directory."""
    server = server_of(site.mirror)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
        thread.start()
        try:
            assert site.gateway("gateway").fetched(url).path.read_bytes() == OLD
            (site.mirror / TARGETS / f"{durable.HALF}x").write_bytes(b"half")
            for path in (
                f"{STATE}/root.json",
                f"{TARGETS}/{durable.HALF}x",
                f"{METADATA}/",
                "metadata/../.mirror/root.json",
            ):
                assert urllib3.request("GET", f"{url}/{path}", retries=False).status == 404
        finally:
            server.should_exit = True
            thread.join(10)


def test_the_command(site: Site) -> None:
    """DEF-09: trust once, then call it by a timer; what fails is told, and told by the exit status."""
    target, root = site.folder / "share", site.publisher.metadata / "1.root.json"
    first = call("definitions", "mirror", site.server.url, "--to", target, "--trust", root)
    assert first.exit_code == 0, first.output
    assert "renewed" in first.output
    assert "SHA-256" in first.output
    www = site.folder / "www"
    www.mkdir()
    with http_server(www) as server:
        dead = "ftp://user:secret@127.0.0.1:1/"
        second = call(
            "definitions", "mirror", dead, site.server.url, "--to", target, "--upload", dead, "--upload", server.url
        )
        assert second.exit_code == 1
        assert "nothing new" in second.output
        assert second.output.count("Connection refused") == 2
        assert "secret" not in second.output
        assert seen(www) == seen(target), "one that fails does not keep another from being served"
    site.server.faults = {"timestamp.json": ERROR}
    assert call("definitions", "mirror", site.server.url, "--to", target).exit_code == 1
    stranger = Publisher(site.folder / "stranger")
    refused = call("definitions", "mirror", "x", "--to", target, "--trust", stranger.metadata / "1.root.json")
    assert "--replace" in refused.output
    assert isinstance(site.gateway("gateway").fetch(target, in_force=1), NothingNew)
