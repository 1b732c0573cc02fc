"""Mail through a gateway between other mail servers, each as client and as next hop, without TLS and with it.

Run by `make peers`.

program A  ->  gateway  ->  program B  ->  mailbox

What they cannot: OpenSMTPD knows neither SMTPUTF8 nor CHUNKING nor PIPELINING. The one of Debian 12 (6.8.0p2) breaks
off every handshake as a TLS server, with any client, because of OpenSSL 3 (its issue 1171): then mail goes to it in the
clear where that is allowed, and waits where it is not.
"""

import shutil
import smtplib
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.peers.programs import AUTHORITIES, LATER, REFUSED, Exim, OpenSmtpd, Program, certificate
from tests.system.harness import PATIENCE_S, Gateway, Mail, Mailbox, until

HOME = "home.example"  # whose mail the gateway hands to the mailbox itself
NO_TLS = "broken.example"  # mail for it has to go to OpenSMTPD by TLS
SENDER = f"anna@{HOME}"
MODES = ["none", "opportunistic", "required", "verified"]
_numbers = count(1)


class Party:
    """A gateway with the mailbox behind it, and the programs around it. tls: what each wants of its next hop."""

    def __init__(self, folder: Path, tls: str) -> None:
        self.tls = tls
        self.mailbox = Mailbox(folder / "mailbox")
        self.gateway = Gateway(folder / "gateway", {HOME: self.mailbox.port}, relay_from="127.0.0.1")
        (self.gateway.root / "tls").mkdir(exist_ok=True)
        shutil.copy(certificate(folder), self.gateway.root / "tls" / "certificate.pem")
        self.exim = Exim(folder, self.gateway.smtp, self.mailbox.port, tls)
        self.opensmtpd = OpenSmtpd(folder, self.gateway.smtp, self.mailbox.port, tls)
        self.programs: dict[str, Program] = {one.name: one for one in (self.exim, self.opensmtpd)}
        self.gateway.configure(delivery={"tls": tls, "retry_first_s": 1, "retry_last_s": 2, "greylist_retry_s": 1})

    def start(self, started: list[Mailbox | Gateway | Program]) -> None:
        for one in (self.mailbox, self.exim, self.opensmtpd):
            started.append(one)
            one.start()
        plain = [{"name": HOME, "host": "127.0.0.1", "port": self.mailbox.port, "tls": "none"}]
        for program in self.programs.values():
            less = "default" if program.serves_tls or self.tls in MODES[:2] else "none"
            plain.append({"name": program.domain, "host": "127.0.0.1", "port": program.port, "tls": less})
        if self.tls in MODES[2:]:
            plain.append({"name": NO_TLS, "host": "127.0.0.1", "port": self.opensmtpd.port})
        self.gateway.configure(routing={"local": plain}, delivery={"tls_authorities": str(AUTHORITIES)})
        started.append(self.gateway)
        self.gateway.start()

    def port_of(self, client: str) -> int:
        return self.programs[client].port if client in self.programs else self.gateway.smtp

    def domain_of(self, hop: str) -> str:
        return self.programs[hop].domain if hop in self.programs else HOME

    def log(self) -> str:
        return self.gateway.log() + "".join(program.log()[-2000:] for program in self.programs.values())

    def bounces(self, *words: str) -> list[Mail]:
        """To the sender, in which all of the words are."""
        found = [one for one in self.mailbox.mail() if one.reverse_path == "" and one.forward_paths == [SENDER]]
        return [one for one in found if all(word.encode() in one.content for word in words)]


