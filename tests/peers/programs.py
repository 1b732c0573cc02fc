"""Other mail servers beside a gateway: each takes mail on a port of its own, hands what is for its domain to the
mailbox, and everything else to the gateway. They are started in the room of tests/peers/room."""

import os
import signal
import smtplib
import socket
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Final

from bench.ports import free_port
from tests.system.harness import PATIENCE_S, until

REFUSED: Final = "refused"  # the local part that each of them refuses
LATER: Final = "later"  # the one that each refuses for now, until it is told to be open
MAX_LEN: Final = 50_000_000
AUTHORITIES: Final = Path("/etc/ssl/certs/ca-certificates.crt")  # in the room: who is trusted by everybody there
_EXIM_USER: Final = 9901


def certificate(folder: Path) -> Path:
    """Key and certificate of everybody here, who all are at one address; it vouches for itself."""
    path, alone = folder / "peer.pem", folder / "peer.crt"
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
        command += ["-subj", "/CN=peer.example", "-addext", "subjectAltName=DNS:localhost,DNS:127.0.0.1,IP:127.0.0.1"]
        subprocess.run([*command, "-keyout", str(path), "-out", str(alone)], check=True, capture_output=True)
        path.write_bytes(path.read_bytes() + alone.read_bytes())
        AUTHORITIES.write_bytes(alone.read_bytes())
    return path


class Program:
    """One of them. tls: a TlsPolicy: what it wants of the gateway; unless it is none, it offers STARTTLS itself."""

    name: str
    domain: str

    def __init__(self, folder: Path, gateway: int, mailbox: int, tls: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._command = self.configure(gateway, mailbox)

    def configure(self, gateway: int, mailbox: int) -> list[str]:
        """Write its files; returns how it is started."""
        raise NotImplementedError

    def open(self, is_open: bool) -> None:
        """Whether it takes mail for LATER from now on."""
        raise NotImplementedError

    def again(self) -> None:
        """Try what waits."""
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

    @cached_property
    def serves_tls(self) -> bool:
        """Whether a handshake with it succeeds."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE_S) as smtp:
            smtp.ehlo()
            try:
                return smtp.has_extn("starttls") and smtp.starttls()[0] == 220
            except OSError:
                return False

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self.log()
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0


class Exim(Program):
    name, domain = "exim", "exim.example"

    def configure(self, gateway: int, mailbox: int) -> list[str]:
        spool = self.folder / "exim"
        spool.mkdir()
        os.chown(spool, _EXIM_USER, _EXIM_USER)
        pem = self.folder / "exim.pem"
        pem.write_bytes(certificate(self.folder).read_bytes())
        os.chown(pem, _EXIM_USER, _EXIM_USER)
        path = self.folder / "exim.conf"
        wants = {
            "none": "hosts_avoid_tls = *",
            "opportunistic": "tls_verify_certificates =",
            "required": "hosts_require_tls = *\n  tls_verify_certificates =",
            "verified": f"hosts_require_tls = *\n  tls_verify_hosts = *\n  tls_verify_certificates = {AUTHORITIES}",
        }[self.tls]
        path.write_text(f"""
primary_hostname = mx.{self.domain}
exim_path = {_packed("exim4")}
spool_directory = {spool}
log_file_path = {spool}/%slog
log_selector = +subject +pipelining
local_interfaces = <; 127.0.0.1.{self.port}
daemon_smtp_ports = {self.port}
tls_advertise_hosts = {"" if self.tls == "none" else "*"}
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
  defer local_parts = {LATER}
       domains = {self.domain}
       condition = ${{if exists{{{self._open}}}{{no}}{{yes}}}}
       message = come again
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
  {wants}
  tls_tempfail_tryclear = false
begin retry
* * F,1h,1s
""")
        return [_packed("exim4"), "-C", str(path), "-bdf", "-q2s"]

    @property
    def _open(self) -> Path:
        return self.folder / "exim-open"

    def open(self, is_open: bool) -> None:
        if is_open:
            self._open.touch()
        else:
            self._open.unlink(missing_ok=True)

    def again(self) -> None:
        """It looks every two seconds."""

    def log(self) -> str:
        files = [self.folder / "exim.log", *sorted((self.folder / "exim").glob("*log"))]  # msglog is a folder
        return "".join(file.read_text(errors="replace") for file in files if file.is_file())

    def lines(self, subject: str) -> list[str]:
        """What it says of a message when it comes and when it leaves."""
        lines = self.log().splitlines()
        ids = [line.split()[2] for line in lines if f'T="{subject}"' in line and " <= " in line]
        return [line for line in lines if any(f" {one} " in line for one in ids)]


class OpenSmtpd(Program):
    name, domain = "opensmtpd", "opensmtpd.example"

    def configure(self, gateway: int, mailbox: int) -> list[str]:
        pem = self.folder / "opensmtpd.pem"
        pem.write_bytes(certificate(self.folder).read_bytes())
        pem.chmod(0o600)
        self._later.write_text(f"{LATER}@{self.domain}\n")
        path = self.folder / "opensmtpd.conf"
        wants = {
            "none": f"smtp+notls://127.0.0.1:{gateway}",
            "opportunistic": f"smtp://127.0.0.1:{gateway}",
            "required": f"smtp+tls://127.0.0.1:{gateway} tls no-verify",
            "verified": f"smtp+tls://127.0.0.1:{gateway} tls",
        }[self.tls]
        offers = "" if self.tls == "none" else "tls pki peer"
        path.write_text(f"""
pki peer cert "{pem}"
pki peer key "{pem}"
table later file:{self._later}
smtp max-message-size "{MAX_LEN}"
smtp limit max-rcpt 2000
filter later phase rcpt-to match rcpt-to <later> reject "451 4.2.0 come again"
listen on 127.0.0.1 port {self.port} hostname mx.{self.domain} {offers} filter later
action "ours" relay host smtp+notls://127.0.0.1:{mailbox}
action "others" relay host {wants}
match from any for rcpt-to "{REFUSED}@{self.domain}" reject
match from any for domain "{self.domain}" action "ours"
match from any for any action "others"
""")
        path.chmod(0o600)
        return [_packed("smtpd"), "-d", "-f", str(path)]

    @property
    def _later(self) -> Path:
        return self.folder / "opensmtpd-later"

    def open(self, is_open: bool) -> None:
        self._later.write_text("" if is_open else f"{LATER}@{self.domain}\n")
        self._control("update", "table", "later")

    def again(self) -> None:
        self._control("schedule", "all")

    def _control(self, *arguments: str) -> None:
        subprocess.run(["/usr/libexec/smtpctl", *arguments], check=True, capture_output=True)


def _packed(program: str) -> str:
    return os.path.join(os.environ["MAILWARD_PEERS"], "usr/sbin", program)
