"""Increments of ClamAV's databases; sigtool runs the same scripts."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signatures.clamav import cdiff
from signatures.clamav.cdiff import BadDiff, run, script_of
from tests.signatures.clamav_key import MODULUS, signature_of, signed_diff

BEFORE = {"a.ndb": b"one\ntwo\nthree\nfour\n", "b.ndb": b"five\n"}


def test_each_command() -> None:
    """AV-02: lines go, change and come by the numbers of the file as it was; others move, and files go."""
    script = (
        b"# a comment\nOPEN a.ndb\nADD new line\nDEL 2 tw\nXCHG 3 three drei und mehr\nCLOSE\n\r\n"
        b"MOVE a.ndb b.ndb 1 one 2 drei\nOPEN c.ndb\nADD x\nCLOSE\nUNLINK c.ndb\n"
    )
    assert run(script, BEFORE) == {"a.ndb": b"four\nnew line\n", "b.ndb": b"five\none\ndrei und mehr\n"}
    assert BEFORE["a.ndb"] == b"one\ntwo\nthree\nfour\n"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"ADD x", "no file is open"),
        (b"CLOSE", "no file is open"),
        (b"OPEN a.ndb", "leaves a file open"),
        (b"OPEN a.ndb\nOPEN b.ndb", "open already"),
        (b"OPEN ../etc/passwd", "a name"),
        (b"OPEN .hidden", "a name"),
        (b"UNLINK c.ndb", "no file to be removed"),
        (b"OPEN a.ndb\nDEL 5 x\nCLOSE", "not the one"),
        (b"OPEN a.ndb\nDEL 0 x\nCLOSE", "not the one"),
        (b"OPEN a.ndb\nDEL 1 two\nCLOSE", "not the one"),
        (b"OPEN a.ndb\nDEL x one\nCLOSE", "a number"),
        (b"OPEN a.ndb\nDEL 1\nCLOSE", "too few"),
        (b"OPEN a.ndb\nDEL 1 one\nDEL 1 one\nCLOSE", "twice"),
        (b"OPEN a.ndb\nDEL 1 one\nXCHG 1 one x\nCLOSE", "twice"),
        (b"MOVE a.ndb b.ndb 2 two 1 one", "before the first"),
        (b"MOVE a.ndb a.ndb 1 one 1 one", "move from"),
        (b"MOVE c.ndb b.ndb 1 one 1 one", "move from"),
        (b"EXEC rm", "not known"),
    ],
)
def test_what_does_not_fit_is_refused(script: bytes, why: str) -> None:
    with pytest.raises(BadDiff, match=why):
        run(script, BEFORE)


def test_the_number_of_files_and_their_length_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdiff, "FILES", 3)
    new = b"OPEN c%d.ndb\nADD x\nCLOSE\n"
    assert len(run(new % 1, BEFORE)) == 3
    for script in (new % 1 + new % 2, new % 1 + b"MOVE a.ndb d.ndb 1 one 1 one\n"):
        with pytest.raises(BadDiff, match="too many files"):
            run(script, BEFORE)
    monkeypatch.setattr(cdiff, "FILE_LEN", 8)
    assert run(b"OPEN b.ndb\nADD ab\nCLOSE\n", BEFORE)["b.ndb"] == b"five\nab\n"
    with pytest.raises(BadDiff, match="too long"):
        run(b"OPEN b.ndb\nADD abc\nCLOSE\n", BEFORE)


def test_an_increment_is_signed_and_of_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    script = b"OPEN a.ndb\nADD x\nCLOSE\n"
    octets = signed_diff(7, script)
    assert script_of(octets, 7, MODULUS) == script
    for spoilt, why in (
        (octets.replace(b"ClamAV-Diff:7", b"ClamAV-Diff:8"), "signature is wrong"),
        (octets[:-2], "signature is wrong"),
        (octets + b"!", "signature is wrong"),
        (octets.replace(b":", b";"), "no digital signature"),
        (b"", "no digital signature"),
    ):
        with pytest.raises(BadDiff, match=why):
            script_of(spoilt, 7, MODULUS)
    with pytest.raises(BadDiff, match="for version 7, not 8"):
        script_of(octets, 8, MODULUS)
    with pytest.raises(BadDiff, match="signature is wrong"):
        script_of(octets, 7)
    for head, why in ((b"ClamAV-Diff:7:23:no gzip", "unpacked"), (b"Something:7:23:", "no header")):
        with pytest.raises(BadDiff, match=why):
            script_of(head + b":" + signature_of(head), 7, MODULUS)
    longer = octets[: octets.rfind(b":")].replace(b":23:", b":22:")
    with pytest.raises(BadDiff, match="another length"):
        script_of(longer + b":" + signature_of(longer), 7, MODULUS)
    monkeypatch.setattr(cdiff, "SCRIPT_LEN", len(script) - 1)
    with pytest.raises(BadDiff, match="too long"):
        script_of(octets, 7, MODULUS)


WORDS = st.sampled_from(["alpha", "beta", "gamma:1", "delta x", "e"])


@given(
    lines=st.lists(WORDS, max_size=6),
    deleted=st.sets(st.integers(1, 6)),
    changed=st.dictionaries(st.integers(1, 6), WORDS, max_size=3),
    added=st.lists(WORDS, max_size=3),
)
def test_a_script_does_what_it_says(
    lines: list[str], deleted: set[int], changed: dict[int, str], added: list[str]
) -> None:
    deleted = {number for number in deleted if number <= len(lines)}
    changed = {number: new for number, new in changed.items() if number <= len(lines) and number not in deleted}
    script = "OPEN a.ndb\n" + "".join(f"ADD {one}\n" for one in added)
    script += "".join(f"DEL {number} {lines[number - 1][:3]}\n" for number in sorted(deleted))
    script += "".join(f"XCHG {number} {lines[number - 1][:1]} {new}\n" for number, new in sorted(changed.items()))
    wanted = [changed.get(number, one) for number, one in enumerate(lines, 1) if number not in deleted] + added
    before = {"a.ndb": "".join(f"{one}\n" for one in lines).encode()}
    assert run(f"{script}CLOSE\n".encode(), before)["a.ndb"] == "".join(f"{one}\n" for one in wanted).encode()


def test_sigtool_makes_the_same_of_a_script(tmp_path: Path) -> None:
    sigtool = shutil.which("sigtool")
    assert sigtool is not None, "of the Debian package clamav"
    script = b"OPEN a.ndb\nADD new\nDEL 2 tw\nXCHG 3 three 3 drei\nCLOSE\nMOVE a.ndb b.ndb 1 on 2 3\nUNLINK d.ndb\n"
    before = BEFORE | {"d.ndb": b"x\n"}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "x.script").write_bytes(script)
    # It runs the script, and then fails for want of a container that it could hold the result against.
    subprocess.run([sigtool, "--run-cdiff=x.script"], cwd=tmp_path, check=False, capture_output=True)
    (tmp_path / "x.script").unlink()
    assert run(script, before) == {path.name: path.read_bytes() for path in tmp_path.iterdir()}
