"""Mail through a gateway between other mail servers, each as client and as next hop, with and without TLS.

Run by `make peers`.

program A  ->  gateway  ->  program B  ->  mailbox
"""

import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.peers.programs import REFUSED, Exim, OpenSmtpd, Program
from tests.system.harness import Gateway, Mail, Mailbox, until

HOME = "home.example"  # whose mail the gateway hands to the mailbox itself
_numbers = count(1)


class Party:
    """A gateway with the mailbox behind it, and the programs around it."""

    def __init__(self, folder: Path, tls: bool) -> None:
        self.tls = tls
        self.mailbox = Mailbox(folder / "mailbox")
        self.gateway = Gateway(folder / "gateway", {HOME: self.mailbox.port}, relay_from="127.0.0.1")
        self.programs: dict[str, Program] = {
            kind.name: kind(folder, self.gateway.smtp, self.mailbox.port, tls) for kind in (Exim, OpenSmtpd)
        }
        local = [{"name": HOME, "host": "127.0.0.1", "port": self.mailbox.port}]
        local += [{"name": one.domain, "host": "127.0.0.1", "port": one.port} for one in self.programs.values()]
        self.gateway.configure(
            routing={"local": local},
            delivery={"tls": "required" if tls else "none", "retry_first_s": 1, "retry_last_s": 2},
        )
        if tls:
            local[0]["tls"] = "none"
            self.gateway.configure(routing={"local": local})

    def port_of(self, client: str) -> int:
        return self.programs[client].port if client in self.programs else self.gateway.smtp

    def domain_of(self, hop: str) -> str:
        return self.programs[hop].domain if hop in self.programs else HOME

    def log(self) -> str:
        return self.gateway.log() + "".join(program.log() for program in self.programs.values())


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "tls"])
def party(request: pytest.FixtureRequest) -> Iterator[Party]:
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        party = Party(folder, request.param)
        started: list[Mailbox | Gateway | Program] = []
        try:
            everybody: list[Mailbox | Gateway | Program] = [party.mailbox, party.gateway, *party.programs.values()]
            for one in everybody:
                started.append(one)
                one.start()
            yield party
        finally:
            for one in reversed(started):
                one.stop()


CLIENTS = ["exim", "opensmtpd", "gateway"]
HOPS = ["exim", "opensmtpd", "home"]
both = pytest.mark.parametrize(
    ("client", "hop"), [(a, b) for a in CLIENTS for b in HOPS if a != b and (a, b) != ("gateway", "home")]
)


def send(party: Party, client: str, recipients: list[str], body: bytes, options: list[str], utf8: bool = False) -> str:
    """Hand it to the client. Returns the subject."""
    subject = f"number {next(_numbers)}"
    head = f"From: <anna@{HOME}>\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '')}@{HOME}>\r\n"
    if any(octet > 127 for octet in body):
        head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    with smtplib.SMTP("127.0.0.1", party.port_of(client), timeout=20) as smtp:
        if utf8:
            smtp.command_encoding = "utf-8"
        refused = smtp.sendmail(f"anna@{HOME}", recipients, head.encode() + b"\r\n" + body, options)
        assert not refused
    return subject


def arrived(party: Party, subject: str, recipients: list[str]) -> list[Mail]:
    """All copies of it, as soon as all recipients have one, each exactly one."""

    def those() -> list[Mail]:
        line = f"Subject: {subject}\r\n".encode()
        found = [one for one in party.mailbox.mail() if one.reverse_path and line in one.content]
        have = sorted(path for one in found for path in one.forward_paths)
        assert len(have) <= len(recipients), "something came twice"
        return found if have == sorted(recipients) else []

    return until(those, f"{subject} for {len(recipients)} at the mailbox: {party.log()[-4000:]}")


