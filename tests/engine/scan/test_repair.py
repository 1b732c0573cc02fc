"""Repair as a part of the examination: the decision matrix, files in containers, counts, the second scan."""

import email
import io
import tarfile
import zipfile
from typing import Any

import pytest

from engine import limits
from engine.config import Antivirus, LeftoverAction, Settings, UnrepairableAction, VirusAction
from engine.queue.record import Disposition, Splice
from engine.rewrite import apply, spliced
from engine.scan import cleaning
from engine.scan.facts import Verdict
from engine.scan.outcome import Fate, Outcome, joined
from engine.scan.service import examine
from tests.engine.repair import documents, infected, pdf_made
from tests.engine.repair.infected import MARK
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.material import (
    EICAR,
    VIRUS,
    WRAPS,
    Clock,
    Matcher,
    gzipped,
    message,
    nested,
    tarred,
    walk,
    walker,
    zipped,
)

PAGE = b"<html><body><p>Some words.</p></body></html>\r\n"
SCRIPT = b"<script>" + EICAR + b"</script>"
BAD = PAGE.replace(b"<p>", SCRIPT + b"<p>")  # repaired, it is PAGE
WORSE = PAGE.replace(b"<p>", SCRIPT + EICAR + b"<p>")  # what stands in its text stays
LOST = b"PK\x03\x04" + bytes(9)
IRREGULAR = zipped({"h.html": BAD})
IRREGULAR = IRREGULAR[: IRREGULAR.index(b"PK\x01\x02")] + zipped({"a": b"b"})  # cannot be rewritten inside

REPAIR, DELETE, LOG = VirusAction.REPAIR, VirusAction.DELETE, VirusAction.LOG
U_DELETE, U_LOG = UnrepairableAction.DELETE, UnrepairableAction.LOG
L_DROP, L_LOG = LeftoverAction.DROP, LeftoverAction.LOG
DELIVER, DROP = Disposition.DELIVER, Disposition.DROP
UNREMOVABLE = b"Subject: " + EICAR + b"\r\n\r\nwords\r\n"


def examined(data: bytes, matcher: Matcher | None = None, **antivirus: object) -> Outcome:
    return examine(data, matcher or Matcher(), Settings(antivirus=Antivirus(**antivirus)), clock=Clock())  # type: ignore[arg-type]


def edited(data: bytes, outcome: Outcome) -> bytes:
    """The message after its edits, which is clean."""
    result = spliced(data, outcome.splices)
    assert walk(result).facts.verdict is Verdict.CLEAN
    return result


def attached(data: bytes) -> list[bytes]:
    parts = [one for one in email.message_from_bytes(data).walk() if not one.is_multipart()]
    found = [one.get_payload(decode=True) for one in parts[1:]]
    return [one for one in found if isinstance(one, bytes)]


# --- the decision matrix (AV-04, AV-05, AV-06) ----------------------------------------------------

MATRIX = [
    # detected, unrepairable, left over, the file; what becomes of the message, and of the file
    (REPAIR, U_DELETE, L_DROP, BAD, DELIVER, Fate.REPAIRED),
    (REPAIR, U_DELETE, L_LOG, BAD, DELIVER, Fate.REPAIRED),
    (REPAIR, U_LOG, L_DROP, BAD, DELIVER, Fate.REPAIRED),
    (REPAIR, U_LOG, L_LOG, BAD, DELIVER, Fate.REPAIRED),
    (REPAIR, U_DELETE, L_DROP, WORSE, DELIVER, Fate.DELETED),
    (REPAIR, U_DELETE, L_LOG, WORSE, DELIVER, Fate.DELETED),
    (REPAIR, U_LOG, L_LOG, WORSE, DELIVER, Fate.LOGGED),
    (REPAIR, U_LOG, L_DROP, WORSE, DROP, Fate.LOGGED),
    (DELETE, U_DELETE, L_DROP, BAD, DELIVER, Fate.DELETED),
    (DELETE, U_DELETE, L_LOG, BAD, DELIVER, Fate.DELETED),
    (DELETE, U_LOG, L_DROP, BAD, DELIVER, Fate.DELETED),
    (DELETE, U_LOG, L_LOG, BAD, DELIVER, Fate.DELETED),
    (LOG, U_DELETE, L_LOG, BAD, DELIVER, Fate.LOGGED),
    (LOG, U_LOG, L_LOG, BAD, DELIVER, Fate.LOGGED),
    (LOG, U_DELETE, L_DROP, BAD, DROP, Fate.LOGGED),
    (LOG, U_LOG, L_DROP, BAD, DROP, Fate.LOGGED),
]


