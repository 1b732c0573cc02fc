"""Fetching from servers on loopback: in order, with deltas, and whatever can go wrong on the way."""

import errno
import fcntl
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.updates.fetch import (
    AlreadyRunning,
    Fetched,
    Interrupted,
    NoSource,
    NothingNew,
    NotTrusted,
    NotWritten,
    fetch,
)
from control.updates.repository import METADATA, TARGETS, Quorum
from control.updates.revision import target_name
from control.updates.sources import BadSource, Patience, parse, shown
from control.updates.trust import ROOT_LEN, NotARoot, examine, trust
from engine import durable
from engine.certificate import self_signed
from tests.control.updates.disk import full_at
from tests.control.updates.ftp import ftp_server, talker, trickler
from tests.control.updates.killed import die_at
from tests.control.updates.publisher import IMPATIENT, PATIENT, Gateway, Publisher, image_of
from tests.control.updates.servers import DRIP, ERROR, REDIRECT, STALL, TRUNCATE, HttpServer, http_server

ONE, TWO = image_of("Test.One"), image_of("Test.One", "Test.Two", "Spam.One")


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """With revisions 1 and 2, and a state of it before the second one in `first`."""
    made = Publisher(tmp_path_factory.mktemp("publisher"))
    made.publish("Test.One", note="the first one")
    made.copied("first")
    made.publish("Test.One", "Test.Two", "Spam.One")
    return made


@pytest.fixture
def gateway(tmp_path: Path, publisher: Publisher) -> Gateway:
    return Gateway(tmp_path, publisher.root)


@pytest.fixture
def first(publisher: Publisher) -> Path:
    return publisher.folder / "first"


@pytest.fixture
def both(publisher: Publisher) -> Path:
    return publisher.repository.directory


@pytest.fixture
def server(both: Path) -> Iterator[HttpServer]:
    with http_server(both) as found:
        yield found


def delta_names(publisher: Publisher) -> list[str]:
    return [path.rsplit("/")[-1] for path in publisher.repository.targets.signed.targets if "deltas" in path]


def test_from_a_web_server(gateway: Gateway, server: HttpServer) -> None:
    """DEF-01, DEF-14: nothing there yet: the compressed form is enough; then nothing new, which costs two requests."""
    found = gateway.fetched(server.url)
    assert found.path.read_bytes() == TWO
    assert (found.revision.number, found.revision.signatures, found.source) == (2, 3, server.url)
    assert {kind: part.signatures for kind, part in found.revision.parts.items()} == {"virus": 2, "spam": 1}
    assert found.path.stat().st_mode & 0o777 == 0o640
    assert gateway.files == {"revision-2.mwd"}
    assert all("user-agent: mailward/" in head for head in server.headers)
    server.asked.clear()
    assert isinstance(gateway.fetch(server.url, in_force=2), NothingNew)
    assert server.asked == ["GET /metadata/2.root.json", "GET /metadata/timestamp.json"]


