"""AV-02: YARA rules travel with the definitions, run on what the walk decodes, and nothing of them disappears."""

import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.automaton import Image
from engine import definitions
from engine.scan import yara_rules as engine_side
from engine.scan.facts import Cause
from engine.scan.matcher import Matcher
from engine.scan.offline import examine
from signatures import image, yara_rules
from signatures.clamav.collect import collect
from signatures.compile import SourceErrors, compile_sources
from signatures.model import Digest, Literal, Signature
from tests.fuzz.fuzz_yara_rules import one_input

MARK = "a mark of these tests"
GOOD = f'rule Good {{ strings: $a = "{MARK}" condition: $a }}\n'
HEX = "rule Hex { strings: $a = { 61 20 6d ?? 72 6b } condition: for any i in (1..#a): (@a[i] >= 0) }\n"


def loaded(*texts: str, signatures: tuple[Signature, ...] = ()) -> Matcher:
    taken = yara_rules.read([(f"{number}.yar", text) for number, text in enumerate(texts)])
    assert not taken.errors
    return definitions.from_bytes(image.build(signatures, annexes=yara_rules.annexes(taken)))


def test_both_sides_declare_the_same_annex() -> None:
    assert engine_side.ANNEX == yara_rules.ANNEX and engine_side.VERSION == yara_rules.VERSION
    for ours, theirs in ((yara_rules.Source, engine_side.Source), (yara_rules.Annex, engine_side._Annex)):
        assert ours.__struct_fields__ == theirs.__struct_fields__
        assert ours.__struct_config__.array_like and theirs.__struct_config__.array_like
    assert engine_side.rules_of(loaded(GOOD)) is not None
    assert engine_side.rules_of(Image(image.build([]))) is None


def test_rules_find_what_is_inside() -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.bin", b"\0\1" + MARK.encode())
    matcher = loaded(GOOD, HEX, "private rule Quiet { condition: true }\n")
    facts = examine(packed.getvalue(), "outer.zip", matcher)
    assert [(match.part, match.name) for match in facts.matches] == [
        ("outer.zip/inner.bin", "YARA.Good"),
        ("outer.zip/inner.bin", "YARA.Hex"),
    ]
    assert not examine(b"nothing", "a.bin", matcher).matches


def test_what_is_trusted_is_not_reported() -> None:
    import hashlib

    data = MARK.encode()
    good = Signature("good", Digest("sha256", hashlib.sha256(data).digest(), len(data)), family="trusted")
    assert not examine(data, "a.bin", loaded(GOOD, signatures=(good,))).matches
    assert examine(data + b".", "a.bin", loaded(GOOD, signatures=(good,))).matches


def test_what_takes_too_long_is_unscanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """SCAN-07: and what signatures found beside it counts all the same."""
    slow = "rule Slow { condition: filesize == 210 and for all i in (0..99999999999): (uint8(i % filesize) < 256) }\n"
    matcher = loaded(slow, signatures=(Signature("found", Literal(MARK.encode())),))
    monkeypatch.setattr(engine_side, "SECONDS", 1)
    facts = examine(MARK.encode() * 10, "a.bin", matcher)
    assert [(one.cause, one.detail) for one in facts.unscanned] == [
        (Cause.ENGINE, "YARA rules of the definitions took too long on it")
    ]
    assert facts.matches[0].name == "found"


def test_a_string_that_is_given_up_is_unscanned() -> None:
    many = "rule Many { strings: $a = /[a-z]{4}/ condition: #a > 2000000 }\n"
    facts = examine(b"abcd" * 600_000, "a.bin", loaded(many))
    assert [one.detail for one in facts.unscanned] == ["a string of YARA rules occurs too often in it"]


def test_a_bad_rule_does_not_take_its_file_along() -> None:
    text = "\n".join(
        [
            'import "pe"',
            'import "cuckoo"',
            'include "other.yar"',
            "rule First { condition: pe.number_of_sections == 77 }",
            'rule Unused { strings: $a = "x" condition: true }',
            "rule Second { condition: undefined_thing }",
            "rule Third { condition: cuckoo.sync.mutex(/x/) }",
            f'rule Fourth {{ strings: $a = "{MARK}" condition: $a }}',
        ]
    )
    taken = yara_rules.read([("mixed.yar", text)])
    assert [(error.line, error.rule) for error in taken.errors] == [
        (2, ""),
        (3, ""),
        (5, "Unused"),
        (6, "Second"),
        (7, "Third"),
    ]
    assert taken.rules == ["First", "Fourth"]
    assert "octets of content" in taken.errors[0].render() and "unreferenced string" in taken.errors[2].render()


