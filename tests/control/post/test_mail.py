"""Mail of our own is RFC 5322 whatever goes into it, and no value makes a header field (SMTP-09, NTF-17)."""

import email
import email.policy
from email.message import EmailMessage

from hypothesis import example, given, settings
from hypothesis import strategies as st

from control.post.mail import TEXT_LEN, Author, Letter, compose, recipients
from engine.command import OWN_MAIL_LEN, OWN_MAIL_RECIPIENTS

AUTHOR = Author("Mailward", "mailward-noreply@gw.example.com", "gw.example.com")
NOW = 1_800_000_000.0
FIELDS = {
    "date", "from", "to", "subject", "message-id", "auto-submitted",
    "mime-version", "content-type", "content-transfer-encoding",
}  # fmt: skip
HOSTILE = st.text(
    st.one_of(
        st.sampled_from('\r\n\x00\x0b\x0c\x1c\x85\u2028\u2029\u202e\ufeff\ud800 \t:;,<>@"\\()=?é日😀'), st.characters()
    )
)


def parsed(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def letter(subject: str = "Virus detected", text: str = "found\n", to: tuple[str, ...] = ("a@example.com",)) -> Letter:
    return Letter("virus administrator", to, subject, text, "1ABC")


def test_fields() -> None:
    """SMTP-09: name and address in From; NTF-15: marked as automatic, so that nobody answers (RFC 3834)."""
    octets = compose(letter(), AUTHOR, "word", NOW)
    message = parsed(octets)
    assert message["From"] == "Mailward <mailward-noreply@gw.example.com>"
    assert message["To"] == "a@example.com"
    assert message["Subject"] == "Virus detected"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<mailward.word@gw.example.com>"
    assert message["Date"].datetime.timestamp() == NOW
    assert octets.isascii() and message.get_content() == "found\r\n"


@settings(deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
@example("x\r\nBcc: victim@example.org", "y\r\n\r\nz", "N\r\nX-Evil: 1")
@example("=?utf-8?q?x=0D=0ABcc:_victim?=", ".\r\n..\r\n", '"quoted" <a@b>')
@example("x" * 5000, "z\n" * 20_000, "y" * 5000)
def test_no_value_makes_a_field_or_a_line(subject: str, text: str, name: str) -> None:
    """NTF-17: nothing but our own fields, once each; every line ends with CRLF and is of permitted length.

    The third example is what email.message makes a Bcc field of.
    """
    author = Author(name, AUTHOR.address, AUTHOR.host)
    octets = compose(letter(subject, text), author, "word", NOW)
    assert len(octets) <= OWN_MAIL_LEN
    message = parsed(octets)
    assert sorted(name.lower() for name in message) == sorted(FIELDS)
    assert [one.addr_spec for one in message["From"].addresses] == [AUTHOR.address]
    assert [one.addr_spec for one in message["To"].addresses] == ["a@example.com"]
    lines = octets.split(b"\r\n")
    assert all(b"\r" not in line and b"\n" not in line and b"\0" not in line and len(line) <= 998 for line in lines)
    assert not message.is_multipart() and message.get_content_type() == "text/plain"


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=200))
def test_what_is_harmless_arrives(subject: str) -> None:
    subject = "S" + " ".join(subject.split())
    text = f"{subject}\nsecond line\n"
    message = parsed(compose(letter(subject, text), AUTHOR, "word", NOW))
    assert message["Subject"] == subject
    assert message.get_content().replace("\r\n", "\n") == text


@given(st.emails())
def test_addresses(address: str) -> None:
    message = parsed(compose(letter(to=(address, "b@example.com")), AUTHOR, "word", NOW))
    assert [one.addr_spec for one in message["To"].addresses] == [address, "b@example.com"]


@given(HOSTILE)
def test_any_address_is_survived(address: str) -> None:
    """NTF-17: reverse-paths are strangers' words too."""
    octets = compose(letter(to=(address,)), AUTHOR, "word", NOW)
    head = octets.split(b"\r\n\r\n")[0]
    names = {line.split(b":")[0].lower().decode() for line in head.split(b"\r\n") if line[:1] not in b" \t"}
    assert names <= FIELDS


def test_an_address_beyond_ascii_goes_out_as_smtputf8() -> None:
    octets = compose(letter(to=("jörg@example.com",)), AUTHOR, "word", NOW)
    assert "jörg@example.com".encode() in octets


def test_bounds() -> None:
    """Each is crossed by one: characters of a text, recipients of one mail, octets of all."""
    whole = parsed(compose(letter(text="😀" * TEXT_LEN), AUTHOR, "word", NOW)).get_content()
    assert whole.count("😀") == TEXT_LEN
    cut = parsed(compose(letter(text="😀" * (TEXT_LEN + 1)), AUTHOR, "word", NOW)).get_content()
    assert cut.count("😀") == TEXT_LEN - 1 and "…" in cut
    many = letter(to=tuple(f"user{number}@example.com" for number in range(OWN_MAIL_RECIPIENTS + 1)))
    assert recipients(many) == many.to[:-1]
    assert len(compose(many, AUTHOR, "word", NOW)) < 5000
