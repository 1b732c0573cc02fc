"""Header fields and parts of hostile messages, read in a sandbox (PROC-12, PROC-22)."""

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.queues import outline as outlines
from control.queues.outline import (
    FIELD_SHOWN_LEN,
    FIELDS_SHOWN,
    PARTS_SHOWN,
    Outline,
    header_fields,
    outline,
    outline_of,
)
from control.sandbox import AT_ONCE, Busy
from engine.queue.errors import QueueError
from tests.control import hostile

PIECES = st.sampled_from(
    [
        *(b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b"\xff", b"\0", b"--b", b"Subject"),
        b"=?utf-8?q?=E2=80=AE?=",
        b"=?utf-7?q?+2AA-?=",
        b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Disposition: attachment; ",
        b"filename*=utf-7''+2AA-",
    ]
)


@given(st.lists(PIECES, max_size=30).map(b"".join))
@example(b"Subject: =?utf-7?q?+2AA-?=\r\n\r\n")
@example(b"Content-Disposition: attachment; filename*=utf-7''+2AA-\r\n\r\nx")
def test_whatever_comes_can_be_told(data: bytes) -> None:
    """It never raises, and what it says can be sent: UTF-7 gives halves of characters."""
    assert msgspec.json.decode(msgspec.json.encode(outline_of(data)), type=Outline).problem == ""


@given(st.lists(st.tuples(st.from_regex(rb"[A-Za-z-]{1,9}", fullmatch=True), st.binary(max_size=9)), max_size=9))
def test_fields_come_one_by_one_and_unfolded(pairs: list[tuple[bytes, bytes]]) -> None:
    clean = [(name, bytes(octet for octet in body if 32 < octet < 127 and octet != 61)) for name, body in pairs]
    section = b"".join(name + b": " + body[:3] + b"\r\n " + body[3:] + b"\r\n" for name, body in clean)
    found = header_fields(section + b"\r\nBody: is none\r\n")
    assert [(one.name, one.text.replace(" ", "")) for one in found] == [
        (name.decode(), body.decode()) for name, body in clean
    ]


def test_bounds() -> None:
    """One more than is shown is counted, and a field is cut."""
    fields = b"".join(b"F%d: x\r\n" % number for number in range(FIELDS_SHOWN + 1))
    found = outline_of(fields + b"Long: " + b"x" * (FIELD_SHOWN_LEN + 1) + b"\r\n\r\n")
    assert (len(found.fields), found.fields_left_out) == (FIELDS_SHOWN, 2)
    (long,) = header_fields(b"Long: " + b"x" * (FIELD_SHOWN_LEN + 1))
    assert long.text == "x" * FIELD_SHOWN_LEN + "…"
    assert header_fields(b"Long: " + b"x" * FIELD_SHOWN_LEN)[0].text == "x" * FIELD_SHOWN_LEN
    part = b"--b\r\n\r\nx\r\n"
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    found = outline_of(message + part * PARTS_SHOWN + b"--b--\r\n")
    assert (len(found.parts), found.parts_left_out) == (PARTS_SHOWN, 1)


def test_in_the_sandbox() -> None:
    """The process that reads gives what the function gives."""
    data = hostile.message()
    found = outline([data[:100], data[100:]])
    assert found == outline_of(data)
    assert any(hostile.WORDS in field.text for field in found.fields)
    assert any("window.hostile" in name for part in found.parts for name in part.names)


def test_a_reader_that_takes_too_long_is_a_problem_to_show() -> None:
    assert "take too long" in outline([hostile.message()], patience_s=0.0001).problem


def test_what_fails_while_the_octets_are_read_is_told() -> None:
    def octets() -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise QueueError("it was moved")

    with pytest.raises(QueueError):
        outline(octets())


def test_so_many_at_once() -> None:
    for _ in range(AT_ONCE):
        assert outlines._READER._turns.acquire(blocking=False)
    try:
        with pytest.raises(Busy):
            outline([b"\r\n"], patience_s=0.01)
    finally:
        outlines._READER._turns.release(AT_ONCE)
    assert outline([b"Subject: x\r\n\r\n"]).problem == ""
