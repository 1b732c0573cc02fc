"""Signed mail through a real gateway with its default policy: the signature holds behind it, and the gateway says so.

Signers and verifiers are not ours: OpenDKIM and dkimpy. The key is in a name server on loopback.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dns_server import Names, scripted
from tests.engine.sender.signing import NAME, dkimpy_says, hand_signed, pem, rsa_record, signed
from tests.engine.sender.test_arc import dkimpy_says as dkimpy_says_of_chain
from tests.engine.sender.test_arc import sealed
from tests.engine.sender.zone import txt
from tests.oracles import opendkim
from tests.system.harness import Gateway, Mailbox
from tests.system.test_way import with_attachment

# Everything that canonicalization knows, so that a change of any octet would be seen.
BODY = b"A line.  Some \t more \r\n.dot\r\n..\r\n\r\nlast line \r\n\r\n\r\n"
MESSAGE = (
    b"From: A Person <a@example.com>\r\nTo: user@example.com\r\nSubject: two  words\r\n\tand a fold\r\n\r\n" + BODY
)
_FIRST = re.compile(rb"(?:Received|Authentication-Results):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    record = rsa_record()
    strings = [record[at : at + 255] for at in range(0, len(record), 255)]
    both = {(NAME, "TXT"): [txt(*strings)], ("sel._domainkey.xn--bcher-kva.example", "TXT"): [txt(*strings)]}
    with scripted(both) as server:
        yield server


@pytest.fixture(scope="module")
def authenticating(names: Names, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Mailbox]]:
    folder = tmp_path_factory.mktemp("dkim")
    box = Mailbox(folder / "mailbox")
    box.start()
    gateway = Gateway(folder / "gateway", {"example.com": box.port})
    gateway.configure(
        dns={"servers": [names.address]},
        authentication={"enabled": True, "authserv_id": "gw.example", "trusted_sealers": ["example.com"]},
    )
    gateway.start()
    yield gateway, box
    gateway.stop()
    box.stop()


@pytest.fixture
def running(authenticating: tuple[Gateway, Mailbox]) -> tuple[Gateway, Mailbox]:
    gateway, box = authenticating
    gateway.forget()
    box.clear()
    return gateway, box


def behind(running: tuple[Gateway, Mailbox], message: bytes) -> tuple[bytes, bytes]:
    """(fields that the gateway put before, everything else) as it arrived."""
    gateway, box = running
    gateway.send(message)
    (mail,) = box.wait(1)
    at = 0
    while match := _FIRST.match(mail.content, at):
        at = match.end()
    return mail.content[:at], mail.content[at:]


@pytest.mark.parametrize("form", [(b"simple", b"simple"), (b"relaxed", b"relaxed")])
@pytest.mark.parametrize("signer", ["opendkim", "dkimpy"])
def test_signed_mail_holds_behind_the_gateway(
    running: tuple[Gateway, Mailbox], tmp_path: Path, signer: str, form: tuple[bytes, bytes]
) -> None:
    """WL-05: what policy leaves alone arrives byte for byte; verified by us on the way, by two others behind."""
    message = opendkim.signed(MESSAGE, pem(), *form) if signer == "opendkim" else signed(MESSAGE, canonicalize=form)
    assert message.startswith(b"DKIM-Signature:") and message.endswith(MESSAGE)
    trace, rest = behind(running, message)
    assert rest == message
    assert dkimpy_says(trace + rest, rsa_record())
    assert opendkim.verifies(trace + rest, NAME, rsa_record(), tmp_path)
    assert b"dkim=pass header.d=example.com header.s=sel" in re.sub(rb"\s+", b" ", trace)


def test_domains_beyond_ascii_are_read_in_the_sandbox(running: tuple[Gateway, Mailbox]) -> None:
    """RFC 8616: what their A-labels need was loaded before the sandbox closed."""
    message = hand_signed(MESSAGE, {"d": "b\u00fccher.example"})
    trace, rest = behind(running, message)
    assert rest == message
    assert b"dkim=pass header.d=xn--bcher-kva.example" in re.sub(rb"\s+", b" ", trace)


def test_a_changed_message_fails_and_the_gateway_says_so(running: tuple[Gateway, Mailbox]) -> None:
    """WL-05: and mail is not refused for that alone."""
    message = signed(MESSAGE).replace(b"last line", b"lost line")
    trace, rest = behind(running, message)
    assert rest == message
    assert b"dkim=fail" in trace


def test_attachments_that_policy_leaves_alone_do_not_break_a_signature(running: tuple[Gateway, Mailbox]) -> None:
    message = signed(with_attachment(b"harmless text\r\n" * 400, "notes.txt"))
    trace, rest = behind(running, message)
    assert rest == message
    assert dkimpy_says(trace + rest, rsa_record())


def test_an_arc_chain_holds_behind_the_gateway(running: tuple[Gateway, Mailbox]) -> None:
    message = sealed(sealed(MESSAGE))
    trace, rest = behind(running, message)
    assert rest == message
    assert dkimpy_says_of_chain(trace + rest) == "pass"
    assert b"arc=pass" in trace


def test_forged_results_in_our_name_do_not_reach_anybody(running: tuple[Gateway, Mailbox]) -> None:
    """RFC 8601 s5: those go, others stay, and a signature that does not sign them still holds."""
    forged = b"Authentication-Results: GW.example (x) 1; dmarc=pass\r\n"
    other = b"Authentication-Results: other.example; dkim=none\r\n"
    message = signed(MESSAGE)
    trace, rest = behind(running, b"X-First: 1\r\n" + forged + other + message)
    assert rest == b"X-First: 1\r\n" + other + message
    assert dkimpy_says(trace + rest, rsa_record())
    assert trace.lower().count(b"gw.example") == 1
