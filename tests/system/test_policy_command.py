"""`mailward policy`: messages tried out, and changed settings rehearsed on the mail of a running gateway."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from control.samples import EICAR
from tests.dns_server import block_lists
from tests.system.harness import MAILWARD, Gateway, Mailbox
from tests.system.test_way import with_attachment

PLAIN = b"From: Ann <ann@sender.example>\r\nTo: b@example.com\r\nSubject: %s\r\n\r\nhello\r\n"
STRICT = """
[routing]
local = [{ name = "example.com", host = "127.0.0.1:1" }]
[blocking]
size = { enabled = true, max_mb = 1 }
characters = { enabled = true }
subject = { enabled = true, lines = ["*hot*"], action = "forward", forward = { to = "sec@example.com" } }
senders = { enabled = true, addresses = ["@bad.example"] }
files = { enabled = true, in_containers = true }
[notifications]
administrators = ["boss@example.com"]
content = { sender = { enabled = true }, administrator = { enabled = true } }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation that does not run."""
    return Gateway(tmp_path_factory.mktemp("gateway") / "root", {"example.com": 1}).root


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    path = tmp_path / "strict.toml"
    path.write_text(STRICT)
    return path


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAILWARD, "policy", *arguments], capture_output=True, text=True)


def verdicts(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert ended.returncode in (0, 1) and ended.stdout, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def rule(verdict: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in verdict["rules"] if one["criterion"] == name)


def mail(tmp_path: Path, content: bytes, name: str = "mail.eml") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_rule_by_rule_in_order(root: Path, strict: Path, tmp_path: Path) -> None:
    """PROC-20, PROC-18, SUBJ-03: what matched, what is off, what becomes of it, and who is told."""
    path = mail(tmp_path, PLAIN % b"=?utf-8?q?so_HOT?=")
    (verdict,) = verdicts(call("test", "--root", root, "--settings", strict, "--json", "--rcpt", "b@example.com", path))
    names = [one["criterion"] for one in verdict["rules"]]
    assert names == [
        "size", "characters", "relay", "white-list", "sender", "block-list", "dmarc", "subject", "container-limit",
        "encrypted", "file-name",
    ]  # fmt: skip
    (match,) = rule(verdict, "subject")["matches"]
    assert (match["entry"], match["value"], match["action"]) == ("*hot*", "so HOT", "forward")
    assert rule(verdict, "white-list")["state"] == "off" and rule(verdict, "sender")["state"] == "passed"
    assert (verdict["disposition"], verdict["forwards"], verdict["scan"]) == ("forward", ["sec@example.com"], "")
    told = {(one["audience"], *one["to"]) for one in verdict["told"]}
    assert told == {("sender", "ann@sender.example"), ("administrator", "boss@example.com")}
    text = call("test", "--root", root, "--settings", strict, "--rcpt", "b@example.com", path).stdout
    assert "forwarded" in text and 'forward: "*hot*" so HOT' in text and "boss@example.com" in text
    assert "\x1b" not in text


def test_what_is_deleted_and_what_the_scan_says(root: Path, strict: Path, tmp_path: Path) -> None:
    """PROC-02, FILE-01, AV-04: by name if names are listed, else because of the virus."""
    path = mail(tmp_path, with_attachment(EICAR))
    ended = call("test", "--root", root, "--json", path)
    assert ended.returncode == 1
    (verdict,) = verdicts(ended)
    assert verdict["disposition"] == "deliver" and verdict["scan"] == "infected"
    assert verdict["deleted"] == [["2", "infected: EICAR-Test-File"]]
    (by_name,) = verdicts(call("test", "--root", root, "--settings", strict, "--json", path))
    assert rule(by_name, "file-name")["matches"][0]["action"] == "delete"
    assert by_name["deleted"][0][0] == "2"


def test_what_is_refused_during_smtp(root: Path, strict: Path, tmp_path: Path) -> None:
    """SIZE-03, CHAR-03, RELAY-11, BLK-02: refused, so neither scanned nor told about."""
    path = mail(tmp_path, PLAIN % b"x" + b"a" * (1 << 20))
    (large,) = verdicts(call("test", "--root", root, "--settings", strict, "--json", path, "--rcpt", "b@example.com"))
    assert large["disposition"] == "refuse" and rule(large, "size")["state"] == "matched" and large["told"] == []
    path = mail(tmp_path, PLAIN % b"so hot")
    options: list[str | Path] = [
        "test",
        "--root",
        root,
        "--settings",
        strict,
        "--json",
        path,
        "--as-from",
        "198.51.100.7",
    ]
    (away,) = verdicts(call(*options, "--rcpt", "x@far.example"))
    assert away["disposition"] == "refuse" and rule(away, "relay")["state"] == "matched"
    (odd,) = verdicts(call(*options, "--rcpt", "b@example.com", "--mail-from", "a%b@sender.example"))
    assert odd["disposition"] == "refuse" and rule(odd, "characters")["matches"][0]["action"] == "refuse"
    (unnamed,) = verdicts(call("test", "--root", root, "--json", path))
    assert rule(unnamed, "relay")["state"] == "unknown" and "address of the client" in rule(unnamed, "relay")["note"]


def test_dns_is_asked_only_with_a_client(root: Path, tmp_path: Path) -> None:
    """DNSBL-03, DNSBL-08: a list on a real DNS server names the client."""
    listed_hosts = "127.0.0.2 :127.0.0.2:test\n198.51.100.7 :127.0.0.4:a bad host\n"
    with block_lists(tmp_path, {"bl.example": {"ip4set": listed_hosts}}) as server:
        settings = tmp_path / "dns.toml"
        settings.write_text(
            f'[dns]\nservers = ["{server.address}"]\n'
            '[blocking.block_lists]\naction = "hold"\nlists = [{ domain = "bl.example", enabled = true }]\n'
        )
        path = mail(tmp_path, PLAIN % b"x")
        (silent,) = verdicts(call("test", "--root", root, "--settings", settings, "--json", path))
        assert rule(silent, "block-list")["state"] == "unknown" and silent["disposition"] == "deliver"
        (listed,) = verdicts(
            call("test", "--root", root, "--settings", settings, "--json", "--as-from", "198.51.100.7", path)
        )
        settings.write_text(settings.read_text() + '[relay]\nhosts = ["198.51.100.0/24"]\n')
        (ours,) = verdicts(
            call("test", "--root", root, "--settings", settings, "--json", "--as-from", "198.51.100.7", path)
        )
        assert ours["disposition"] == "deliver" and "relay.hosts" in rule(ours, "block-list")["note"]
        assert listed["disposition"] == "hold" and "127.0.0.4" in rule(listed, "block-list")["matches"][0]["value"]


def test_folders_and_what_cannot_be_read(root: Path, strict: Path, tmp_path: Path) -> None:
    """One broken file names itself, and the others are still tried; 2 is more than 1 is more than 0."""
    folder = tmp_path / "mails"
    folder.mkdir()
    mail(folder, b"", "empty.eml")
    mail(folder, (PLAIN % b"x").replace(b"\r\n", b"\n"), "lf.eml")
    mail(folder, PLAIN % b"\x1b[31mred \xff", "odd.eml")
    mail(folder, b"no header at all\x00\r\n", "noise.eml")
    ended = call("test", "--root", root, "--settings", strict, folder)
    assert ended.returncode == 2 and "empty.eml: is empty" in ended.stderr
    assert all(f"{name}.eml: " in ended.stdout for name in ("lf", "noise", "odd"))
    assert "\x1b" not in ended.stdout and "3 messages" in ended.stdout
    assert call("test", "--root", root, folder / "lf.eml").returncode == 0
    assert call("test", "--root", root, "--as-from", "nobody", folder).returncode == 2
    assert call("test", "--root", root, "--rcpt", "nobody", folder).returncode == 2
    assert call("test", "--root", root, "--settings", folder / "lf.eml", folder).returncode == 2


def test_rehearsal_on_the_mail_of_a_gateway(gateway: Gateway, mailbox: Mailbox, strict: Path) -> None:
    """PROC-15, PROC-25: what was accepted is looked at again under other settings, before they are saved."""
    gateway.start()
    for subject in (b"quiet", b"so hot", b"so hot again"):
        gateway.send(PLAIN % subject, ["b@example.com"], "ann@sender.example")
    gateway.wait_event("scanned", 3)
    nothing = call("rehearse", "--root", gateway.root)
    assert nothing.returncode == 0 and "3 messages" in nothing.stdout and ": 0 would be" in nothing.stdout
    ended = call("rehearse", "--root", gateway.root, "--settings", strict, "--json")
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["messages"], told["changed"]) == (3, 2)
    assert [one["subject"] for one in told["changes"]] == ["so hot again", "so hot"]
    assert told["changes"][0]["after"] == "forwarded (sec@example.com)"
    assert told["changes"][0]["why"].startswith('subject "*hot*"')
    text = call("rehearse", "--root", gateway.root, "--settings", strict, "--last", "1").stdout
    assert text.startswith("1 message from ") and "so hot again" in text and "refused during SMTP is not known" in text


def test_what_is_held_is_not_said_to_be_delivered(root: Path, tmp_path: Path) -> None:
    """FILE-01, PROC-19: a deletion and a stronger action; told is what is taken out, once."""
    settings = tmp_path / "hold.toml"
    settings.write_text(
        'blocking.subject = { enabled = true, lines = ["*hot*"], action = "hold" }\n'
        "blocking.files = { enabled = true }\nblocking.encrypted = { end_to_end = true }\n"
    )
    path = mail(tmp_path, with_attachment(b"program", "a.exe").replace(b"Subject: ", b"Subject: hot "))
    (verdict,) = verdicts(call("test", "--root", root, "--settings", settings, "--json", path))
    assert (verdict["disposition"], verdict["deleted"]) == ("hold", [["2", "file name: a.exe"]])
    text = call("test", "--root", root, "--settings", settings, path).stdout
    assert f"{path}: stripped and held: " in text and "deliver" not in text
    path = mail(
        tmp_path,
        PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Type: multipart/encrypted; boundary=B\r\n\r\n", 1)
        % b"x"
        + b"--B\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--B\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQEM\r\n"
        b"-----END PGP MESSAGE-----\r\n--B--\r\n",
    )
    (verdict,) = verdicts(call("test", "--root", root, "--settings", settings, "--json", path))
    assert (verdict["disposition"], verdict["deleted"]) == ("deliver", [["", "encrypted"]])
