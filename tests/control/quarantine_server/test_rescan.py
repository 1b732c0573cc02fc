"""Quarantined files scanned again, in the sandbox, with each new definitions file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.quarantine_server import rescan, sandboxed
from control.quarantine_server.index import Entry, Filter
from control.quarantine_server.rescan import Rescan, _change
from control.quarantine_server.sandboxed import ENDED, Scanned, scanned
from engine.scan.facts import Verdict
from signatures.compile import compile_sources, starter
from tests.control.harness import wait_until
from tests.control.quarantine_server.house import EICAR
from tests.control.quarantine_server.shelf import Shelf

CLEAN, INFECTED, UNSCANNED = Verdict.CLEAN, Verdict.INFECTED, Verdict.UNSCANNED


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("definitions") / "definitions.mwd"
    path.write_bytes(compile_sources(starter()))
    return path


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    one = Shelf(tmp_path / "root")
    yield one
    one.store.close()


def entries(shelf: Shelf, state: str = "") -> list[Entry]:
    return shelf.store.index.page(Filter(state=state))


def test_in_the_sandbox(image: Path) -> None:
    """QRN-09: several at once, each with its own verdict."""
    found = scanned([("a.txt", b"nothing"), ("b.com", EICAR), ("", b"")], image)
    assert [one.verdict for one in found] == [CLEAN, INFECTED, CLEAN]
    assert found[1].names == ("EICAR-Test-File",)


def test_what_ends_the_scanner_is_unscanned_and_the_others_are_scanned(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """QRN-06, QRN-09: hostile octets may end the process; they are found out by that."""
    asked: list[int] = []

    def some(files: list[tuple[str, bytes]], path: Path) -> list[Scanned]:
        asked.append(len(files))
        bad = next((at for at, (name, _) in enumerate(files) if name == "bad"), len(files))
        return [Scanned(CLEAN)] * bad

    monkeypatch.setattr(sandboxed, "_some", some)
    found = scanned([(name, b"") for name in ("a", "bad", "b", "bad", "bad", "c")], image)
    assert found == [Scanned(CLEAN), ENDED, Scanned(CLEAN), ENDED, ENDED, Scanned(CLEAN)]
    assert asked == [6, 4, 2, 1]


def test_answers_of_the_sandbox_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer, count in ((b"", 0), (b"x\n", 0), (b'{"verdict":"clean"}\n' * 3, 2), (b'{"verdict":"clean"}', 0)):
        monkeypatch.setattr(sandboxed._READER, "ask", lambda *_, said=answer: said)
        assert len(sandboxed._some([("a", b""), ("b", b"")], Path())) == count


@pytest.mark.parametrize(
    ("found", "result", "change"),
    [
        (set(), Scanned(INFECTED, ("Said",)), ""),
        (set(), Scanned(INFECTED, ("Said", "B")), "named"),
        (set(), Scanned(CLEAN), None),
        (set(), Scanned(UNSCANNED), None),
        ({"A"}, Scanned(INFECTED, ("A",)), None),
        ({"A"}, Scanned(INFECTED, ("B",)), "named"),
        ({"A"}, Scanned(CLEAN), "clean"),
        ({"A"}, Scanned(UNSCANNED), None),
    ],
)
def test_what_is_told_of_a_new_verdict(found: set[str], result: Scanned, change: str | None) -> None:
    """QRN-07, QRN-09: None leaves what was told before. What was never found here is not offered for release: the
    gateway that found it may have better definitions.
    """
    assert _change(found, {"Said"}, result) == change


def test_all_is_scanned_with_each_revision(
    shelf: Shelf, image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """QRN-07, QRN-09: each content once; a heuristic find that gets a name is told of, and so is what is clean."""
    asked: list[int] = []
    verdicts = {b"unknown": Scanned(INFECTED, ("Heuristic.Dropper",)), b"false": Scanned(INFECTED, ("Bad.Name",))}

    def answer(files: list[tuple[str, bytes]], path: Path) -> list[Scanned]:
        asked.append(len(files))
        return [verdicts[content] for _, content in files]

    monkeypatch.setattr(rescan, "scanned", answer)
    monkeypatch.setattr(rescan, "LOOK_S", 0.01)
    shelf.put(b"unknown", 1, viruses=("Heuristic.Dropper",))
    shelf.put(b"unknown", 2, viruses=("Heuristic.Dropper",))
    shelf.put(b"false", 3, viruses=("Bad.Name",))
    told: list[tuple[str, str]] = []
    definitions = tmp_path / "definitions.mwd"
    thread = Rescan(shelf.store, definitions, lambda: shelf.now, lambda sha, _, change: told.append((sha, change)))
    thread.start()
    try:
        wait_until(lambda: bool(thread.problem), "there are no definitions")
        assert thread.left() == 0 and asked == []
        definitions.write_bytes(image.read_bytes())
        thread.wake()
        wait_until(lambda: bool(thread.revision) and not thread.left(), "all are scanned")
        assert sum(asked) == 2 and {change for _, change in told} == {""} and not entries(shelf, "named")
        verdicts[b"unknown"], verdicts[b"false"] = Scanned(INFECTED, ("Trojan.Known",)), Scanned(CLEAN)
        with shelf.store.index.transaction() as connection:
            connection.execute("UPDATE content SET revision = 'before'")
        thread.wake()
        wait_until(lambda: not thread.left(), "all are scanned again")
    finally:
        thread.stop()
    assert sum(asked) == 4 and sorted(change for _, change in told[2:]) == ["clean", "named"]
    assert [one.names for one in entries(shelf, "named")] == [("Trojan.Known",)] * 2
    assert [one.number for one in entries(shelf, "clean")] == [3]


def test_a_file_that_was_changed_on_disk_is_unscanned(shelf: Shelf, image: Path) -> None:
    """QRN-06: it ends nothing, and no other file waits for it."""
    shelf.put(b"one", 1)
    (path,) = shelf.files()
    path.write_bytes(b"MWQ1")
    shelf.put(b"two", 2)
    thread = Rescan(shelf.store, image, lambda: shelf.now, lambda *_: None)
    thread.look()
    assert thread.left() == 0 and not thread._batch()
    assert [one.verdict for one in entries(shelf)] == [CLEAN, UNSCANNED]
