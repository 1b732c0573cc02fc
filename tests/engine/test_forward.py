"""The letter that carries a forwarded message (PROC-18)."""

from email import message_from_bytes, policy

from hypothesis import given
from hypothesis import strategies as st

from engine import forward, limits
from engine.queue.record import Received, Recipient

TEXT = st.text(max_size=500)


def letter(is_copy: bool = False, **changes: str) -> forward.Letter:
    return forward.Letter(
        **{
            "to": "postmaster@example.org", "subject": "Look", "reason": 'subject "*hot*": hot stuff',
            "hostname": "gateway.example", "from_name": "Mailward", "from_address": "mailward-noreply@gateway.example",
            "boundary": "mailward-0123456789abcdef", **changes,
        },
        now_ns=1_900_000_000_000_000_000,
        is_copy=is_copy,
    )  # fmt: skip


def received(reverse_path: str = "sender@example.net", smtputf8: bool = False, recipients: int = 1) -> Received:
    to = tuple(Recipient(f"user{number}@example.com") for number in range(recipients))
    return Received("0ABC", 0, "c", "192.0.2.9", 1, "h", "ESMTP", "", reverse_path, to, smtputf8=smtputf8)


def made(octets: bytes, one: forward.Letter | None = None, about: Received | None = None) -> bytes:
    one = one or letter()
    survey = forward.Survey()
    for at in range(0, len(octets), 7):
        survey.feed(memoryview(octets)[at : at + 7])
    return forward.head(about or received(), one, survey) + octets + forward.tail(one)


@given(st.binary(max_size=2000).map(lambda octets: octets.replace(b"\r", b"").replace(b"\n", b"\r\n")))
def test_the_message_is_carried_octet_by_octet(octets: bytes) -> None:
    """PROC-18: between the header of its part and the CRLF of the delimiter there is the message and nothing else."""
    whole = made(octets)
    delimiter = b"\r\n--" + letter().boundary.encode()
    _, _, carried, end = whole.split(delimiter)
    assert end == b"--\r\n"
    assert carried.partition(b"\r\n\r\n")[2] == octets
    head = whole.partition(b"\r\n\r\n")[0]
    assert (b"8bit" in head) is not octets.isascii()


@given(TEXT, TEXT, TEXT, TEXT)
def test_no_text_makes_fields_or_lines(subject: str, reason: str, name: str, reverse_path: str) -> None:
    """NTF-17, BLK-04: whatever settings and senders say, the header has our fields once, in lines of RFC 5322."""
    about = received(reverse_path, recipients=50)
    whole = made(b"Subject: s\r\n\r\nx\r\n", letter(subject=subject, reason=reason, from_name=name), about)
    head = whole.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert b"\n" not in head.replace(b"\r\n", b"") and b"\r" not in head.replace(b"\r\n", b"")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert names == [
        b"Date", b"From", b"To", b"Subject", b"Message-ID", b"Auto-Submitted", b"MIME-Version",
        b"Content-Transfer-Encoding", b"Content-Type",
    ]  # fmt: skip
    assert max(map(len, whole.split(b"\r\n"))) <= 998
    parsed = message_from_bytes(whole, policy=policy.SMTP)
    assert parsed["From"].addresses[0].addr_spec == "mailward-noreply@gateway.example"
    note, _ = parsed.iter_parts()
    assert "0ABC" in note.get_content()


def test_what_the_note_says() -> None:
    """PROC-18: criterion, SMTP ID, who wrote to whom, and that nothing was scanned."""
    parsed = message_from_bytes(made(b"Subject: s\r\n\r\nx\r\n", None, received(recipients=30)), policy=policy.SMTP)
    note, carried = parsed.iter_parts()
    text = " ".join(note.get_content().split())
    for words in (
        'subject "*hot*": hot stuff', "0ABC", "<sender@example.net>", "<user0@example.com>", "and 10 more",
        "192.0.2.9", "was not scanned",
    ):  # fmt: skip
        assert words in text
    assert carried.get_content_type() == "message/rfc822"
    assert parsed["Auto-Submitted"] == "auto-generated", "RFC 3834"


def test_types_of_mail_in_utf_8() -> None:
    """RFC 6532 s3.7: only where it came as such; raw octets in a header of old stay message/rfc822."""
    wide = "Subject: Gr\u00fc\u00dfe\r\n\r\nx\r\n".encode()
    assert b"Content-Type: message/global\r\n" in made(wide, None, received(smtputf8=True))
    assert b"Content-Type: message/rfc822\r\n" in made(wide)
    assert b"Content-Type: message/rfc822\r\n" in made(b"Subject: s\r\n\r\n\xff\r\n", None, received(smtputf8=True))


def test_the_header_is_looked_at_to_its_bound() -> None:
    survey = forward.Survey()
    survey.feed(b"x" * limits.HEADER_LEN)
    assert survey.header_is_ascii
    survey.feed(b"\xff")
    assert survey.header_is_ascii and not survey.is_ascii
    survey = forward.Survey()
    survey.feed(b"x" * (limits.HEADER_LEN - 1) + b"\xff")
    assert not survey.header_is_ascii
