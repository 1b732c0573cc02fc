"""A file to take home."""

from pathlib import Path

import pytest
import pyzipper

from control.quarantine.zipped import PASSWORD, zipped
from engine.quarantine.item import Item

ITEM = Item(id="0" * 32, smtp_id="0" * 13, sha256="", size=6, name="../x.exe", viruses=("Test.Marker",))


def test_only_with_the_password(tmp_path: Path) -> None:
    """QRN-06: under a name that nothing starts; nothing of it can be read without the password."""
    with zipped(ITEM, iter([b"abc", b"def"]), tmp_path) as file:
        octets = file.read()
        file.seek(0)
        with pyzipper.AESZipFile(file) as archive:
            assert archive.namelist() == ["sample", "about.json"]
            with pytest.raises(RuntimeError, match="password"):
                archive.read("sample")
            archive.setpassword(PASSWORD.encode())
            assert archive.read("sample") == b"abcdef"
            assert b"Test.Marker" in archive.read("about.json")
    assert b"abcdef" not in octets and b"Test.Marker" not in octets
    assert list(tmp_path.iterdir()) == []