def test_from_a_server_with_tls(tmp_path: Path, gateway: Gateway, both: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-01: its certificate must be one that the machine trusts."""
    (tmp_path / "server.pem").write_bytes(self_signed(["127.0.0.1"]))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "server.pem")
    with http_server(both, tls) as server:
        with pytest.raises(NoSource, match="certificate verify failed"):
            gateway.fetch(server.url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
        assert gateway.fetched(server.url).path.read_bytes() == TWO


def test_from_a_server_with_ipv6(gateway: Gateway, both: Path) -> None:
    """DEF-01"""
    with http_server(both, host="[::1]") as server:
        assert gateway.fetched(server.url).source == server.url


def test_the_password_of_a_web_server(gateway: Gateway, server: HttpServer) -> None:
    """DEF-09: it gets there, and nowhere else."""
    found = gateway.fetched(server.url.replace("//", "//site:secret%40@"))
    assert all("authorization: basic c2l0ztpzzwnyzxra" in head for head in server.headers)
    assert found.source == server.url.replace("//", "//site@")


def test_from_an_ftp_server(gateway: Gateway, both: Path) -> None:
    """DEF-01, DEF-09: as anybody, and as a user; passwords are never shown."""
    with ftp_server(both.parent) as address:
        assert gateway.fetched(f"ftp://{address}/repository").path.read_bytes() == TWO
        with pytest.raises(NoSource) as caught:
            gateway.fetch(f"ftp://site:wrong@{address}/repository", f"ftp://site:secret@{address}/nothing")
        assert [problem.source for problem in caught.value.problems] == [
            f"ftp://site@{address}/repository",
            f"ftp://site@{address}/nothing",
        ]
        assert "530" in str(caught.value)
        assert "not there" in str(caught.value)
        assert "wrong" not in str(caught.value)
        assert "secret" not in str(caught.value)
        found = gateway.fetch(f"ftp://site:secret@{address}/repository", in_force=2)
        assert found.source == f"ftp://site@{address}/repository"


@pytest.mark.parametrize(
    ("words", "again", "why"),
    [
        (b"220-welcome\r\n", False, "no answer for 0.5 seconds"),
        (b"220-welcome\r\n", True, "does not stop talking"),
        (b"220 " + b"x" * 9000, False, "got more than"),
        (b"HTTP/1.1 400 Bad Request\r\n", False, "HTTP/1.1"),
        (b"220 ready\r\n", False, "no answer"),
    ],
)
def test_what_is_no_good_ftp_server(gateway: Gateway, both: Path, words: bytes, again: bool, why: str) -> None:
    """DEF-01, DEF-09"""
    with talker(words, again) as address:
        found = gateway.fetched(f"ftp://{address}/", both, patience=IMPATIENT)
    assert why in found.problems[0].reason


def test_an_ftp_server_that_trickles(gateway: Gateway) -> None:
    """DEF-01, DEF-09"""
    with trickler() as address, pytest.raises(NoSource, match="slower than"):
        gateway.fetch(f"ftp://{address}/", patience=Patience(stall_s=5.0, grace_s=0.3, rate=1 << 30))
    assert not gateway.files


def test_from_a_directory(gateway: Gateway, both: Path) -> None:
    """DEF-01, DEF-09: of a file server, by its path or as file://."""
    assert gateway.fetched(both).source == str(both)
    assert isinstance(gateway.fetch(f"file://{both}", in_force=2), NothingNew)


def test_a_file_that_is_none(tmp_path: Path, gateway: Gateway) -> None:
    """A pipe in a shared directory would wait for ever."""
    (tmp_path / "share" / "metadata").mkdir(parents=True)
    os.mkfifo(tmp_path / "share" / "metadata" / "2.root.json")
    with pytest.raises(NoSource, match="is no file"):
        gateway.fetch(tmp_path / "share")


def test_a_directory_in_place_of_a_file(tmp_path: Path, gateway: Gateway) -> None:
    """It is told of, and leaves nothing open."""
    (tmp_path / "share" / "metadata" / "2.root.json").mkdir(parents=True)
    opened = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NoSource, match="is no file"):
        gateway.fetch(tmp_path / "share")
    assert len(os.listdir("/proc/self/fd")) == opened


def test_a_directory_that_is_too_slow(gateway: Gateway, both: Path) -> None:
    """DEF-09: a file server may trickle too."""
    with pytest.raises(NoSource, match="slower than"):
        gateway.fetch(both, patience=Patience(grace_s=0.0, rate=1 << 60))


def test_only_what_changed_is_fetched(gateway: Gateway, first: Path, server: HttpServer) -> None:
    """DEF-01: the delta of what is in force."""
    base = gateway.fetched(first).path.rename(gateway.directory.parent / "in-force.mwd")
    found = gateway.fetched(server.url, in_force=1, base=base)
    assert (found.by_delta, found.path.read_bytes()) == (True, TWO)
    assert found.octets < len(TWO) // 10
    assert [asked for asked in server.asked if TARGETS in asked and asked.endswith("definitions.mwd")] == []


@pytest.mark.parametrize("content", [b"something else", None])
def test_what_is_in_force_may_be_anything(tmp_path: Path, gateway: Gateway, both: Path, content: bytes | None) -> None:
    """DEF-01: put there by hand, or gone: then it is fetched without it."""
    base = tmp_path / "in-force.mwd"
    if content is not None:
        base.write_bytes(content)
    found = gateway.fetched(both, in_force=1, base=base)
    assert (found.by_delta, found.path.read_bytes()) == (False, TWO)


