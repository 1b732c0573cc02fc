"""What is infected in large files is cleaned within what a scan may hold at one time, whatever layers are around it.

The limits are scaled down: 1 MiB for a file, 2 MiB for all that is held at once, the message aside.
"""

import random
import re
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from engine import limits
from engine.config import Blocking, ContainerLimits, Settings
from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan import inflate, service
from engine.scan.gather import Gathered, gather
from engine.scan.outcome import Fate, Outcome
from engine.scan.service import examine
from engine.scan.walk import Walk
from tests.engine.repair import infected, pdf_made
from tests.engine.repair.documents import docx
from tests.engine.repair.infected import parts_of
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.material import Clock, gzipped, message, tarred, zipped

_KIB = 1024
_BOUND = 2 * limits.MIB
_SLACK = 320 * _KIB  # pieces while they are packed, the tree, the ledger
_SETTINGS = Settings(blocking=Blocking(containers=ContainerLimits(file_mb=1, total_mb=100)))
_FOUND = re.compile(re.escape(infected.MARK))
_PAGE = b"<html><body><script>" + infected.MARK + b"</script><p>Some words.</p></body></html>\r\n"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SCAN_HELD_LEN", 0)
    monkeypatch.setattr(inflate, "_OUTPUT_LEN", 64 * _KIB)  # what is moved at once, scaled down like the rest


class _Marks:
    """Knows the specimens, and copies nothing."""

    revision = "test-1"

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        return ("Specimen",) if _FOUND.search(data) else ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()

    def annex(self, name: str) -> memoryview | None:
        return None


class _Slow(_Marks):
    """Takes some seconds for each specimen."""

    def __init__(self, seconds: int) -> None:
        self.clock = Clock()
        self._seconds = seconds

    def scan(self, data: Any, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        found = super().scan(data, target)
        self.clock.now += self._seconds * bool(found)
        return found


def _noise(kib: int) -> bytes:
    return random.Random(1).randbytes(kib * _KIB)


def _docx(kib: int) -> bytes:
    return infected.zipped({**parts_of(infected.ooxml(docx())), "word/media/a.jpeg": _noise(kib)})


def _pdf(kib: int) -> bytes:
    picture = pdf_made.stream(b"/Subtype /Image /Filter /DCTDecode", _noise(kib))
    return infected.pdf(pdf_made.document({1: b"<< /Type /Catalog >>", 9: picture}))


def _ole(kib: int) -> bytes:
    return infected.storage(compound({"WordDocument": b"\xec\xa5\xc1\0" + bytes(300) + _noise(kib)}), "doc")


def _long_page(kib: int) -> bytes:
    return _PAGE + b"<p>Some words of it.</p>\r\n" * (kib * _KIB // 26)


def _beside(kib: int) -> dict[str, bytes]:
    return {"large.jpg": _noise(kib), "page.html": _PAGE}


def _stored(name: str, content: bytes) -> tuple[str, bytes]:
    return "x.zip", zipped({name: content, "kept.txt": b"kept"}, zipfile.ZIP_STORED)


# By layer: what is too large to be written anew, and what is not.
LAYERS: dict[str, tuple[Callable[[int], tuple[str, bytes]], int, int]] = {
    "MIME part": (lambda kib: ("a.html", _long_page(kib)), 700, 100),
    "zip": (lambda kib: ("a.zip", zipped(_beside(kib))), 900, 500),
    "tar": (lambda kib: ("a.tar", tarred(_beside(kib))), 900, 500),
    "gzip": (lambda kib: ("a.tgz", gzipped(tarred(_beside(kib)), "a.tar")), 800, 500),
    "tar in zip in zip": (lambda kib: _stored("b.zip", zipped({"c.tar": tarred(_beside(kib))})), 900, 300),
    "OOXML": (lambda kib: _stored("a.docm", _docx(kib)), 800, 300),
    "OLE": (lambda kib: _stored("a.doc", _ole(kib)), 500, 200),
    "PDF": (lambda kib: _stored("a.pdf", _pdf(kib)), 700, 300),
}


def _examined(data: bytes) -> tuple[Outcome, int]:
    """(outcome, octets held beyond the message behind the first walk)."""

    def begins(walk: Walk) -> Gathered:
        tracemalloc.reset_peak()
        return gather(walk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "gather", begins)
        tracemalloc.start(1)
        try:
            outcome = examine(data, _Marks(), _SETTINGS, clock=Clock())
            return outcome, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_too_large_to_be_written_anew_goes(layer: str) -> None:
    """CONT-11, AV-05, AV-10: the file in its archive, else its attachment; the rest arrives, and nothing infected."""
    make, large, _ = LAYERS[layer]
    data = message("t\n", [make(large), ("note.txt", b"a note")])
    outcome, held = _examined(data)
    assert outcome.disposition is Disposition.DELIVER
    assert {one.fate for one in outcome.infected} == {Fate.DELETED}
    assert held < _BOUND + _SLACK
    result = spliced(data, outcome.splices)
    assert b"YSBub3Rl" in result or b"a note" in result
    again, _ = _examined(result)
    assert not again.infected and not again.splices


@pytest.mark.parametrize("layer", LAYERS)
def test_what_is_not_is_repaired(layer: str) -> None:
    """CONT-11, AV-13: within the same bound."""
    make, _, small = LAYERS[layer]
    data = message("t\n", [make(small)])
    outcome, held = _examined(data)
    assert (outcome.disposition, {one.fate for one in outcome.infected}) == (Disposition.DELIVER, {Fate.REPAIRED})
    assert held < _BOUND + _SLACK
    again, _ = _examined(spliced(data, outcome.splices))
    assert not again.infected and not again.splices


def test_a_large_attachment_beside_it_costs_no_repair() -> None:
    """AV-13: what is infected is small, and to give it up would not help."""
    data = message("t\n", [("a.zip", zipped({"large.jpg": _noise(900)})), ("a.html", _PAGE)])
    outcome, _ = _examined(data)
    assert [one.fate for one in outcome.infected] == [Fate.REPAIRED]


def test_there_is_time_for_what_follows_a_repair() -> None:
    """CONT-07, AV-05: it is walked by itself and with its message, as long as the first walk each."""
    data = message("t\n", [("a.html", _PAGE)])
    fates = {}
    for seconds in (19, 21):
        slow = _Slow(seconds)
        outcome = examine(data, slow, _SETTINGS, clock=slow.clock)
        fates[seconds] = [one.fate for one in outcome.infected]
    assert fates == {19: [Fate.REPAIRED], 21: [Fate.DELETED]}
