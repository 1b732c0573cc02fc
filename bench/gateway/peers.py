"""The gateways that can stand under the load, each in a work folder of its own; nothing outside it is written."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from bench.ports import free_port
from engine import config
from engine.config import Settings

START_S = 60.0


class Peer(Protocol):
    name: str
    scans: bool
    discards: bool  # what is infected, after it was accepted

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def pids(self) -> list[int]:
        """Every process of it that runs now."""
        ...


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as sock:
                sock.settimeout(5)
                if sock.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


def descendants(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue  # ended meanwhile
            parents.setdefault(int(text[text.rindex(")") + 2 :].split()[1]), []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo += parents.get(pid, [])
    return found


class Mailward:
    """This gateway, scanning with the starter definitions (or a compiled file), as `mailward serve`."""

    name = "mailward"
    scans = True
    discards = False

    def __init__(
        self,
        work: Path,
        port: int,
        sink: int,
        definitions: Path | None = None,
        scan: bool = True,
        change: Callable[[Settings], Settings] = lambda settings: settings,
    ) -> None:
        """change: to be made to the settings before the first start."""
        self._change = change
        self.root = work / "mailward"
        self.port = port
        self._sink = sink
        self._definitions = definitions
        self.scans = scan
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if not (self.root / config.FILE_NAME).exists():
            self._init()
        with (self.root.parent / "mailward.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command(), "serve", "--root", str(self.root)],
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # as a service, and as Postfix: sessions share the processors evenly
            )
        atexit.register(self.process.terminate)  # Ctrl-C does not reach that session; of no effect on one that ended
        assert self.process.stdout is not None
        if not self.process.stdout.readline().startswith(b"ready"):
            raise SystemExit(f"mailward did not start: see {self.root.parent / 'mailward.log'}")

    def command(self) -> list[str]:
        return [sys.executable, "-m", "control.cli"]

    def _init(self) -> None:
        arguments = [f"--smtp=127.0.0.1:{self.port}", f"--http=127.0.0.1:{free_port()}"]
        arguments += [f"--https=127.0.0.1:{free_port()}", f"--route=bench.example=127.0.0.1:{self._sink}"]
        subprocess.run(
            [sys.executable, "-m", "control.cli", "init", "--root", str(self.root), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        path = self.root / config.FILE_NAME
        settings = config.load(path)
        settings = msgspec.structs.replace(
            settings,
            smtp=msgspec.structs.replace(
                settings.smtp, max_incoming=500, max_outgoing=100, hostname="gw.bench.example"
            ),
            delivery=msgspec.structs.replace(settings.delivery, retry_first_s=1, retry_last_s=2),
            antivirus=msgspec.structs.replace(settings.antivirus, enabled=self.scans),
        )
        config.save(self._change(settings), path)
        if self._definitions is not None:
            shutil.copy(self._definitions, self.root / settings.antivirus.definitions)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=60)

    def kill(self) -> None:
        """The supervisor alone, at once; its children have to notice by themselves."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()

    def pids(self) -> list[int]:
        return descendants(self.process.pid) if self.process is not None else []


MASTER_CF = """\
127.0.0.1:{port} inet n - n - 200 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
"""
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {work}/queue
data_directory = {work}/data
daemon_directory = {daemons}
command_directory = /usr/sbin
mail_owner = postfix
maillog_file = {work}/mail.log
maillog_file_prefixes = {work}
myhostname = gw.bench.example
mydestination =
local_recipient_maps =
relay_domains = bench.example
relayhost = [127.0.0.1]:{sink}
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
smtp_dns_support_level = disabled
smtp_host_lookup = native
message_size_limit = 104857600
mailbox_size_limit = 0
smtpd_client_connection_count_limit = 0
{extra}
"""
TUNING = """\
in_flow_delay = 0
default_destination_concurrency_limit = 50
initial_destination_concurrency = 20
smtp_connection_cache_on_demand = yes
"""


class Postfix:
    """Postfix alone: durable queue, no scanning. Needs root, for its own users and folder rights."""

    scans = False
    discards = False

    def __init__(self, work: Path, port: int, sink: int, tuned: bool = False) -> None:
        self.name = "postfix-tuned" if tuned else "postfix"
        self._work = work / self.name
        self.port = port
        self._sink = sink
        self._extra = TUNING if tuned else ""
        self._services = ""

    @property
    def _etc(self) -> str:
        return str(self._work / "etc")

    def start(self) -> None:
        if shutil.which("postfix", path="/usr/sbin:/usr/bin") is None or os.geteuid() != 0:
            raise SystemExit("the Postfix part needs the package postfix and root; leave it out with --peers mailward")
        for name in ("etc", "queue", "data"):
            (self._work / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self._work / "data", "postfix")
        values = {"port": self.port, "sink": self._sink, "work": self._work, "extra": self._extra}
        daemons = "/usr/lib/postfix/sbin"
        (self._work / "etc" / "main.cf").write_text(MAIN_CF.format(daemons=daemons, **values))
        (self._work / "etc" / "master.cf").write_text(MASTER_CF.format(**values) + self._services)
        done = subprocess.run(["/usr/sbin/postfix", "-c", self._etc, "start"], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"postfix did not start: {done.stderr}")
        wait_for(self.port)

    def stop(self) -> None:
        subprocess.run(["/usr/sbin/postfix", "-c", self._etc, "stop"], capture_output=True, check=False)

    def pids(self) -> list[int]:
        try:
            return descendants(int((self._work / "queue" / "pid" / "master.pid").read_text()))
        except (OSError, ValueError):
            return []