def test_a_delta_that_makes_something_else_is_discarded(tmp_path: Path) -> None:
    """DEF-16: well signed, and yet for another file: the whole one is fetched instead."""
    publisher = Publisher(tmp_path / "publisher")
    publisher.publish("Test.One")
    gateway = Gateway(tmp_path, publisher.root)
    base = gateway.fetched(publisher.repository.directory).path.rename(tmp_path / "in-force.mwd")
    publisher.publish("Test.One", "Test.Two")
    targets = publisher.repository.targets
    before, nothing = (targets.signed.targets[f"deltas/{target_name().split('/')[0]}/{n}-2"] for n in (1, 0))
    paths = [publisher.repository.target_path(one) for one in (before, nothing)]
    old = publisher.repository.directory / TARGETS / "deltas" / target_name().split("/")[0]
    wrong = next(path for path in old.iterdir() if path.name.endswith(".0-1"))
    for one, path in zip((before, nothing), paths, strict=True):
        shutil.copy(wrong, path.with_name(f"{wrong.name.split('.')[0]}.{path.name.split('.', 1)[1]}"))
        one.hashes, one.length = {"sha256": wrong.name.split(".")[0]}, wrong.stat().st_size
    publisher.repository.publish(targets, publisher.keys)
    found = gateway.fetched(publisher.repository.directory, in_force=1, base=base)
    assert (found.by_delta, found.path.read_bytes()) == (False, image_of("Test.One", "Test.Two"))
    assert found.octets > len(TWO)


@pytest.mark.parametrize("fault", [STALL, TRUNCATE])
def test_a_delta_that_does_not_come_is_no_reason_to_go_without(
    gateway: Gateway, server: HttpServer, publisher: Publisher, fault: str
) -> None:
    """DEF-01"""
    server.faults = dict.fromkeys(delta_names(publisher), fault)
    assert gateway.fetched(server.url, patience=IMPATIENT).path.read_bytes() == TWO


@pytest.mark.parametrize("fault", [STALL, TRUNCATE, REDIRECT, ERROR, DRIP])
@pytest.mark.parametrize("path", ["timestamp.json", "mwd"])
def test_the_next_source_when_one_fails(
    gateway: Gateway, server: HttpServer, both: Path, publisher: Publisher, fault: str, path: str
) -> None:
    """DEF-01, DEF-09: each failure is told with its source; nothing half is left."""
    server.faults = {path: fault, **dict.fromkeys(delta_names(publisher) if path == "mwd" else (), ERROR)}
    dead = "http://127.0.0.1:1"
    patience = {STALL: IMPATIENT, DRIP: Patience(stall_s=60.0, grace_s=0.4, rate=1 << 30)}.get(fault, PATIENT)
    found = gateway.fetched(dead, server.url, both, patience=patience)
    assert found.path.read_bytes() == TWO
    assert [problem.source for problem in found.problems] == [dead, server.url]
    assert "Connection refused" in found.problems[0].reason
    expected = {
        STALL: "no answer for 0.5 seconds",
        TRUNCATE: "damaged|not the one that was signed|IncompleteRead",
        REDIRECT: "sends us to 'http://127.0.0.1:1/elsewhere'",
        ERROR: "answers 500",
        DRIP: "slower than",
    }
    with pytest.raises(NoSource, match=expected[fault]):
        Gateway(gateway.trusted.parent / "other", publisher.root).fetch(server.url, patience=patience)
    assert gateway.files == {"revision-2.mwd"}


def test_a_failure_keeps_what_was_fetched(gateway: Gateway, first: Path, server: HttpServer) -> None:
    """DEF-12, DEF-16"""
    assert gateway.fetched(first).revision.note == "the first one"
    server.faults = {"mwd": STALL, "-2": ERROR}
    with pytest.raises(NoSource):
        gateway.fetch(server.url, in_force=1, patience=IMPATIENT)
    assert gateway.files == {"revision-1.mwd"}
    assert (gateway.directory / "revision-1.mwd").read_bytes() == ONE
    assert gateway.fetched(server.folder, in_force=1).revision.number == 2
    assert gateway.files == {"revision-2.mwd"}


