"""Other mail servers beside a gateway: each takes mail on a port of its own, hands what is for its domain to the
mailbox, and everything else to the gateway. They are started in the room of tests/peers/room."""

import os
import signal
import socket
import subprocess
from pathlib import Path

from bench.ports import free_port
from tests.system.harness import PATIENCE_S, until

REFUSED = "refused"  # the local part that each of them refuses
MAX_LEN = 50_000_000


def certificate(folder: Path) -> Path:
    path = folder / "certificate.pem"
    if not path.exists():
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=peer.example",
        ]
        subprocess.run(
            [*command, "-keyout", str(path), "-out", str(folder / "only.pem")], check=True, capture_output=True
        )
        with path.open("ab") as file:
            file.write((folder / "only.pem").read_bytes())
    return path


class Program:
    """One of them. tls: whether it offers and uses STARTTLS."""

    name: str
    domain: str

    def __init__(self, folder: Path, gateway: int, mailbox: int, tls: bool) -> None:
        self.folder = folder
        self.port = free_port()
        self.tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._command = self.configure(gateway, mailbox)

    def configure(self, gateway: int, mailbox: int) -> list[str]:
        """Write its files; returns how it is started."""
        raise NotImplementedError

    def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        until(self._answers, f"{self.name} answers: {self.log()}")

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(PATIENCE_S)

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()

        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0


class Exim(Program):
    name, domain = "exim", "exim.example"

    def configure(self, gateway: int, mailbox: int) -> list[str]:
        spool = self.folder / "exim"
        spool.mkdir()
        os.chown(spool, 9901, 9901)
        pem = self.folder / "exim.pem"
        pem.write_bytes(certificate(self.folder).read_bytes())
        os.chown(pem, 9901, 9901)
        path = self.folder / "exim.conf"
        path.write_text(f"""
primary_hostname = mx.{self.domain}
exim_path = {_packed("exim4")}
spool_directory = {spool}
log_file_path = {spool}/%slog
local_interfaces = <; 127.0.0.1.{self.port}
daemon_smtp_ports = {self.port}
tls_advertise_hosts = {"*" if self.tls else ""}
tls_certificate = {pem}
tls_privatekey = {pem}
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
message_size_limit = {MAX_LEN}
recipients_max = 2000
smtp_accept_max = 50
acl_smtp_rcpt = rcpt
acl_smtp_data = data
queue_only = false
begin acl
rcpt:
  deny local_parts = {REFUSED}
       domains = {self.domain}
       message = nobody of that name here
  accept
data:
  accept
begin routers
ours:
  driver = manualroute
  domains = {self.domain}
  transport = plain
  route_list = * 127.0.0.1::{mailbox}
  self = send
others:
  driver = manualroute
  transport = gateway
  route_list = * 127.0.0.1::{gateway}
  self = send
begin transports
plain:
  driver = smtp
  hosts_avoid_tls = *
gateway:
  driver = smtp
  hosts_avoid_tls = {"" if self.tls else "*"}
  hosts_require_tls = {"*" if self.tls else ""}
  tls_tempfail_tryclear = false
begin retry
* * F,1h,1s
""")
        return [
            "/usr/sbin/exim4" if Path("/usr/sbin/exim4").exists() else _packed("exim4"),
            "-C",
            str(path),
            "-bdf",
            "-q2s",
        ]


class OpenSmtpd(Program):
    name, domain = "opensmtpd", "opensmtpd.example"

    def configure(self, gateway: int, mailbox: int) -> list[str]:
        pem = self.folder / "opensmtpd.pem"
        pem.write_bytes(certificate(self.folder).read_bytes())
        pem.chmod(0o600)
        path = self.folder / "opensmtpd.conf"
        scheme = "smtp+tls" if self.tls else "smtp+notls"
        path.write_text(
            f"""
pki peer cert "{pem}"
pki peer key "{pem}"
smtp max-message-size "{MAX_LEN}"
listen on 127.0.0.1 port {self.port} hostname mx.{self.domain} {"tls pki peer" if self.tls else ""}
action "ours" relay host smtp+notls://127.0.0.1:{mailbox}
action "others" relay host {scheme}://127.0.0.1:{gateway} tls no-verify
match from any for rcpt-to "{REFUSED}@{self.domain}" reject
match from any for domain "{self.domain}" action "ours"
match from any for any action "others"
""".replace("tls no-verify\n", "\n" if not self.tls else "tls no-verify\n")
        )
        path.chmod(0o600)
        return [_packed("smtpd"), "-d", "-f", str(path)]


def _packed(program: str) -> str:
    return os.path.join(os.environ["MAILWARD_PEERS"], "usr/sbin", program)
