"""Names and types of attachments (FILE-01..08)."""

import pytest

from engine.config import MODERN_RISKY_NAMES, RISKY_NAMES, Action, Blocking, FileNames
from engine.policy import file_names
from engine.policy.evidence import Evidence, File
from engine.policy.violation import Criterion, Violation


def judged(*files: File, **settings: object) -> list[Violation]:
    chosen = FileNames(enabled=True, **settings)  # type: ignore[arg-type]
    return file_names.judge(Evidence(files=files), Blocking(files=chosen))


def top(*names: str, part: str = "2", kind: str = "data") -> File:
    return File(part, part, names, kind)


def test_a_listed_name_is_deleted() -> None:
    """FILE-01, FILE-02: with the list that is there from the start, and with one's own."""
    (found,) = judged(top("Invoice.EXE"), top("fine.pdf", part="3"))
    assert found == Violation(Criterion.FILE_NAME, Action.DELETE, "*.exe", "Invoice.EXE", ("2",))
    assert judged(top("badnews.doc"), names=("badnews.doc",)) and not judged(
        top("x-badnews.doc"), names=("badnews.doc",)
    )
    assert judged(top("badnews.doc"), names=("badnews.*",)) and judged(top("ab.x"), names=("a?.x",))


def test_it_is_off_by_default() -> None:
    """FILE-01: a filled list does nothing while the box is clear."""
    assert FileNames().names == RISKY_NAMES and not FileNames().enabled
    assert file_names.judge(Evidence(files=(top("a.exe"),)), Blocking()) == []


def test_any_declared_name_counts() -> None:
    """FILE-06."""
    assert judged(top("fine.pdf", "evil.scr"))[0].value == "evil.scr"
    assert judged(top()) == []


def test_members_of_containers_are_an_option() -> None:
    """FILE-07."""
    inside = File("2/a.zip/b.exe", "2", ("b.exe",))
    assert judged(inside) == []
    assert judged(inside, in_containers=True)[0].parts == ("2/a.zip/b.exe",)


@pytest.mark.parametrize("name", ["a.iso", "a.img", "a.vhd", "a.jar", "a.ps1", "a.msix", "a.appx", "a.xll", "a.one"])
def test_the_modern_list_is_an_option(name: str) -> None:
    """FILE-08: kept apart from the default list."""
    assert judged(top(name)) == []
    assert judged(top(name), modern=True)[0].entry == f"*{name[1:]}"
    assert set(MODERN_RISKY_NAMES).isdisjoint(RISKY_NAMES)


@pytest.mark.parametrize(
    ("name", "kind", "disguised"),
    [
        ("invoice.pdf", "pe", True),
        ("photo.JPG", "lnk", True),
        ("notes.txt", "script", True),
        ("setup.bin", "pe", False),  # claims nothing
        ("setup", "elf", False),
        ("pdf", "pe", False),
        ("invoice.pdf", "pdf", False),
    ],
)
def test_disguised_programs_are_an_option(name: str, kind: str, disguised: bool) -> None:
    """FILE-01: the real type against the name, beyond the list."""
    assert judged(top(name, kind=kind)) == []
    found = judged(top(name, kind=kind), disguised=True)
    assert [one.entry for one in found] == ([f"disguised program ({kind})"] if disguised else [])
