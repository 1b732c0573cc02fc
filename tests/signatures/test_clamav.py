"""ClamAV's formats: what a line means, and that nothing disappears silently."""

import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cext.automaton import Image
from control.cli.signatures import signatures as command
from engine.scan import knowledge, offline
from signatures import image
from signatures.clamav import container
from signatures.clamav.collect import READERS, Taken, collect
from signatures.clamav.line import NotTaken


def take(tmp_path: Path, **files: str) -> Taken:
    folder = tmp_path / "db"
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return collect([folder])


def names(taken: Taken, data: bytes, target: str = "any") -> tuple[str, ...]:
    return Image(image.build(taken.signatures)).scan(data, target)


def test_digests_of_files(tmp_path: Path) -> None:
    data = b"digested content"
    md5, sha1 = hashlib.md5(data).hexdigest(), hashlib.sha1(data).hexdigest()
    taken = take(
        tmp_path,
        a_hdb=f"{md5}:{len(data)}:Md5.Sized\n{md5}:{len(data) + 1}:Md5.Other\n",
        b_hsb=f"{sha1}:*:Sha1.Any:73\n# comment\n{sha1}:0:Bad\nzz{sha1[2:]}:5:Bad\n{sha1}:5\n",
    )
    assert names(taken, data) == ("Md5.Sized", "Sha1.Any")
    assert taken.counts == {".hdb": 2, ".hsb": 1}
    assert [(r.line, r.reason.partition(" ")[0]) for r in taken.refused] == [
        (3, '"0"'),
        (4, f'"zz{sha1[2:]}"'),
        (5, '"2"'),
    ]


def test_trusted_and_ignored(tmp_path: Path) -> None:
    data = b"good but badword"
    taken = take(
        tmp_path,
        a_ndb="Bad.One:0:*:626164776f7264\nBad.Two:0:*:626164776f7264\nBad.Three:0:*:626164776f7264\n",
        a_fp=f"{hashlib.md5(data).hexdigest()}:{len(data)}:Good\n",
        a_ign2="Bad.Two\nBad.Three:00000000000000000000000000000000\n",
    )
    assert names(taken, data) == ()
    assert names(taken, data + b".") == ("Bad.One", "Bad.Three")
    assert [(r.name, r.reason) for r in taken.refused] == [("Bad.Two", "ignored by name")]


@pytest.mark.parametrize(
    ("line", "target", "found", "missed"),
    [
        ("N:0:*:61626364??66", "any", b"..abcdxf", b"abcdf"),
        ("N:0:0:61626364", "any", b"abcd", b".abcd"),
        ("N:0:2,3:61626364656667", "any", b".....abcdefg", b"......abcdefg"),
        ("N:0:EOF-4:61626364", "any", b"..abcd", b"abcd."),
        ("N:1:*:6162636465666768", "pe", b"abcdefgh", b"ABCDEFGH"),
        ("N:3:*:6162636465666768", "html", b"ABCDEFGH", b"abc"),
        ("N:5:*:6162636465666768", "gif", b"abcdefgh", b"abcdefg"),
        ("N:0:*:6162636465*66676869", "any", b"abcde" + b"." * 999 + b"fghi", b"fghiabcde"),
        ("N:0:*:61626364656667{-2}(68|69)", "any", b"abcdefg..i", b"abcdefg...i"),
    ],
)
def test_extended(tmp_path: Path, line: str, target: str, found: bytes, missed: bytes) -> None:
    taken = take(tmp_path, a_ndb=line)
    assert not taken.refused
    assert names(taken, found, target) == ("N",)
    assert names(taken, missed, target) == ()