def test_never_older_than_in_force_unless_asked(gateway: Gateway, both: Path) -> None:
    """DEF-16"""
    with pytest.raises(NoSource, match="revision 2, which is older than 3 in force"):
        gateway.fetch(both, in_force=3)
    assert not gateway.files
    assert gateway.fetched(both, in_force=3, older=True).revision.number == 2


def test_a_revision_that_is_not_wanted(gateway: Gateway, both: Path) -> None:
    """DEF-16: one that failed here is not fetched every hour again."""
    found = gateway.fetch(both, in_force=1, unwanted={2})
    assert isinstance(found, NothingNew)
    assert found.revision.number == 2
    assert not gateway.files


def test_a_file_that_is_there_already_is_not_fetched_again(gateway: Gateway, server: HttpServer) -> None:
    """DEF-01: the process ended after fetching it; and what is damaged is no such file."""
    path = gateway.fetched(server.url).path
    server.asked.clear()
    assert gateway.fetched(server.url).path == path
    assert not [asked for asked in server.asked if TARGETS in asked]
    path.write_bytes(b"damaged")
    assert gateway.fetched(server.url).path.read_bytes() == TWO


def test_no_root_of_trust(tmp_path: Path, both: Path) -> None:
    """DEF-16: nothing is trusted by being there first."""
    with pytest.raises(NotTrusted, match="mailward definitions trust"):
        fetch([str(both)], tmp_path / "trusted", tmp_path / "fetched")
    with pytest.raises(NoSource, match="no source of updates is named"):
        Gateway(tmp_path, (both / "metadata" / "1.root.json").read_bytes()).fetch()


def test_trust_is_not_replaced_by_mistake(tmp_path: Path, gateway: Gateway, both: Path) -> None:
    """DEF-16: and with another root, what was seen under the first one is forgotten."""
    gateway.fetched(both)
    stranger = Publisher(tmp_path / "stranger")
    stranger.publish("Test.Three")
    with pytest.raises(NotARoot, match="--replace"):
        trust(stranger.root, gateway.trusted)
    for octets in (
        b"",
        b"{}",
        b"[" * 100_000,
        stranger.root.replace(b'"threshold":1', b'"threshold":0'),
        bytes(1 << 20),
    ):
        with pytest.raises(NotARoot):
            trust(octets, gateway.trusted, replace=True)
    with pytest.raises(NotARoot, match="more than a root can have"):
        examine(stranger.root.rjust(ROOT_LEN + 1))
    assert examine(stranger.root.rjust(ROOT_LEN)).version == 1
    with pytest.raises(NotARoot, match="timestamp"):
        trust((both / "metadata" / "timestamp.json").read_bytes(), gateway.trusted)
    assert isinstance(gateway.fetch(both, in_force=2), NothingNew)
    told = trust(stranger.root, gateway.trusted, replace=True)
    assert not (gateway.trusted / METADATA).exists()
    assert (told.version, told.quorums["root"]) == (1, (1, 1))
    assert gateway.fetched(stranger.repository.directory).revision.number == 1


def test_definitions_for_another_version_of_mailward(tmp_path: Path, gateway: Gateway) -> None:
    """DEF-10"""
    publisher = Publisher(tmp_path / "publisher")
    gateway = Gateway(tmp_path / "gateway", publisher.root)
    with pytest.raises(NoSource, match="no definitions for this version of Mailward"):
        gateway.fetch(publisher.repository.directory)
    publisher.publish("Test.One")
    targets = publisher.repository.targets
    targets.signed.targets[target_name()].unrecognized_fields["custom"] = {"number": "many"}
    publisher.repository.publish(targets, publisher.keys)
    with pytest.raises(NoSource, match="in a way that is not understood"):
        gateway.fetch(publisher.repository.directory)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither an address"),
        ("relative/path", "neither an address"),
        ("gopher://host/", "neither an address"),
        ("https:///path", "is not an address such as"),
        ("https://host/?query", "is not an address such as"),
        ("https://host/a\r\nb", "is not an address such as"),
        ("ftp://host/a%0d%0aDELE%20x", "is not an address such as"),
        ("https://host:port/", "is no address"),
        ("http://[::1/", "is no address"),
        ("file://server/share", "mount its directory"),
    ],
)
def test_what_is_no_source(gateway: Gateway, both: Path, text: str, why: str) -> None:
    """DEF-09: a mistake in one source is told, and the next one is used."""
    with pytest.raises(BadSource, match=why):
        parse(text)
    found = gateway.fetched(text, both)
    assert len(found.problems) == 1
    assert why in found.problems[0].reason