def test_sources_are_compiled_with_all_errors_listed(tmp_path: Path) -> None:
    good, bad = tmp_path / "a.yar", tmp_path / "b.yara"
    good.write_text(GOOD)
    bad.write_text(GOOD + "rule Bad { condition: nothing }\nrule Worse { condition: nobody }\n")
    octets = compile_sources([good])
    assert definitions.from_bytes(octets).annexes == ("yara",)
    assert octets == compile_sources([good])
    with pytest.raises(SourceErrors) as raised:
        compile_sources([good, bad])
    assert [error.line for error in raised.value.errors] == [2, 3]


def test_files_of_one_name_do_not_disturb_each_other(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.yar").write_text(GOOD)
    taken = collect([tmp_path])
    assert not taken.refused and taken.counts == {".yar": 2}
    assert [source.namespace for source in taken.rules.sources] == ["same.yar", "same.yar~2"]
    matcher = definitions.from_bytes(image.build([], annexes=taken.annexes()))
    assert [match.name for match in examine(MARK.encode(), "a.bin", matcher).matches] == ["YARA.Good"]


def test_definitions_with_broken_rules_are_refused() -> None:
    encode = msgspec.msgpack.encode
    for annex, reason in (
        (b"\xc1", "YARA rules"),
        (encode(([("a", "rule")], 1)), "syntax error"),
        (encode(([("a", 'include "x"')], 1)), "include"),
        (encode(([], 2)), "another version"),
        (encode(([("a", "")] * 10_001, 1)), "10000"),
    ):
        with pytest.raises(definitions.DefinitionsRefused, match=reason):
            definitions.from_bytes(image.build([], annexes={"yara": annex}))


def test_a_rule_that_would_stop_all_mail_is_left_out() -> None:
    """A rule that finds a kind of content takes nobody along, but for rules that build on it."""
    text = f"""
rule Without_links {{ strings: $a = "https://" condition: not $a }}
rule Program {{ condition: uint16(0) == 0x5A4D }}
{GOOD}
rule Mail {{
    strings: $a = "Subject:"
    condition: $a
}}
rule After {{ condition: Mail and filesize > 9000000 }}
"""
    taken = yara_rules.read([("hunting.yar", text)])
    assert [(error.line, error.rule) for error in taken.errors] == [
        (2, "Without_links"),
        (3, "Program"),
        (6, "Mail"),
        (10, "After"),
    ]
    assert "would stop all mail" in taken.errors[0].render()
    assert taken.rules == ["Good"]


def test_an_annex_that_is_too_long_is_not_even_read(monkeypatch: pytest.MonkeyPatch) -> None:
    annex = yara_rules.annexes(yara_rules.read([("a.yar", GOOD)]))["yara"]
    monkeypatch.setattr(engine_side, "ANNEX_LEN", len(annex))
    assert engine_side.Rules(annex).names(MARK.encode()) == ("YARA.Good",)
    with pytest.raises(ValueError, match="too long"):
        engine_side.Rules(annex + b"\0")


def test_mistakes_of_one_file_are_bounded() -> None:
    bad = "".join(f"rule R{number} {{ condition: nothing{number} }}\n" for number in range(yara_rules.MOST_ERRORS + 1))
    taken = yara_rules.read([("a.yar", bad)])
    assert len(taken.errors) == yara_rules.MOST_ERRORS + 1 and "mistakes" in taken.errors[0].message
    assert not taken.sources


_WORDS = (GOOD, HEX, "rule", "{", "}", '"', "\n", "condition: ")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.lists(st.sampled_from(_WORDS)).map("".join).map(str.encode),
    )
)
def test_any_text_is_rules_or_errors(data: bytes) -> None:
    one_input(data)


def test_clamscan_agrees(tmp_path: Path) -> None:
    (tmp_path / "db.yar").write_text(GOOD)
    (tmp_path / "has.bin").write_bytes(b"\0" + MARK.encode())
    (tmp_path / "has.not").write_bytes(b"\0" + MARK.encode()[1:])
    command = ["clamscan", "--no-summary", "-d", tmp_path / "db.yar", tmp_path / "has.bin", tmp_path / "has.not"]
    told = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    assert "has.bin: YARA.Good" in told.stdout and "has.not: OK" in told.stdout
    matcher = definitions.from_bytes(compile_sources([tmp_path / "db.yar"]))
    assert examine((tmp_path / "has.bin").read_bytes(), "has.bin", matcher).matches
    assert not examine((tmp_path / "has.not").read_bytes(), "has.not", matcher).matches
