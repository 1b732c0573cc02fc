"""Large mail as people send it fits into what a walk may hold at one time: what lies in a container is not copied.

The limits are scaled down: 1 MiB for a file, 2 MiB for all that is held at once.
"""

import base64
import gzip
import random
import zipfile
from collections.abc import Callable

import pytest

from engine import limits
from engine.scan import budget
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.formats.pdf_material import document, stream
from tests.engine.scan.material import EICAR, VIRUS, tarred, walk_file, zipped
from tests.oracles.tnef import MAGIC, attachment

_LARGE = random.Random(1).randbytes(900 * 1024)  # most of the limit on a file, and packed it is no less
_KIB = 1024


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_HELD_LEN", 0)


def _stored(name: str, content: bytes) -> bytes:
    return zipped({name: content, "e.com": EICAR}, zipfile.ZIP_STORED)


def _tar_of_zips(depth: int) -> bytes:
    content = zipped({"large": _LARGE[: 800 * _KIB]})
    for level in range(depth):
        content = _stored(f"{level}.zip", content) if level % 2 else tarred({f"{level}.tar": content, "e.com": EICAR})
    return content


def _msg(content: bytes) -> bytes:
    """In one piece, as its streams are when they are written one behind the other."""
    return compound({"large": content, "\1Ole10Native": b"\4\0\0\0abcd", "e.com": EICAR.ljust(4096, b"\n")})


def _pdf(content: bytes) -> bytes:
    return document(stream(1, content, b"/Subtype /Image /Width 1 /Height 1 /Filter /DCTDecode"), stream(2, EICAR, b""))


CASES: dict[str, Callable[[], tuple[str, bytes]]] = {
    "archives that store what is in them, in each other": lambda: ("a.zip", _tar_of_zips(8)),
    "tar.gz of a zip of a document": lambda: (
        "a.tgz",
        gzip.compress(tarred({"a.zip": zipped({"a.docx": _stored("large.jpeg", _LARGE[: 600 * _KIB])})}), 0),
    ),
    "zip of a PDF of one picture": lambda: ("a.zip", _stored("a.pdf", _pdf(_LARGE))),
    "zip of a compound file": lambda: ("a.zip", zipped({"a.msg": _msg(_LARGE)})),
    "winmail.dat": lambda: ("a.zip", zipped({"a.dat": MAGIC + attachment("a", _LARGE) + attachment("e.com", EICAR)})),
}


@pytest.mark.parametrize("case", CASES)
def test_large_content_in_containers_is_examined(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-11, SCAN-07: nothing is left out for want of room, and all that was held is given back."""
    budgets: list[budget.Budget] = []
    before = budget.Budget.__init__

    def noted(self: budget.Budget, *arguments: object) -> None:
        before(self, *arguments)  # type: ignore[arg-type]
        budgets.append(self)

    monkeypatch.setattr(budget.Budget, "__init__", noted)
    name, octets = CASES[case]()
    facts = walk_file(octets, name, file_mb=1, total_mb=100).facts
    assert [one.detail for one in facts.unscanned if "open at once" in one.detail] == [] == facts.unscanned
    assert VIRUS in {one.name for one in facts.matches}
    (one,) = budgets
    assert one.held_left == 2 * limits.MIB


def test_copies_that_must_be_made_still_count() -> None:
    """CONT-11: layers that are packed are held beside each other, up to the bound."""
    content = _LARGE[: 900 * _KIB]
    for level in range(4):
        content = gzip.compress(tarred({f"{level}": content}), 0)
    facts = walk_file(content, "a.tgz", file_mb=1, total_mb=100).facts
    assert "2 MB open at once" in {one.detail for one in facts.unscanned}


def test_a_span_is_cut_at_the_limit_on_files() -> None:
    """CONT-04: what takes no room is bounded all the same."""
    octets = _stored("large", bytes(1024 * _KIB))
    assert not walk_file(octets, "a.zip", file_mb=1).facts.unscanned
    (over,) = walk_file(_stored("large", bytes(1024 * _KIB + 1)), "a.zip", file_mb=1).facts.unscanned
    assert over.detail == "file size 1 MB"
    octets = compound({"large": bytes(1024 * _KIB + 512)})
    (over,) = walk_file(octets, "a.doc", file_mb=1).facts.unscanned
    assert over.detail == "file size 1 MB"


def test_a_message_in_base64_is_held_once() -> None:
    """CONT-11: its stored members lie in what was decoded."""
    text = b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(_stored("large", _LARGE))
    assert not walk_file(b"Subject: a\r\n" + text, "a.eml", file_mb=1, total_mb=100).facts.unscanned
