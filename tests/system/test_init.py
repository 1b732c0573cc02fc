"""`mailward init`: refuses what cannot work, in words, and leaves nothing behind then (INST-02, INST-06, INST-07)."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from bench.ports import free_port
from engine import config
from engine.config import Listener
from engine.layout import SOCKET_PATH_LEN, Layout
from tests.system.harness import MAILWARD


def init(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    ports = [f"--{name}=127.0.0.1:{free_port()}" for name in ("smtp", "http", "https")]
    ports = [port for port in ports if not any(one.startswith(port.partition("=")[0]) for one in arguments)]
    return subprocess.run([*MAILWARD, "init", f"--root={root}", *ports, *arguments], capture_output=True, text=True)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n")
    root = tmp_path / "gateway"
    made = init(
        root, "--route=example.com=10.0.0.5:25", "--route=example.org=[::1]:26", "--default-route=10.0.0.6:27",
        "--relay-from=10.0.0.0/24", "--relay-from=mail.example.com", f"--admin-password-file={secret}",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "correct horse" not in made.stdout
    settings = config.load(root / "mailward.toml")
    assert [(one.name, one.host, one.port) for one in settings.routing.local] == [
        ("example.com", "10.0.0.5", 25), ("example.org", "::1", 26),
    ]  # fmt: skip
    assert (settings.routing.default_host, settings.routing.default_port) == ("10.0.0.6", 27)
    assert settings.relay.hosts == ("10.0.0.0/24", "mail.example.com")
    again = init(root)
    assert again.returncode == 1 and "exists already" in again.stderr


def test_password_is_shown_once_when_none_is_given(tmp_path: Path) -> None:
    made = init(tmp_path / "gateway")
    assert made.returncode == 0 and "password of admin, shown only now: " in made.stdout


@pytest.mark.parametrize("name", ["smtp", "http", "https"])
def test_port_in_use_is_refused_by_the_name_of_its_user(tmp_path: Path, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = Listener("127.0.0.1", taken.getsockname()[1])
        refused = init(tmp_path / "gateway", f"--{name}={listener}")
    assert refused.returncode == 1
    assert f"--{name} {listener} is in use by" in refused.stderr and f"(process {os.getpid()})" in refused.stderr
    assert not (tmp_path / "gateway").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--smtp=192.0.2.1:2525"], "name an address of this machine"),
        (["--smtp=2525"], "is not HOST:PORT"),
        (["--route=example.com"], "is not DOMAIN=HOST:PORT"),
        (["--route=a.example=10.0.0.5:25", "--route=A.EXAMPLE=10.0.0.5:25"], "there twice"),
        (["--relay-from=10.0.0.0/33"], "relay.hosts[0]"),
        (["--smtp=127.0.0.1:9999", "--route=a.example=127.0.0.1:9999"], "is this gateway itself"),
        (["--smtp=127.0.0.1:9998", "--http=127.0.0.1:9998"], "choose different ports"),
        (["--admin-password-file=/dev/null"], "is empty"),
    ],
)
def test_what_cannot_work(tmp_path: Path, arguments: list[str], words: str) -> None:
    refused = init(tmp_path / "gateway", *arguments)
    assert refused.returncode != 0 and words in refused.stderr, refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "gateway" / "mailward.toml").exists()
    assert init(tmp_path / "gateway").returncode == 0


def test_a_path_too_long_for_its_sockets(tmp_path: Path) -> None:
    """INST-02: the longest that fits is taken, one octet more is refused, and by `serve` too."""
    room = SOCKET_PATH_LEN - len(os.fsencode(Layout(tmp_path / "x").command_socket(99))) + 1
    fits, too_long = tmp_path / ("x" * room), tmp_path / ("x" * (room + 1))
    assert init(fits).returncode == 0
    refused = init(too_long)
    assert refused.returncode == 1 and "1 octet too long for the sockets" in refused.stderr
    assert not too_long.exists()
    fits.rename(too_long)
    refused = subprocess.run([*MAILWARD, "serve", f"--root={too_long}"], capture_output=True, text=True)
    assert refused.returncode == 1 and "choose a directory with a shorter one" in refused.stderr


def test_directory_of_something_else(tmp_path: Path) -> None:
    """The service will own the directory: it must not be /srv, or somebody's home."""
    (tmp_path / "thesis.txt").touch()
    refused = init(tmp_path)
    assert refused.returncode == 1 and "thesis.txt" in refused.stderr
    refused = init(tmp_path / "thesis.txt" / "gateway")
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
