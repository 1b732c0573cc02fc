"""`mailward scan`: what scripts rely on, also with what is no file, names that are no text, and a reader that left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from control.cli.scan import scan as scan_command
from control.samples import EICAR
from tests.system.harness import MAILWARD
from tests.system.test_way import with_attachment

CLOSED = b"Rar!\x1a\x07\x01\x00" + bytes(64)


def scan(*arguments: str | bytes | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*MAILWARD, "scan", *arguments], capture_output=True, input=stdin)


def lines(ended: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_contract(tmp_path: Path) -> None:
    clean, infected, closed = tmp_path / "clean.txt", tmp_path / "mail.eml", tmp_path / "closed.rar"
    clean.write_bytes(b"nothing here\n")
    infected.write_bytes(with_attachment(EICAR))
    closed.write_bytes(CLOSED)
    assert scan(clean).returncode == 0
    ended = scan("--json", "--parts", clean, infected, closed)
    assert ended.returncode == 1, "infected is more than unscanned"
    first, second, third = lines(ended)
    assert set(first) == {"path", "verdict", "signatures", "unscanned", "findings", "suspicions", "parts"}
    assert (first["path"], first["verdict"]) == (str(clean), "clean")
    assert (second["verdict"], third["verdict"]) == ("infected", "unscanned")
    (signature,) = second["signatures"]
    assert set(signature) == {"name", "part"} and signature["part"] == "2"
    assert set(third["unscanned"][0]) == {"part", "cause", "detail"}
    assert {"part", "content_type", "type", "filename", "size", "sha256", "opened"} == set(second["parts"][0])
    attachment = next(part for part in second["parts"] if part["part"] == "2")
    assert (attachment["filename"], attachment["size"]) == ("eicar.com", len(EICAR))
    assert "parts" not in lines(scan("--json", clean))[0]
    assert scan(closed).returncode == 3
    assert scan(clean, tmp_path / "missing").returncode == 2


def test_folder_with_what_is_no_file(tmp_path: Path) -> None:
    """Links and sockets are passed over; names are taken in order; a file name need not be text."""
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "b.txt").write_bytes(b"b")
    (folder / "inner" / "c.txt").write_bytes(b"c")
    (folder / "link").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    with open(os.fsencode(folder) + b"/a\xff\n.com", "wb") as file:
        file.write(EICAR)
    ended = scan("--json", folder)
    assert ended.returncode == 1, ended.stderr
    assert [Path(line["path"]).name for line in lines(ended)] == ["a\\xff\n.com", "b.txt", "c.txt"]
    assert b"infected" in scan(folder).stdout


def test_names_that_look_like_something_else(tmp_path: Path) -> None:
    for name in ("-", "--json", "$(reboot)"):
        (tmp_path / name).write_bytes(EICAR)
    ended = subprocess.run(
        [*MAILWARD, "scan", "--json", "--", "-", "--json", "$(reboot)"], capture_output=True, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert [line["path"] for line in lines(ended)] == ["-", "--json", "$(reboot)"]
    assert lines(scan("--json", "/dev/stdin", stdin=EICAR))[0]["verdict"] == "infected"


def test_folder_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not examined is not clean. Refused here, because root may read everything."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "open.txt").write_bytes(b"x")
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    ended = CliRunner().invoke(scan_command, [str(tmp_path)])
    assert ended.exit_code == 2 and "closed: Permission denied" in ended.output and "open.txt: clean" in ended.output


def test_reader_that_leaves_is_no_infection(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:0200}.txt").write_bytes(b"clean")
    process = subprocess.Popen([*MAILWARD, "scan", "--json", tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 2, said
    assert b"Traceback" not in said and b"Exception ignored" not in said


def test_interrupt_is_no_infection(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [*MAILWARD, "scan", tmp_path / "pipe"],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # who runs the tests may ignore it
    )
    with open(tmp_path / "pipe", "wb"):  # it reads now, without end
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        process.stderr.read()
        process.stderr.close()
        assert process.wait() == 2


def test_definitions_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    for content in (b"", b"not compiled", bytes(4096)):
        (tmp_path / "definitions").write_bytes(content)
        ended = scan("--definitions", tmp_path / "definitions", tmp_path / "x")
        assert ended.returncode == 2 and not ended.stdout and ended.stderr.strip()
        assert b"Traceback" not in ended.stderr


def test_usage_errors_are_errors() -> None:
    assert scan().returncode == 2
    assert scan("--no-such-option", sys.executable).returncode == 2
