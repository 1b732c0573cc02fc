"""AV-02: signatures of what containers say of their members."""

import io
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cext.expression import LONGEST, Expression
from engine.scan import knowledge
from engine.scan import members as engine_side
from engine.scan.facts import Cause
from engine.scan.offline import examine
from signatures import expression, grammar, image, members, source
from signatures.clamav import member
from signatures.clamav.collect import collect
from signatures.clamav.line import NotTaken
from signatures.inspection import Contents
from signatures.model import Member, Signature
from tests.cext.test_expression import SIMPLE
from tests.engine.scan.formats.archives_made import rar5


def found(body: Member, content: bytes, name: str) -> list[str]:
    known = knowledge.load(image.build([Signature("Found", body)]))
    return [match.part for match in examine(content, name, known).matches]


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return made.getvalue()


def test_both_sides_declare_the_same_annex() -> None:
    fields = [msgspec.structs.fields(side.Rule) for side in (engine_side, members)]
    assert [(one.name, one.type) for one in fields[0]] == [(one.name, one.type) for one in fields[1]]
    sides = (engine_side, members)
    assert len({(side.ANNEX, side.VERSION, side.MOST) for side in sides}) == 1


def test_the_member_is_named_and_only_it() -> None:
    """DEF-01: beside signatures of content, in the same file."""
    content = zipped("a.txt", "invoice.pdf.exe", "b.txt")
    assert found(Member(expression="[.]pdf[.]exe$"), content, "a.zip") == ["a.zip/invoice.pdf.exe"]
    assert found(Member(position=(3, 3)), content, "a.zip") == ["a.zip/b.txt"]
    assert not found(Member(position=(4, 9)), content, "a.zip")


def test_they_are_shown_and_compared() -> None:
    """What `find` prints, and `diff` goes by."""
    bodies = (Member("rar", expression="(?i)exe$", encrypted=True), Member("rar", expression="(?i)exe$", size=(1, 9)))
    one, other = (Contents(image.build([Signature("One", body)])).signatures[0] for body in bodies)
    assert one.looks_for == ["member of rar, name (?i)exe$, encrypted"]
    assert other.looks_for == ["member of rar, name (?i)exe$, size 1-9"]
    assert one.compared != other.compared


def test_a_long_name_hides_nothing_at_its_end() -> None:
    for length in (LONGEST - 4, LONGEST - 3, 3 * LONGEST):
        content = zipped("a" * length + ".exe")
        assert found(Member(expression="^a+[.]exe$"), content, "a.zip")


def test_rar_tells_of_encrypted_members() -> None:
    content = rar5({"secret.exe": b"whatever"}, encrypted=True)
    assert found(Member("rar", expression="exe$", encrypted=True), content, "a.rar")
    assert not found(Member("rar", expression="exe$", encrypted=False), content, "a.rar")
    assert not found(Member("7z", expression="exe$", encrypted=True), content, "a.rar")


def test_what_a_format_does_not_tell_fits_only_who_does_not_ask() -> None:
    rule = engine_side.Told("mail", engine_side.UNKNOWN, ("a",), 5)
    for body, fits in ((Member(size=(5, 5)), True), (Member(size=(5, 5), position=(0, 9)), False)):
        annex = members.annexes([Signature("One", body)])[members.ANNEX]
        assert bool(engine_side.Members(annex).names(rule)) is fits


def test_an_expression_that_takes_too_long_is_unscanned() -> None:
    """SCAN-07"""
    known = knowledge.load(image.build([Signature("Slow", Member(expression="((a+)+)+[!?]"))]))
    facts = examine(zipped("a" * 500), "a.zip", known)
    assert [(one.cause, one.part) for one in facts.unscanned] == [(Cause.ENGINE, f"a.zip/{'a' * 500}")]


@pytest.mark.parametrize("octets", [b"", b"\xc1", msgspec.msgpack.encode([[], 2]), msgspec.msgpack.encode([[1], 1])])
def test_a_broken_annex_is_refused(octets: bytes) -> None:
    with pytest.raises(ValueError, match="container signatures of the definitions"):
        engine_side.Members(octets)