@pytest.mark.parametrize(
    ("line", "found", "missed"),
    [
        ("L;Engine:51-255,Target:0;0&1;6161616161616161;62626262", b"bbbb" + b"a" * 8, b"a" * 8),
        ("L;Target:0;(0|1)>2;6161616161616162;6363636363636364", b"aaaaaaab" * 3, b"aaaaaaab" * 2),
        ("L;Target:0;(0&1)>1;6161616161616162;6363636363636364", b"aaaaaaabcccccccd", b"aaaaaaab" * 9),
        ("L;Target:0;0&1|2;6161616161616162;6363636363636364;6565656565656566", b"aaaaaaab eeeeeeef", b"eeeeeeef"),
        ("L;Target:0;0;4142434445464748::i", b"abcdefgh", b"abcdefg."),
        ("L;Target:0;0;4142434445464748::w", b"A\0B\0C\0D\0E\0F\0G\0H\0", b"ABCDEFGH"),
        ("L;Target:0;0;4142434445464748::aw", b"ABCDEFGH", b"ABCDEFG"),
        ("L;Target:0;0;4142434445464748::f", b"x ABCDEFGH.", b"xABCDEFGH"),
        ("L;Target:0,FileSize:5-9;0;41424344", b"ABCD.", b"ABCD"),
    ],
)
def test_logical(tmp_path: Path, line: str, found: bytes, missed: bytes) -> None:
    taken = take(tmp_path, a_ldb=line)
    assert not taken.refused
    assert names(taken, found) == ("L",)
    assert names(taken, missed) == ()


def test_a_blank_in_a_name(tmp_path: Path) -> None:
    assert [s.name for s in take(tmp_path, a_ldb="A. IEX $.1;Target:0;0;41424344").signatures] == ["A._IEX_$.1"]


@pytest.mark.parametrize(
    ("suffix", "line", "reason"),
    [
        ("ldb", "P;Target:0;0&1;41424344;0/a(b/i", "missing closing parenthesis"),
        ("ldb", "P;Target:0;0&1;41424344;1/ab/i", "no sub-pattern 1"),
        ("ldb", "P;Target:0;0&2;41424344;0/ab/i;1/cd/", "waits for another"),
        ("ldb", "P;Target:0;0&1;41424344;/ab/i", "trigger"),
        ("ldb", "P;Target:0;0&1;41424344;0/ab/iq", "flags"),
        ("ldb", "P;Target:0;1;41424344;0<9/ab/i", "fixed run"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#hb2#=5,)", "byte comparison is not understood"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#db2l#=5)", "is no number"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#hi2#=5)", "options"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#dl2#=5)", "little-endian"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#h2#=5)", "order of octets"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#ib3#=5)", "octets"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#hb2#=x)", "no number"),
        ("ldb", "P;Target:0;0&1;41424344;1(>>5#hb2#=5)", "belongs to no pattern"),
        ("ldb", "P;Target:0;0&1;41424344;0(>>5#hb2#=0x8000000000000000)", "too large"),
        ("ldb", "P;Target:0,Container:CL_TYPE_MSCHM;0;41424344", "is not opened"),
        ("ldb", "P;Target:0,Intermediates:CL_TYPE_ZIP>CL_TYPE_MSCHM;0;41424344", "is not opened"),
        (
            "ldb",
            "P;Target:0,Intermediates:" + ">".join(["CL_TYPE_ZIP"] * 17) + ";0;41424344",
            "more than 16 containers",
        ),
        ("ldb", "P;Target:1,NumberOfSections:x;0;41424344", "number of sections"),
        ("ldb", "P;Target:1,IconGroup1:X;0;41424344", "icon"),
        ("ldb", "P;Target:0;0&;41424344", "logic"),
        ("ldb", "P;Target:0;0=0;41424344", "fixed run"),
        ("ldb", "P;Engine:51-99,Target:0;0;41424344", "older engines"),
        ("ndb", "P:0:*:4142434", "not understood"),
        ("ndb", "P:0:NEAR:41424344", "offset"),
        ("ndb", "P:99:*:41424344", "target"),
        ("ndb", "P:0:*:??", "wildcards"),
        ("cdb", "P:CL_TYPE_ARJ:*:a:*:*:*:*:*:*", "container"),
        ("pdb", "R:evil", "R:address:shown"),
        ("xyz", "anything", "no format"),
        ("mwd", "anything", "take the sources"),
        ("dat", "00:{MD5}a.1", "Linux Malware Detect"),
    ],
)
def test_what_is_not_taken_is_listed(tmp_path: Path, suffix: str, line: str, reason: str) -> None:
    taken = take(tmp_path, **{f"a_{suffix}": line})
    assert not taken.signatures
    assert len(taken.refused) == 1
    assert reason in taken.refused[0].reason


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(READERS)),
    st.one_of(st.text(max_size=80), st.text("Na0123456789abcdef:;*?{}()|!&<>=,-/#$EOFPS.", max_size=120)),
)
def test_no_line_does_more_than_being_refused(suffix: str, line: str) -> None:
    try:
        signature = READERS[suffix](line)
    except NotTaken:
        return
    Image(image.build([signature])).scan(b"anything")