def test_passwords_of_sources_are_not_shown() -> None:
    """DEF-13"""
    assert shown("https://user:pass%40word@host:8443/a/") == "https://user@host:8443/a"
    assert shown("ftp://host") == "ftp://host"
    assert shown("/srv/share") == "/srv/share"


def test_one_at_a_time(gateway: Gateway, both: Path) -> None:
    """DEF-08"""
    with (gateway.trusted / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match="already"):
            gateway.fetch(both)
    assert isinstance(gateway.fetch(both), Fetched)


def test_it_can_be_stopped(gateway: Gateway, server: HttpServer) -> None:
    """DEF-01: when the gateway stops it does not wait for a source."""
    with pytest.raises(Interrupted):
        gateway.fetch(server.url, stopped=lambda: any("definitions" in a or "-2" in a for a in server.asked))
    assert not gateway.files


def test_a_full_disk(gateway: Gateway, first: Path, both: Path) -> None:
    """DEF-12, DEF-16: it is not the fault of the source, so no other is tried; what was there stays."""
    gateway.fetched(first)
    with full_at(len(TWO) // 2), pytest.raises(NotWritten, match=os.strerror(errno.EFBIG)) as caught:
        gateway.fetch(both, in_force=1)
    assert "check the space" in str(caught.value)
    assert gateway.files == {"revision-1.mwd"}
    assert gateway.fetched(both, in_force=1).path.read_bytes() == TWO


def test_killed_in_the_middle(gateway: Gateway, first: Path, server: HttpServer, publisher: Publisher) -> None:
    """DEF-16: what was fetched before lies there as it was, nothing half beside it for long."""
    gateway.fetched(first)
    server.faults = {"mwd": STALL, **dict.fromkeys(delta_names(publisher), ERROR)}
    program = (
        "import sys; from pathlib import Path; from control.updates.fetch import fetch;"
        "fetch([sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3]), in_force=1)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, server.url, gateway.trusted, gateway.directory])
    assert server.stalled.wait(30)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert (gateway.directory / "revision-1.mwd").read_bytes() == ONE
    assert all(name == "revision-1.mwd" or name.startswith(durable.HALF) for name in gateway.files)
    assert gateway.fetched(server.folder, in_force=1).path.read_bytes() == TWO
    assert gateway.files == {"revision-2.mwd"}


def test_killed_at_every_step(tmp_path: Path, first: Path, both: Path, publisher: Publisher) -> None:
    """DEF-16: the next fetch finds its way from wherever the one before ended."""
    gateway = Gateway(tmp_path, publisher.root)
    gateway.fetched(first)
    died, step = True, 0
    while died:
        step += 1
        died = die_at(step, lambda: gateway.fetch(both, in_force=1))
        assert (gateway.directory / "revision-1.mwd").exists() or gateway.files == {"revision-2.mwd"}
        for name in gateway.files & {"revision-1.mwd", "revision-2.mwd"}:
            assert (gateway.directory / name).read_bytes() == {"revision-1.mwd": ONE, "revision-2.mwd": TWO}[name]
    assert step > 5
    assert gateway.fetched(both, in_force=1).path.read_bytes() == TWO


def test_a_publisher_with_several_keys(tmp_path: Path) -> None:
    """DEF-16: two of three sign the root, two of two the definitions."""
    publisher = Publisher(tmp_path / "publisher", {"root": Quorum(3, 2), "targets": Quorum(2, 2)})
    publisher.publish("Test.One")
    assert Gateway(tmp_path, publisher.root).fetched(publisher.repository.directory).revision.number == 1