@pytest.fixture(scope="module")
def party(request: pytest.FixtureRequest) -> Iterator[Party]:
    with tempfile.TemporaryDirectory(prefix="peers-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        party = Party(folder, request.param)
        started: list[Mailbox | Gateway | Program] = []
        try:
            party.start(started)
            yield party
        finally:
            for one in reversed(started):
                one.stop()


@pytest.fixture(autouse=True)
def nothing_of_before(party: Party) -> Iterator[None]:
    """The mailbox is read again and again."""
    yield
    party.mailbox.clear()


def in_modes(*modes: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("party", modes, indirect=True, scope="module")


CLIENTS = ["exim", "opensmtpd", "gateway"]
HOPS = ["exim", "opensmtpd", "home"]
in_all = in_modes(*MODES)
in_two = in_modes("none", "verified")
both = pytest.mark.parametrize(
    ("client", "hop"), [(a, b) for a in CLIENTS for b in HOPS if a != b and (a, b) != ("gateway", "home")]
)
judging = pytest.mark.parametrize(("client", "hop"), [(a, b) for a in CLIENTS for b in HOPS if a != b and b != "home"])


def send(
    party: Party,
    client: str,
    recipients: list[str],
    body: bytes,
    options: tuple[str, ...] = (),
    rcpt_options: tuple[str, ...] = (),
) -> str:
    """Hand it to the client. Returns the subject."""
    subject = f"number {next(_numbers)} end"
    head = f"From: <{SENDER}>\r\nSubject: {subject}\r\nMessage-ID: <{subject.replace(' ', '')}@{HOME}>\r\n"
    if any(octet > 127 for octet in body):
        head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    with smtplib.SMTP("127.0.0.1", party.port_of(client), timeout=PATIENCE_S) as smtp:
        if "SMTPUTF8" in options:
            smtp.command_encoding = "utf-8"
        refused = smtp.sendmail(SENDER, recipients, head.encode() + b"\r\n" + body, options, rcpt_options)
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

    try:
        return until(those, f"{subject} for {len(recipients)} at the mailbox")
    except AssertionError as error:
        raise AssertionError(f"{error}: {party.log()}") from error


def through(party: Party, client: str, hop: str, body: bytes, options: tuple[str, ...] = (), many: int = 1) -> str:
    recipients = [f"user{number}@{party.domain_of(hop)}" for number in range(many)]
    subject = send(party, client, recipients, body, options)
    for mail in arrived(party, subject, recipients):
        head, _, rest = mail.content.partition(b"\r\n\r\n")
        assert rest == body
        assert mail.reverse_path == SENDER
        assert head.count(b"(Mailward) with ESMTP" + b"S" * (party.tls != "none" and client != "gateway")) == 1
    return subject


@in_all
@both
def test_lines(party: Party, client: str, hop: str) -> None:
    """EQ-30, SMTP-17: nothing is added, lost or doubled, by pipelining, BDAT and TLS where Exim has them."""
    lines = [b".", b"..", b".a", b"", b"x" * 998, b"From here", b"--", b"end."]
    subject = through(party, client, hop, b"\r\n".join(lines) + b"\r\n")
    if "exim" not in (client, hop):
        return
    direction = "=>" if client == "exim" else "<="
    (line,) = [one for one in party.exim.lines(subject) if f" {direction} " in one and "T=plain" not in one]
    assert " K" in line  # BDAT
    assert " L" in line  # pipelining
    assert (" X=TLS1.3" in line) == (party.tls != "none")
    if client == "exim":
        assert ("CV=yes" in line) == (party.tls == "verified")


@in_two
@both
def test_8_bit(party: Party, client: str, hop: str) -> None:
    """SMTP-17: eight bits stay eight bits."""
    through(party, client, hop, "Grüße aus Köln\r\n".encode() * 50, ("BODY=8BITMIME",))


@in_two
@both
def test_30_mb(party: Party, client: str, hop: str) -> None:
    """SMTP-17: a big message."""
    through(party, client, hop, (b"0123456789abcdef" * 4 + b"\r\n") * 455_000)


@in_two
@both
def test_500_to(party: Party, client: str, hop: str) -> None:
    """SMTP-18: many recipients."""
    through(party, client, hop, b"for all of you\r\n", many=500)


@in_two
@judging
def test_mixed(party: Party, client: str, hop: str) -> None:
    """PROC-02 and after: those that are taken have it once, the sender hears of the other, in one bounce."""
    domain = party.domain_of(hop)
    good = [f"good@{domain}", f"other@{domain}"]
    subject = send(party, client, [good[0], f"{REFUSED}@{domain}", good[1]], b"a line\r\n")
    arrived(party, subject, good)
    until(lambda: party.bounces(f"{REFUSED}@{domain}", subject), "a bounce")
    assert len(party.bounces(subject)) == 1


@in_two
@judging
def test_dsn(party: Party, client: str, hop: str) -> None:
    """RFC 3461: ENVID, ORCPT, RET and NOTIFY go through both: the last that knows them tells the sender."""
    domain = party.domain_of(hop)
    envelope = ("RET=HDRS", f"ENVID=env{next(_numbers)}")
    wishes = ("NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first@elsewhere.example")
    subject = send(party, client, [f"user@{domain}"], b"a line\r\n", envelope, wishes)
    arrived(party, subject, [f"user@{domain}"])
    told = until(lambda: party.bounces(f"user@{domain}", subject), f"a notice of success: {party.log()}")
    assert len(told) == 1
    assert b"Action: " in told[0].content
    never = ("NOTIFY=NEVER",)
    refused = send(party, client, [f"{REFUSED}@{domain}"], b"a line\r\n", envelope, never)
    failure = send(party, client, [f"{REFUSED}@{domain}"], b"the line\r\n", envelope, ("NOTIFY=FAILURE", wishes[1]))
    (bounce,) = until(lambda: party.bounces(failure), "a bounce")
    assert b"Original-Envelope-Id: " + envelope[1][6:].encode() in bounce.content
    assert b"Original-Recipient: rfc822;first@elsewhere.example" in bounce.content.replace(b"; ", b";")
    assert b"the line" not in bounce.content
    assert party.bounces(refused) == []


@in_two
@judging
def test_later(party: Party, client: str, hop: str) -> None:
    """PROC-06: a next hop that refuses for now gets it later, once."""
    program = party.programs[hop]
    to = f"{LATER}@{program.domain}"
    program.open(False)
    party.gateway.forget()
    subject = send(party, client, [to], b"a line\r\n")
    assert "come again" in party.gateway.wait_event("delivery-deferred")[0]["reason"]
    program.open(True)
    arrived(party, subject, [to])


@in_two
@pytest.mark.parametrize("client", ["exim", "opensmtpd"])
def test_gateway_away(party: Party, client: str) -> None:
    """PROC-03: mail waits at the client while there is no gateway."""
    party.gateway.stop()
    subject = send(party, client, [f"user@{HOME}"], b"a line\r\n")
    until(lambda: "refused" in party.programs[client].log().lower(), "the client meets nobody")
    party.gateway.start()

    def there() -> bool:
        party.programs[client].again()
        return any(subject.encode() in one.content for one in party.mailbox.mail())

    until(there, f"it came: {party.log()}")
    arrived(party, subject, [f"user@{HOME}"])


@in_two
@pytest.mark.parametrize("client", ["exim", "gateway"])
def test_smtputf8(party: Party, client: str) -> None:
    """SMTP-17: Exim offers SMTPUTF8, both ways."""
    recipients = ["grüße@exim.example" if client == "gateway" else f"grüße@{HOME}"]
    subject = send(party, client, recipients, "Grüße\r\n".encode(), ("SMTPUTF8", "BODY=8BITMIME"))
    arrived(party, subject, recipients)


@in_two
def test_smtputf8_where_there_is_none(party: Party) -> None:
    """RFC 6531 s3.4: OpenSMTPD does not offer SMTPUTF8: the sender hears of it."""
    subject = send(party, "gateway", ["grüße@opensmtpd.example"], b"a line\r\n", ("SMTPUTF8",))
    until(
        lambda: [one for one in party.mailbox.mail() if subject.encode() in one.content and b"5.6.7" in one.content], ""
    )


@in_modes(*MODES[2:])
def test_no_tls_no_mail(party: Party) -> None:
    """DLV-06: a next hop whose handshake breaks gets nothing in the clear."""
    if party.opensmtpd.serves_tls:
        return
    subject = send(party, "gateway", [f"user@{NO_TLS}"], b"a line\r\n")
    attempts = party.gateway.wait_event("delivery-deferred", 2, forward_path=f"user@{NO_TLS}")
    assert all(one["reason"].startswith("4.7.5 TLS with [127.0.0.1]") for one in attempts)
    assert subject not in party.opensmtpd.log()
    assert not [one for one in party.mailbox.mail() if subject.encode() in one.content]