@pytest.mark.parametrize(("detected", "unrepairable", "left_over", "file", "disposition", "fate"), MATRIX)
def test_the_matrix(
    detected: VirusAction,
    unrepairable: UnrepairableAction,
    left_over: LeftoverAction,
    file: bytes,
    disposition: Disposition,
    fate: Fate,
) -> None:
    """AV-04, AV-05, AV-06: every row, and what is counted."""
    data = message("t\n", [("page.html", file)])
    outcome = examined(data, detected=detected, unrepairable=unrepairable, left_over=left_over)
    assert outcome.disposition is disposition
    assert [(one.part, one.name, one.viruses, one.fate) for one in outcome.infected] == [
        ("2", "page.html", (VIRUS,), fate)
    ]
    assert [one[0] for one in outcome.attachments_deleted] == (["2"] if fate is Fate.DELETED else [])
    assert bool(outcome.splices) is (fate is not Fate.LOGGED)
    if fate is Fate.REPAIRED:
        assert attached(edited(data, outcome)) == [PAGE]
        assert outcome.infected[0].done == ("scripts",) and outcome.reason == f"infected: {VIRUS} in 2, repaired"


@pytest.mark.parametrize("detected", [REPAIR, DELETE])
@pytest.mark.parametrize(("left_over", "disposition"), [(L_DROP, DROP), (L_LOG, DELIVER)])
def test_deleting_that_is_not_possible(
    detected: VirusAction, left_over: LeftoverAction, disposition: Disposition
) -> None:
    """AV-06: the final gate, whichever setting left it."""
    outcome = examined(UNREMOVABLE, detected=detected, left_over=left_over)
    assert (outcome.disposition, outcome.splices, outcome.logged) == (disposition, [], [(VIRUS, "1")])


def test_one_is_repaired_one_deleted() -> None:
    """AV-08: each by itself."""
    data = message("t\n", [("a.html", BAD), ("b.html", WORSE), ("c.com", EICAR), ("d.txt", b"kept")])
    outcome = examined(data)
    assert (outcome.repaired, outcome.deleted) == ([(VIRUS, "2")], [(VIRUS, "3"), (VIRUS, "4")])
    result = attached(edited(data, outcome))
    assert result[0] == PAGE and result[3] == b"kept" and all(b"removed" in one for one in result[1:3])


def test_one_is_repaired_one_only_logged() -> None:
    data = message("t\n", [("a.html", BAD), ("b.html", WORSE)])
    outcome = examined(data, unrepairable=U_LOG, left_over=L_LOG)
    assert (outcome.repaired, outcome.logged) == ([(VIRUS, "2")], [(VIRUS, "3")])
    assert attached(spliced(data, outcome.splices)) == [PAGE, WORSE]
    dropped = examined(data, unrepairable=U_LOG, left_over=L_DROP)
    assert dropped.disposition is DROP and len(dropped.logged) == 2 and not dropped.splices


def test_octets_around_a_repair_stay() -> None:
    data = message("t\n", [("a.bin", bytes(range(256))), ("page.html", BAD), ("z.bin", b"z" * 99)])
    outcome = examined(data)
    (splice,) = outcome.splices
    node = walk(data).root.children[2]
    assert (splice.start, splice.end) == (node.body, node.end)
    assert edited(data, outcome)[: node.body] == data[: node.body]


