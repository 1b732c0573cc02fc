"""Mail of our own: whatever texts, names and addresses hold, it has its own header fields once each, and no others."""

from control.post.mail import Author, Letter, compose
from engine.command import OWN_MAIL_LEN
from engine.config.metatags import NAMES
from engine.policy.metatags import fill

FIELDS = [
    b"Date", b"From", b"To", b"Subject", b"Message-ID", b"Auto-Submitted",
    b"MIME-Version", b"Content-Type", b"Content-Transfer-Encoding",
]  # fmt: skip
SEEDS = [
    b"subject\0text {$MSGINFO}\0name\0a@example.com\0value",
    b'=?utf-8?q?x=0D=0ABcc:_victim?=\0\r\n.\r\n\0"N" <a@b>\0=?utf-8?q?a=0D=0Ab?=@example.com\0{$FILE}',
]


def one_input(data: bytes) -> None:
    pieces = [piece.decode("utf-8", "surrogateescape") for piece in data.split(b"\0", 4)]
    subject, text, name, address, value = pieces + [""] * (5 - len(pieces))
    values = dict.fromkeys(NAMES, value)
    letter = Letter("virus sender", (address, address), fill(subject, values), fill(text, values))
    octets = compose(letter, Author(name, "mailward-noreply@gw.example.com", "gw.example.com"), "word", 1.8e9)
    head, _, body = octets.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert [line.split(b":")[0] for line in lines if line[:1] not in (b" ", b"\t")] == FIELDS
    assert all(b"\r" not in line and b"\n" not in line for line in lines + body.split(b"\r\n"))
    assert len(octets) <= OWN_MAIL_LEN