def packed(members: dict[str, bytes], kind: str = "cud") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    body = gzip.compress(buffer.getvalue()) if kind != "cld" else buffer.getvalue()
    digest = hashlib.md5(body).hexdigest()
    return f"ClamAV-VDB:01 Jan 2026 00-00 +0000:1:1:90:{digest}:x:me:0".ljust(512).encode() + body


def test_containers(tmp_path: Path) -> None:
    line = b"In.Container:0:*:6162636465666768\n"
    info = b"ClamAV-VDB:...\na.ndb:%d:%s\n" % (len(line), hashlib.sha256(line).hexdigest().encode())
    for kind in ("cud", "cld"):
        path = tmp_path / f"set.{kind}"
        path.write_bytes(packed({"a.ndb": line, "set.info": info}, kind))
        taken = collect([path])
        assert not taken.refused
        assert names(taken, b"abcdefgh") == ("In.Container",)
    for spoilt, reason in (
        (packed({"a.ndb": line, "set.info": info.replace(b"a.ndb:34:", b"a.ndb:34:00")}), None),
        (packed({"a.ndb": line + b"#", "set.info": info}), "digest of"),
        (packed({"a.ndb": line})[:-20], "cannot be"),
        (b"nothing", "no header"),
    ):
        path = tmp_path / "spoilt.cud"
        path.write_bytes(spoilt)
        taken = collect([path])
        assert bool(taken.refused) == (reason is not None)
        if reason:
            assert reason in taken.refused[0].reason
            assert not taken.signatures