def test_a_body_that_is_a_page() -> None:
    """AV-08: what a message consists of is repaired like an attachment."""
    data = b"Subject: s\r\nContent-Type: text/html\r\n\r\n" + BAD
    assert edited(data, examined(data)) == b"Subject: s\r\nContent-Type: text/html\r\n\r\n" + PAGE


# --- containers (AV-09, AV-10) --------------------------------------------------------------------


@pytest.mark.parametrize("outer", ["", *WRAPS])
@pytest.mark.parametrize("inner", WRAPS)
def test_files_in_containers_are_repaired_one_by_one(inner: str, outer: str) -> None:
    """AV-09: in zip, tar, gzip, UUE and messages, in each other."""
    content, name = WRAPS[inner](BAD, "page.html")
    if outer:
        content, name = WRAPS[outer](content, name)
    data = message("t\n", [(name, content)])
    outcome = examined(data)
    (one,) = outcome.infected
    assert (one.fate, outcome.attachments_deleted) == (Fate.REPAIRED, [])
    assert one.name.endswith("page.html")
    before, after = walk(data).facts.parts, walk(edited(data, outcome)).facts.parts
    assert [part.part for part in before] == [part.part for part in after]
    (page,) = [part for part in after if one.part == part.part]
    assert page.size == len(PAGE)


def test_a_container_with_all_kinds_of_files() -> None:
    """AV-09, AV-10, AV-11: repaired, replaced, kept; each infected file is counted."""
    members = {"a.html": BAD, "b.com": EICAR, "c/d.html": BAD, "e.html": WORSE, "f.txt": b"kept", "DELETED0.TXT": b"0"}
    data = message("t\n", [("x.zip", zipped(members))])
    outcome = examined(data)
    assert [(one.name, one.fate.value) for one in outcome.infected] == [
        ("a.html", "repaired"), ("c/d.html", "repaired"), ("b.com", "deleted"), ("e.html", "deleted"),
    ]  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(attached(edited(data, outcome))[0])) as archive:
        names = ["a.html", "DELETED1.TXT", "c/d.html", "DELETED2.TXT", "f.txt", "DELETED0.TXT"]
        assert archive.namelist() == names and archive.testzip() is None
        assert archive.read("a.html") == archive.read("c/d.html") == PAGE
        assert archive.read("f.txt") == b"kept" and b"b.com" in archive.read("DELETED1.TXT")


def test_a_tar_in_a_gzip() -> None:
    data = message("t\n", [("x.tgz", gzipped(tarred({"a.html": BAD, "b.txt": b"b" * 600}), "x.tar"))])
    result = attached(edited(data, examined(data)))[0]
    with tarfile.open(fileobj=io.BytesIO(result)) as archive:
        page = archive.extractfile("a.html")
        assert page is not None and page.read() == PAGE and archive.getnames() == ["a.html", "b.txt"]


def test_what_cannot_be_rewritten_loses_its_attachment() -> None:
    """AV-10: its repairs fail with it, those elsewhere do not."""
    data = message("t\n", [("x.zip", IRREGULAR), ("y.zip", zipped({"a.html": BAD}))])
    outcome = examined(data)
    assert (outcome.repaired, outcome.deleted) == ([(VIRUS, "3/y.zip/a.html")], [(VIRUS, "2/x.zip/h.html")])
    assert [one[:2] for one in outcome.attachments_deleted] == [("2", "x.zip")]
    edited(data, outcome)


def test_nested_messages() -> None:
    data = nested(message("inside\n", [("page.html", BAD)]))
    assert PAGE in attached(edited(data, examined(data)))[-1]


# --- documents ------------------------------------------------------------------------------------


class Marks(Matcher):
    """Knows what is put into documents to be cleaned out."""

    def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        return (VIRUS,) if MARK in bytes(data) else ()  # type: ignore[call-overload]


