"""SMTP-15, SMTP-16, SMTP-18: the octets after DATA and BDAT."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cext.smtp_data import BARE_CR, BARE_LF, NUL, ChunkChecker, DataDecoder, dot_stuff, dot_stuff_scalar
from tests.oracles import smtp_data as oracle
from tests.oracles.smtp_data import Outcome

BIG = 1 << 31
PIECES = [b"\r\n", b"\r", b"\n", b".", b"\0", b"a", b"Received: x", b"rEcEiVed:", b"\r\n.\r\n", b"\r\n\r\n", b"b" * 61]
streams = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
cuts = st.lists(st.integers(0, 70), min_size=1, max_size=8)


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at, turn = [], 0, 0
    while at < len(stream):
        step = sizes[turn % len(sizes)] or (0 if turn % 2 else 1)
        chunks.append(stream[at : at + step])
        at, turn = at + step, turn + 1
    return chunks


def feed_all(decoder: DataDecoder, chunks: list[bytes]) -> Outcome:
    output, used = b"", 0
    for chunk in chunks:
        output += decoder.feed(chunk)
        used += decoder.consumed
        if decoder.done:
            break
        assert decoder.consumed == len(chunk)
    return Outcome(
        output, used, decoder.done, decoder.error, decoder.in_header, decoder.too_big, decoder.size, decoder.hops
    )


def check(checker: ChunkChecker, chunks: list[bytes]) -> Outcome:
    for chunk in chunks:
        checker.feed(chunk)
    checker.finish()
    return Outcome(b"", 0, False, checker.error, checker.in_header, checker.too_big, checker.size, checker.hops)


@settings(max_examples=600, deadline=None)
@given(streams, cuts, st.integers(0, 200) | st.just(BIG), st.booleans())
@example(b"a\r\r\n.\r\r\n.\r\n", [1], BIG, False)
@example(b"a\r\n.\rb\r\n.\n\r\n.\r\n", [3], BIG, False)
@example(b".\r\nRSET\r\n", [1], BIG, False)
def test_any_chunking_equals_oracle(stream: bytes, sizes: list[int], limit: int, scalar: bool) -> None:
    assert feed_all(DataDecoder(limit, scalar=scalar), cut(stream, sizes)) == oracle.data(stream, limit)


@settings(max_examples=250, deadline=None)
@given(streams, cuts, st.integers(0, 200) | st.just(BIG), st.booleans())
def test_bdat_equals_oracle(stream: bytes, sizes: list[int], limit: int, scalar: bool) -> None:
    want = oracle.chunks(stream, limit)
    got = check(ChunkChecker(limit, scalar=scalar), cut(stream, sizes))
    assert (got.error, got.in_header, got.too_big, got.size, got.hops) == (
        want.error,
        want.in_header,
        want.too_big,
        want.size,
        want.hops,
    )


SMUGGLED = b"MAIL FROM:<x@y>\r\n"
FALSE_ENDS = {
    b"\n.\n": BARE_LF,
    b"\n.\r\n": BARE_LF,
    b"\r.\r": BARE_CR,
    b"\r.\r\n": BARE_CR,
    b"\r\n.\n": BARE_LF,
    b"\r\n.\r": BARE_CR,
    b"\r\n.\r\r\n": BARE_CR,
    b"\r\n\0.\r\n": NUL,
    b"\r\n.\0\r\n": NUL,
    b"\r\0\n.\r\n": BARE_CR,
    b"\n\r.\r\n": BARE_LF,
    b"\r\n.\r\0\n": BARE_CR,
}


@pytest.mark.parametrize("false_end", FALSE_ENDS, ids=repr)
@pytest.mark.parametrize("scalar", [False, True])
def test_false_end_of_data_hides_no_command(false_end: bytes, scalar: bool) -> None:
    """What other servers may take for the end of data is an error here, and what follows it stays in the message."""
    stream = b"Subject: a\r\n\r\nbody" + false_end + SMUGGLED + b"\r\n.\r\nQUIT\r\n"
    for at in range(len(stream)):
        seen = feed_all(DataDecoder(BIG, scalar=scalar), [stream[:at], stream[at:]])
        assert (seen.done, seen.error, seen.in_header) == (True, FALSE_ENDS[false_end], False)
        assert stream[seen.used :] == b"QUIT\r\n"
        assert SMUGGLED not in seen.output


def test_cr_cr_lf_before_the_dot_is_an_error_and_the_end() -> None:
    stream = b"a\r\r\n.\r\nQUIT\r\n"
    seen = feed_all(DataDecoder(BIG), [stream])
    assert (seen.done, seen.error, seen.output, stream[seen.used :]) == (True, BARE_CR, b"a", b"QUIT\r\n")


def test_error_in_the_header_section() -> None:
    assert feed_all(DataDecoder(BIG), [b"Subject: a\nX: y\r\n\r\n.\r\n"]).in_header
    assert feed_all(DataDecoder(BIG), [b"Subject: a\r\n\rx\r\n.\r\n"]).in_header
    assert not feed_all(DataDecoder(BIG), [b"\r\na\n\r\n.\r\n"]).in_header


def test_received_fields_are_counted_in_the_header_section_only() -> None:
    field = b"Received: from a by b\r\n\twith SMTP\r\n"
    stream = field + b"RECEIVED:\r\nX-Received: n\r\n received: n\r\nReceived : n\r\n.Received: y\r\n\r\n" + field
    for at in range(len(stream)):
        assert feed_all(DataDecoder(BIG), [stream[:at], stream[at:]]).hops == 3


def test_nothing_is_consumed_behind_the_end() -> None:
    decoder = DataDecoder(BIG)
    assert decoder.feed(b"a\r\n.\r\nNOOP\r\n") == b"a\r\n"
    assert decoder.consumed == 6
    assert (decoder.feed(b"NOOP\r\n"), decoder.consumed, decoder.done) == (b"", 0, True)


def test_ordinary_body_is_not_copied() -> None:
    decoder = DataDecoder(BIG)
    decoder.feed(b"A: b\r\n\r\n")
    body = b"text\r\n" * 100
    assert decoder.feed(body) is body
    assert decoder.feed(bytearray(body)) == body


@pytest.mark.parametrize("limit", [0, 1, 5, 99, 100])
def test_the_limit_cuts_output_and_the_end_is_still_found(limit: int) -> None:
    message = b"x" * 98 + b"\r\n"
    seen = feed_all(DataDecoder(limit), [message, b".\r\nQUIT\r\n"])
    assert (seen.output, seen.too_big, seen.done, seen.used, seen.size) == (
        message[:limit],
        limit < 100,
        True,
        103,
        100,
    )


def test_every_error_at_every_place_in_a_vector_block() -> None:
    """Each lane of the vector kernel, and the borders between its blocks."""
    for length in (1, 63, 64, 65, 127, 128, 129, 200):
        for at in range(length):
            for octet, code in ((b"\r", BARE_CR), (b"\n", BARE_LF), (b"\0", NUL)):
                body = b"x" * at + octet + b"x" * (length - at)
                seen = feed_all(DataDecoder(BIG), [b"\r\n" + body + b"\r\n.\r\n."])
                assert (seen.error, seen.output, seen.done) == (code, b"\r\n" + body[:at], True)


def test_large_chunk_without_the_interpreter() -> None:
    message = b"A: b\r\n\r\n" + b"0123456789\r\n..dot\r\n" * 40_000
    seen = feed_all(DataDecoder(BIG), [message + b".\r\n"])
    assert (seen.output, seen.done, seen.error) == (message.replace(b"..", b"."), True, 0)


@settings(max_examples=250, deadline=None)
@given(streams, st.booleans())
def test_dot_stuffing_equals_oracle_and_is_undone(text: bytes, at_line_start: bool) -> None:
    stuffed = dot_stuff(text, at_line_start)
    assert stuffed == dot_stuff_scalar(text, at_line_start) == oracle.dot_stuff(text, at_line_start)
    if at_line_start:
        for false_end in (b"\r\n.\r\n", b"\n.\r\n", b"\n.\n"):
            assert false_end not in stuffed


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=80).map(lambda t: t.translate(None, b"\r\n\0")), max_size=8))
def test_round_trip_of_sound_messages(lines: list[bytes]) -> None:
    message = b"".join(line + b"\r\n" for line in lines)
    seen = feed_all(DataDecoder(BIG), [dot_stuff(message, True) + b".\r\n"])
    assert (seen.output, seen.done, seen.error) == (message, True, 0)


@pytest.mark.parametrize("wrong", ["text", None, 7])
def test_only_buffers_are_taken(wrong: object) -> None:
    with pytest.raises(TypeError):
        DataDecoder(1).feed(wrong)  # type: ignore[arg-type]


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        DataDecoder(-1)
    checker = ChunkChecker(1)
    checker.finish()
    with pytest.raises(RuntimeError):
        checker.feed(b"")