def test_a_signed_container_needs_its_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p, q, e = (1 << 127) - 1, (1 << 89) - 1, 65537
    n, d = p * q, pow(e, -1, (p - 1) * (q - 1))
    monkeypatch.setattr(container, "KEY_MODULUS", n)
    monkeypatch.setattr(container, "KEY_EXPONENT", e)
    plain = packed({"a.ndb": b"Signed:0:*:6162636465666768\n"})
    digest = plain[:512].split(b":")[5].decode()
    value, signature = pow(int(digest, 16), d, n), ""
    while value:
        value, digit = value >> 6, value & 63
        signature += container._DIGITS[digit]
    signed = plain[:512].replace(b":x:", b":" + signature.encode() + b":").rstrip().ljust(512) + plain[512:]
    path = tmp_path / "main.cvd"
    path.write_bytes(signed)
    assert names(collect([path]), b"abcdefgh") == ("Signed",)
    path.write_bytes(plain)
    assert "signature is wrong" in collect([path]).refused[0].reason
    path.write_bytes(signed[:-1] + b"x")
    assert "digest of the content" in collect([path]).refused[0].reason


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(command, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_command_imports_and_tells(tmp_path: Path) -> None:
    databases = tmp_path / "db"
    databases.mkdir()
    (databases / "a.ndb").write_text("Shown.One:0:*:6162636465666768\nWild:0:*:6d6e6f7071727374??75\n")
    (databases / "a.ldb").write_text("Rx;Target:0;0&1;41424344;0/x(/\n")
    old, new, refused = tmp_path / "old.mwi", tmp_path / "new.mwi", tmp_path / "refused.txt"
    output = run("import", "clamav", databases, "-o", old, "--refused", refused)
    assert "2  taken" in output and "1  not taken" in output and "missing closing" in output
    assert refused.read_text().startswith(f"{databases}/a.ldb:1: Rx: ")
    assert "6162636465666768" in run("find", "Shown*", "-d", old)
    run("find", "Nothing", "-d", old, code=1)
    content = tmp_path / "content.bin"
    content.write_bytes(b"...abcdefgh mnopqrst")
    told = run("explain", content, "-d", old)
    assert "Shown.One: matches" in told and " at 3" in told and "Wild: nearly matches" in told
    assert "missing: 6d6e6f7071727374 {1-1} 75" in told
    (databases / "a.ndb").write_text("Shown.One:0:*:6162636465666769\nNew:0:*:6d6e6f707172737475\n")
    run("import", "clamav", databases, "-o", new)
    changes = run("diff", old, new)
    assert "~ Shown.One" in changes and "+ New" in changes and "- Wild" in changes
    assert "1 came, 1 went, 1 changed" in changes
    assert "condition 1" in run("info", old)


def test_what_matches_clean_files_is_left_out_and_listed(tmp_path: Path) -> None:
    """AV-02: signatures of others that also find what is known to be harmless, in archives too."""
    databases, clean = tmp_path / "db", tmp_path / "clean"
    databases.mkdir()
    clean.mkdir()
    (databases / "a.ndb").write_text("Good:0:*:6162636465666768\nEager:0:*:7a7a7a7a7a7a7a7a7a\n")
    rule = "rule {} {{ strings: $a = {} condition: $a }}\n"
    (databases / "b.yar").write_text(rule.format("keen", '"zzzzzzzzz"') + rule.format("fine", '"find me"'))
    with zipfile.ZipFile(clean / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sleep.txt", b"zzzzzzzzzzzz")
    (clean / "b.txt").write_bytes(b"nothing")
    output = run("import", "clamav", databases, "-o", tmp_path / "all.mwd", "--clean", clean)
    assert "2  taken" in output and "2  not taken" in output
    assert f'a.ndb:2: Eager: matches the clean file "{clean}/a.zip"' in output
    assert "b.yar:1: keen: " in output and output.count("matches the clean file") >= 2
    image = knowledge.load((tmp_path / "all.mwd").read_bytes())
    assert offline.examine((clean / "a.zip").read_bytes(), "a.zip", image).matches == []
    left = offline.examine(b"abcdefgh and find me", "c.bin", image)
    assert {one.name for one in left.matches} == {"Good", "YARA.fine"}


def test_own_sources_are_held_against_clean_files(tmp_path: Path) -> None:
    source, clean = tmp_path / "a.toml", tmp_path / "clean.txt"
    source.write_text('[[signature]]\nname = "A"\ntext = "find me"\nspecimen = "do find me"\nclean = "no"\n')
    clean.write_bytes(b"nothing")
    assert "2 of 2" in run("test", source, "--clean", clean)
    clean.write_bytes(b"please find me")
    told = run("test", source, "--clean", clean, code=1)
    assert f"A: matches the clean file {clean}" in told and "2 of 3" in told


def test_the_command_checks_and_tests_sources(tmp_path: Path) -> None:
    source = tmp_path / "a.toml"
    source.write_text('[[signature]]\nname = "A"\ntext = "find me"\nspecimen = "do find me"\nclean = "no"\n')
    assert "1 signatures, no errors" in run("check", source)
    assert "2 of 2" in run("test", source)
    source.write_text('[[signature]]\nname = "A"\ntext = "find me"\nspecimen = "lose me"\n')
    assert "specimen is not found" in run("test", source, code=1)
    source.write_text('[[signature]]\nnam = "A"\ntext = "find me"\n')
    assert "^^^" in run("check", source, code=1)