def test_their_number_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """members.MOST, crossed by one: the last line is listed, the others count."""
    monkeypatch.setattr(members, "MOST", 2)
    (tmp_path / "a.cdb").write_text("".join(f"A{n}:*:*:{n}:*:*:*:*:*:*\n" for n in range(3)))
    taken = collect([tmp_path])
    assert len(taken.signatures) == 2
    assert [one.reason for one in taken.refused] == ["more than 2 signatures of members of containers"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A:*:*:*:*:*:*:*:*:*", "fits every member"),
        ("A:CL_TYPE_ARJ:*:a:*:*:*:*:*:*", 'container "CL_TYPE_ARJ" is not opened'),
        ("A:CL_TYPE_PDF:*:a:*:*:*:*:*:*", 'container "CL_TYPE_PDF" tells nothing'),
        ("A:*:*:(:*:*:*:*:*:*", "regular expression: missing closing parenthesis"),
        ("A:*:1-x:a:*:*:*:*:*:*", 'size of the container "1-x"'),
        ("A:*:*:a:*:*:2:*:*:*", '"2" does not tell whether it is encrypted'),
        ("A:*:*:a:*:*:*:*:*", '"9" fields instead of 10 to 12'),
        ("A:*:*:a:*:*:*:*:*:*:1:9", "for older engines only"),
    ],
)
def test_what_is_not_taken_says_why(line: str, reason: str) -> None:
    with pytest.raises(NotTaken) as raised:
        member.read(line)
    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("7", '"member" is no table'),
        ("{ container = 'zip' }", "it fits every member"),
        ("{ name = '(' }", "name: missing closing parenthesis"),
        ("{ size = [2, 1] }", '"size" is no range'),
        ("{ encrypted = 1 }", '"encrypted" is neither'),
        ("{ nmae = 'a' }", 'unknown key "nmae"'),
        ("{ container = 'zap', size = [1, 1] }", 'unknown container "zap"'),
    ],
)
def test_mistakes_in_our_own_language_are_told(value: str, message: str) -> None:
    tables, _ = source.parse("a.toml", f'[[signature]]\nname = "A"\nmember = {value}\n'.encode())
    made, wrong = grammar.signature(tables[0])
    assert made is None and wrong[0].message.startswith(message)


@given(SIMPLE, st.text("ab.-/ AB", max_size=20), st.booleans())
def test_what_an_expression_needs_is_in_every_text_that_it_is_found_in(text: str, name: str, nocase: bool) -> None:
    made, caseless = expression.read("(?i)" * nocase + text)
    if Expression(made, caseless).search(name.encode()) is not None:
        assert expression.needed(made) in name.lower().encode()


@pytest.mark.parametrize(
    ("text", "needed"),
    [(r"^x?INVOICE[0-9]+\.exe$", "invoice"), ("(abc)+d", "abc"), ("abc|d", ""), ("[[:digit:]]abc", ""), ("a{2}", "a")],
)
def test_what_an_expression_needs(text: str, needed: str) -> None:
    assert expression.needed(text.encode()) == needed.encode()


def test_rules_are_looked_up_by_what_they_want() -> None:
    """SCAN-07: ten thousand rules and ten thousand members are not a hundred million comparisons."""
    bodies = [
        Member(expression=r"[a-z]invoice[0-9]\.exe$"),
        Member(container="zip", size=(7, 7)),
        Member(packed=(8, 8)),
        Member(expression="^a", size=(7, 9)),
        Member(expression="(?i)INVOICE", encrypted=True),
    ]
    rules = [Signature(f"r{number}", body) for number, body in enumerate(bodies)]
    known = engine_side.Members(members.annexes(rules)[members.ANNEX])
    assert known.names(engine_side.Told("zip", 99, ("an-Invoice1.exe",), 7, 8, True)) == ("r2", "r3", "r4", "r1")
    assert known.names(engine_side.Told("zip", 99, ("xinvoice1.exe",), 1, 1)) == ("r0",)
    assert known.names(engine_side.Told("rar", 99, ("b",), 7, 7)) == ()