WORD = compound({"WordDocument": b"\xec\xa5\xc1\0" + bytes(300) + b"Figures" * 200})
DOCUMENTS = {
    "a.docx": infected.ooxml(documents.docx()),
    "a.xlsx": infected.ooxml(documents.xlsx()),
    "a.pptx": infected.ooxml(documents.pptx()),
    "a.odt": infected.odf(documents.odt()),
    "a.doc": infected.storage(WORD, "doc"),
    "a.rtf": infected.rtf(b"{\\rtf1\\ansi Figures\\par}"),
    "a.pdf": infected.pdf(pdf_made.document()),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_is_one_file(name: str) -> None:
    """AV-04, AV-09, AV-11, AV-13: whatever was found in how many of its parts; at the top and in a zip."""
    data = message("t\n", [(name, DOCUMENTS[name]), ("x.zip", zipped({"in/" + name: DOCUMENTS[name], "b": b"b"}))])
    found = walker(Marks()).walk_message(data)
    assert len([one for one in found.root.everything() if one.viruses]) >= 2
    outcome = examined(data, Marks())
    assert [(one.part, one.name, one.fate) for one in outcome.infected] == [
        ("2", name, Fate.REPAIRED),
        (f"3/x.zip/in/{name}", f"in/{name}", Fate.REPAIRED),
    ]
    assert all(one.done and one.size == len(DOCUMENTS[name]) for one in outcome.infected)
    result = spliced(data, outcome.splices)
    assert MARK not in result and walker(Marks()).walk_message(result).facts.verdict is Verdict.CLEAN
    document, archive = attached(result)
    assert zipfile.ZipFile(io.BytesIO(archive)).read(f"in/{name}") == document


def test_a_document_does_not_go_on_without_its_text() -> None:
    """AV-05, AV-11: what is found in the parts that a document consists of goes with all of it, as one file."""
    parts = infected.parts_of(documents.docx())
    parts["word/document.xml"] = parts["word/document.xml"].replace(b"Figures", b"Figures " + MARK)
    odt = infected.odf(documents.odt())
    data = message("t\n", [("x.zip", zipped({"a.docx": infected.zipped(parts)})), ("b.rtf", b"{\\rtf1 " + MARK + b"}")])
    outcome = examined(data, Marks())
    assert [(one.part, one.fate) for one in outcome.infected] == [("2/x.zip/a.docx", Fate.DELETED), ("3", Fate.DELETED)]
    archive = attached(spliced(data, outcome.splices))[0]
    assert zipfile.ZipFile(io.BytesIO(archive)).namelist() == ["DELETED0.TXT"]
    outcome = examined(message("t\n", [("a.odt", odt)]), Marks(), detected=DELETE)
    assert [(one.part, one.fate) for one in outcome.infected] == [("2", Fate.DELETED)]


def test_what_is_embedded_in_an_office_document_goes_alone() -> None:
    """AV-10: a text stands in its place, and the document opens."""
    parts = infected.parts_of(infected.ooxml(documents.xlsx()))
    alone = {name: part for name, part in parts.items() if "macrosheet" not in name and "vbaProject" not in name}
    data = message("t\n", [("a.xlsx", infected.zipped(alone)), ("b.xlsx", infected.zipped(parts))])
    outcome = examined(data, Marks(), detected=DELETE)
    assert [(one.part, one.fate) for one in outcome.infected] == [
        ("2/a.xlsx/xl/embeddings/oleObject1.bin", Fate.DELETED),
        ("3", Fate.DELETED),
        ("3/b.xlsx/xl/embeddings/oleObject1.bin", Fate.DELETED),
    ]
    (left,) = [one for one in attached(edited(data, outcome)) if one[:2] == b"PK"]
    assert {"DELETED0.TXT", "xl/workbook.xml"} <= infected.parts_of(left).keys()


def test_macros_that_cannot_be_taken_out_count_once() -> None:
    """AV-11: a macro is no file; its document is."""
    project_alone = message("t\n", [("vbaProject.bin", infected.vba_file())])
    outcome = examined(project_alone, Marks())
    assert [(one.part, one.fate) for one in outcome.infected] == [("2", Fate.DELETED)]


# --- second scan (AV-13) and limits ---------------------------------------------------------------


class Twofold(Matcher):
    """Knows a second mark that only shows in what was repaired, and one of another engine."""

    def __init__(self, after: bool = False) -> None:
        super().__init__()
        self._after = after

    def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        octets = bytes(data)  # type: ignore[call-overload]
        if self._after and container == "mail" and octets == PAGE:
            return ("Left.Over",)
        return (VIRUS, "Heuristic.SCRIPT") if EICAR in octets else ()


def test_names_of_all_engines_are_joined() -> None:
    """AV-14, AV-11: one file, however many found something in it."""
    outcome = examined(message("t\n", [("page.html", BAD), ("e.com", EICAR)]), Twofold())
    assert outcome.repaired == [(f"{VIRUS}, Heuristic.SCRIPT", "2")]
    assert outcome.deleted == [(f"{VIRUS}, Heuristic.SCRIPT", "3")]
    names = [str(number) for number in range(limits.VIRUSES_SHOWN + 1)]
    assert joined(names[:-1]) == "0, 1, 2, 3, 4" and joined(names) == "0, 1, 2, 3, 4 and 1 more"


def test_what_shows_only_in_its_place_counts_as_not_repaired() -> None:
    """AV-13: the file by itself was clean; the message with it is not."""
    data = b"Subject: s\r\nContent-Type: text/html\r\n\r\n" + BAD
    outcome = examined(data, Twofold(after=True))
    assert (outcome.repaired, len(outcome.deleted), outcome.disposition) == ([], 1, DELIVER)


def test_repairs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REPAIRS", 3)
    for count in (3, 4):
        data = message("t\n", [(f"{number}.html", BAD) for number in range(count)])
        outcome = examined(data)
        assert (len(outcome.repaired), len(outcome.deleted)) == (3, count - 3)
        edited(data, outcome)


def test_infected_files_of_an_outcome_are_bounded() -> None:
    count = limits.FINDINGS + 1
    outcome = examined(message("t\n", [("x.zip", zipped({f"{number}.com": EICAR for number in range(count)}))]))
    assert len(outcome.infected) == limits.FINDINGS


def test_without_time_nothing_is_repaired() -> None:
    """Deleting costs less than repairing, and a message must not wait for it."""
    clock = Clock()

    class Slow(Matcher):
        def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
            clock.now += 90 if bytes(data) == PAGE else 0  # type: ignore[call-overload]
            return super().scan(data, target, container=container)

    matcher = Slow()
    outcome = examine(message("t\n", [(f"{n}.html", BAD) for n in range(5)]), matcher, Settings(), clock=clock)
    assert outcome.repaired == [] and len(outcome.deleted) == 5
    assert [octets for _, octets in matcher.seen].count(PAGE) == 1


def test_a_part_without_an_encoding_gets_no_bare_line_ends() -> None:
    """RFC 5321 s2.3.8: a repair that would bring them in has failed."""
    data = b"Subject: s\r\nContent-Type: text/html\r\n\r\n" + b"<html><p>a</p><script>" + EICAR + b"</script>\r\n"
    assert [type(one) for one in examined(data).splices] == [Splice]
    long = b"<html><p>" + b"a" * 600 + SCRIPT.replace(b">", b">\r\n", 1) + b"b" * 600 + b"</p>\r\n"
    outcome = examined(b"Subject: s\r\nContent-Type: text/html\r\n\r\n" + long)
    assert (outcome.repaired, len(outcome.deleted)) == ([], 1)


@pytest.mark.parametrize("tries", [2, 3])
def test_containers_that_cannot_be_rewritten_are_tried_so_often(tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """AV-10, PROC-23: cleaning.TRIES, crossed by one: then all attachments that are concerned go as a whole."""
    written = 0

    def counted(*arguments: Any) -> list[Splice]:
        nonlocal written
        written += 1
        return apply(*arguments)

    monkeypatch.setattr(cleaning, "TRIES", tries)
    monkeypatch.setattr(cleaning, "apply", counted)
    data = message("see", [(f"{number}.zip", IRREGULAR) for number in range(5)])
    outcome = examined(data, detected=DELETE)
    assert written == tries + 1
    assert len(outcome.attachments_deleted) == 5
    edited(data, outcome)