def through(party: Party, client: str, hop: str, body: bytes, options: list[str], many: int = 1) -> None:
    recipients = [f"user{number}@{party.domain_of(hop)}" for number in range(many)]
    for mail in arrived(party, send(party, client, recipients, body, options), recipients):
        assert mail.content.partition(b"\r\n\r\n")[2] == body
        assert mail.reverse_path == f"anna@{HOME}"
        trace = mail.content.partition(b"\r\n\r\n")[0]
        assert trace.count(b"(Mailward) with ESMTP" + b"S" * (party.tls and client != "gateway")) == 1


@both
def test_lines_with_dots_and_of_998_octets(party: Party, client: str, hop: str) -> None:
    """EQ-30, SMTP-17: nothing is added, lost or doubled."""
    lines = [b".", b"..", b".a", b"", b"x" * 998, b"From here", b"--", b"end."]
    through(party, client, hop, b"\r\n".join(lines) + b"\r\n", [])


@both
def test_8_bit(party: Party, client: str, hop: str) -> None:
    through(party, client, hop, "Grüße aus Köln\r\n".encode() * 50, ["BODY=8BITMIME"])


@both
def test_a_big_message(party: Party, client: str, hop: str) -> None:
    through(party, client, hop, (b"0123456789abcdef" * 4 + b"\r\n") * 160_000, [])


@both
def test_many_recipients(party: Party, client: str, hop: str) -> None:
    """SMTP-18: more than one transaction of the gateway takes."""
    through(party, client, hop, b"for all of you\r\n", [], many=250)


@pytest.mark.parametrize(("client", "hop"), [(a, b) for a in CLIENTS for b in HOPS if b not in (a, "home")])
def test_some_recipients_are_refused(party: Party, client: str, hop: str) -> None:
    """PROC-02 and after: those that are taken have it once, the sender hears of the other."""
    domain = party.domain_of(hop)
    good = [f"good@{domain}", f"other@{domain}"]
    subject = send(party, client, [good[0], f"{REFUSED}@{domain}", good[1]], b"a line\r\n", [])
    arrived(party, subject, good)

    def bounces() -> list[Mail]:
        found = [one for one in party.mailbox.mail() if one.forward_paths == [f"anna@{HOME}"]]
        return [
            one for one in found if f"{REFUSED}@{domain}".encode() in one.content and subject.encode() in one.content
        ]

    (bounce,) = until(bounces, "a bounce")
    assert bounce.reverse_path == ""


@pytest.mark.parametrize("client", ["exim", "gateway"])
def test_addresses_beyond_ascii(party: Party, client: str) -> None:
    """SMTP-17: Exim offers SMTPUTF8, both ways."""
    recipients = ["grüße@exim.example"]
    subject = send(party, client, recipients, "Grüße\r\n".encode(), ["SMTPUTF8", "BODY=8BITMIME"], utf8=True)
    arrived(party, subject, recipients)


def test_addresses_beyond_ascii_where_the_next_hop_has_none(party: Party) -> None:
    """RFC 6531 s3.4: OpenSMTPD does not offer SMTPUTF8: the sender hears of it."""
    subject = send(party, "gateway", ["grüße@opensmtpd.example"], b"a line\r\n", ["SMTPUTF8"], utf8=True)

    def bounces() -> list[Mail]:
        return [one for one in party.mailbox.mail() if b"5.6.7" in one.content and subject.encode() in one.content]

    until(bounces, "a bounce")


@pytest.mark.parametrize("sessions", [20, 1000])
def test_smtp_source(party: Party, sessions: int) -> None:
    """SMTP-07: sessions beyond the maximum wait; what is acknowledged arrives, once."""
    if party.tls:
        return
    party.gateway.apply(smtp={"max_incoming": 15 + sessions % 7, "max_queued": 1000})
    party.mailbox.clear()
    command = ["smtp-source", "-s", str(sessions), "-m", "2000", "-l", "2000", "-N", "-d"]
    command += ["-f", f"a@{HOME}", "-t", f"user@{HOME}", f"127.0.0.1:{party.gateway.smtp}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(party.mailbox.wait(2000)) == 2000
