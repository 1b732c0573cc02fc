"""Names of diagnostic files, and that nothing else is ever opened (DIAG-02, DIAG-10)."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diagnostics import files

NAME = "20261122T153353Z-inbound-0123456789abc-192.0.2.1.log"


@given(st.sampled_from(["inbound", "outbound", "queue"]), st.text(max_size=200), st.integers(0, 10**9 - 1))
def test_names_can_be_read_again(kind: str, subject: str, number: int) -> None:
    """DIAG-10: date, direction, connection ID and peer are in the name, whatever the peer calls itself."""
    name = files.name_of("20261122T153353Z", kind, "0123456789abc", subject, "log", number)
    found = files.parse(name)
    assert found is not None and "/" not in name and len(name) < 200
    assert (found.kind, found.id, found.time) == (kind, "0123456789abc", "2026-11-22T15:33:53Z")


def test_addresses_in_names() -> None:
    """DIAG-10."""
    name = files.name_of(files.stamp("2026-11-22T15:33:53.123456Z"), "inbound", "0123456789abc", "2001:db8::1", "log")
    assert name == "20261122T153353Z-inbound-0123456789abc-2001_db8_1.log"
    assert files.name_of("20261122T153353Z", "outbound", "0123456789abc", "mx-1.example[192.0.2.1]:25", "log", 2) == (
        "20261122T153353Z-outbound-0123456789abc.2-mx-1.example_192.0.2.1_25.log"
    )


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "/etc/passwd", f"../{NAME}", f"./{NAME}", f"x/../{NAME}", f"{NAME}\x00", f"{NAME}\n", f" {NAME}",
        NAME.upper(), NAME.replace("1122T", "1131T"), NAME.replace("T15", "T25"),
        NAME.replace("inbound", "queue/.."), "mailward.toml", NAME.replace("192", "１９２"), f"{NAME}/",
        "20261122T153353Z-inbound-0123456789abc-absent.log", "20261122T153353Z-inbound-0123456789abc-folder.log",
        "20261122T153353Z-inbound-0123456789abc-link.log", "20261122T153353Z-inbound-0123456789abc-pipe.log",
    ],
)  # fmt: skip
def test_no_name_leads_elsewhere(tmp_path: Path, name: str) -> None:
    """DIAG-02: names come from the listing; links, folders and pipes with the name of a log are none."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    directory = tmp_path / "diagnosticfiles"
    directory.mkdir()
    (directory / NAME).write_text("log")
    (directory / "mailward.toml").write_text("not ours")
    (directory / "20261122T153353Z-inbound-0123456789abc-folder.log").mkdir()
    (directory / "20261122T153353Z-inbound-0123456789abc-link.log").symlink_to(secret)
    os.mkfifo(directory / "20261122T153353Z-inbound-0123456789abc-pipe.log")
    with pytest.raises(OSError):
        files.open_file(directory, name)
    with pytest.raises(OSError):
        files.delete(directory, name)
    assert [file.name for file in files.listing(directory)] == [NAME]
    assert secret.exists() and (directory / "mailward.toml").exists()


def test_listing_open_and_delete(tmp_path: Path) -> None:
    assert files.listing(tmp_path / "absent") == []
    for second in (53, 55, 54):
        (tmp_path / NAME.replace("53Z", f"{second}Z")).write_text("x" * second)
    assert [file.size for file in files.listing(tmp_path)] == [55, 54, 53]
    with files.open_file(tmp_path, NAME) as file:
        assert file.read() == b"x" * 53
    files.delete(tmp_path, NAME)
    assert [file.size for file in files.listing(tmp_path)] == [55, 54]
