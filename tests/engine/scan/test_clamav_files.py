"""ClamAV's own test files (Debian: clamav-testfiles): one harmless program of 544 octets in every packing.

The signature is made when the test runs, of the digest of the program that is installed; no sample is kept here. Each
file is scanned as it is, attached to a message, and in a message that is attached to a message. Prints the table.
"""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cext.automaton import Image
from engine.scan.facts import Facts, Verdict
from engine.scan.offline import examine
from signatures import image
from signatures.clamav.collect import collect
from tests.engine.scan.bombs import attached

FOLDER = Path("/usr/share/clamav-testfiles")
NAME = "ClamAV-Test-File"
PACKED_CODE = "another program: what it unpacks is in no file that it carries"
# What is not found, and why: the cause and detail that are told, or that nothing is carried.
NOT_OPENED = {
    **{
        f"clam-{packer}.exe": PACKED_CODE
        for packer in ("aspack", "fsg", "mew", "pespin", "petite", "upack", "upx", "wwpack", "yc")
    },
    "clam-nsis.exe": "NSIS installer",
    "clam.ea05.exe": "AutoIt program",
    "clam.ea06.exe": "AutoIt program",
    "clam_IScab_ext.exe": "InstallShield installer",
    "clam_IScab_int.exe": "InstallShield installer",
    "clam_ISmsi_ext.exe": "InstallShield installer",
    "clam_ISmsi_int.exe": "InstallShield installer",
    "clam.arj": "arj",
    "clam.sis": "sis",
    "clam.impl.zip": "zip method 6",
    "clam_cache_emax.tgz": "extraction depth",  # deeper than the limit, which is the point of it
}


def forwarded(name: str, octets: bytes) -> bytes:
    inner = base64.encodebytes(attached(name, octets)).replace(b"\n", b"\r\n")
    return b"Subject: fwd\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inner


WAYS: dict[str, Callable[[str, bytes], bytes]] = {
    "file": lambda name, octets: octets,
    "attachment": attached,
    "forwarded": forwarded,
}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Image:
    program = (FOLDER / "clam.exe").read_bytes()
    database = tmp_path_factory.mktemp("database") / "made.hsb"
    database.write_text(f"{hashlib.sha256(program).hexdigest()}:{len(program)}:{NAME}\n")
    return Image(image.build(collect([database]).signatures))


def outcome(facts: Facts) -> str:
    if facts.verdict is Verdict.INFECTED:
        assert {match.name for match in facts.matches} == {NAME}
        return "found"
    return facts.unscanned[0].detail if facts.unscanned else "clean"


@pytest.mark.parametrize("way", WAYS)
def test_every_file_is_opened_or_named(way: str, known: Image) -> None:
    """CONT-01, SCAN-07, AV-02: what is not found is called unscanned, but for code that another program unpacks."""
    files = sorted(path for path in FOLDER.iterdir() if path.name.startswith("clam"))
    assert len(files) >= 44
    for path in files:
        name = path.name if way == "file" else "message.eml"
        told = outcome(examine(WAYS[way](path.name, path.read_bytes()), name, known))
        print(f"{way:10} {path.name:24} {told}")
        wanted = NOT_OPENED.get(path.name, "found")
        assert told == "clean" if wanted == PACKED_CODE else told.startswith(wanted), (path.name, told)
