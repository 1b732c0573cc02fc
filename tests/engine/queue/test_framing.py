"""Records in files: round trip, old octets, torn tails, damage."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.queue import framing
from engine.queue.framing import Frame, Octets, Reader
from engine.queue.record import AnyRecord, Body, Done, End, Started

ID = "0123456789ABC"
GENERATION = 0x0000000700C0FFEE


def reader(data: bytes, window_len: int = framing.READ_LEN) -> Reader:
    return Reader(lambda length, offset: data[offset : offset + length], window_len)


def written(records: list[AnyRecord], generation: int = GENERATION) -> bytes:
    data = b""
    for sequence, record in enumerate(records):
        if isinstance(record, Body):
            data += framing.body_front(record.id, [record.data], len(record.data), generation, sequence) + record.data
        else:
            data += framing.frame(framing.encode(record), generation, sequence)
    return data


def read(data: bytes, generation: int = GENERATION, window_len: int = framing.READ_LEN) -> list[AnyRecord | None]:
    """The records, with None for a damaged stretch."""
    records: list[AnyRecord | None] = []
    for found in framing.walk(reader(data, window_len), generation):
        if found.payload is None:
            records.append(None)
            continue
        record = framing.decode(found)
        if isinstance(record, Octets):
            records.append(Body(record.id, data[record.offset : record.offset + record.length]))
        else:
            records.append(record)
    return records


RECORDS: st.SearchStrategy[list[AnyRecord]] = st.lists(
    st.one_of(
        st.builds(Body, st.just(ID), st.binary(max_size=60)),
        st.builds(End, st.just(ID), st.integers(0, 1 << 31), st.integers(0, (1 << 32) - 1)),
        st.sampled_from([Started(ID), Done(ID)]),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(RECORDS, st.binary(max_size=60), st.integers(21, 200))
def test_round_trip_whatever_follows(records: list[AnyRecord], after: bytes, window_len: int) -> None:
    assert read(written(records) + after, window_len=window_len) == records


def test_a_body_record_is_plain_msgpack_whose_octets_end_it() -> None:
    data = written([Body(ID, b"some octets")])
    assert msgspec.msgpack.decode(data[framing.HEADER_LEN :], type=AnyRecord) == Body(ID, b"some octets")
    assert data.endswith(b"some octets")
    assert len(data) - len(b"some octets") == framing.body_overhead(ID)


def test_octets_of_an_earlier_life_are_no_records() -> None:
    old = written([Started(ID)] * 6, GENERATION - (1 << 32))
    new = written([Done(ID)])
    assert read(new + old[len(new) :]) == [Done(ID)]
    assert read(old) == []


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_tail_ends_the_segment(cut: int) -> None:
    data = written([Started(ID), Body(ID, b"0123456789"), Done(ID)])
    torn = read(data[:-cut])
    assert torn == [Started(ID), Body(ID, b"0123456789"), Done(ID)][: len(torn)]
    assert len(torn) < 3
    assert read(data[:-cut] + bytes(cut + 100)) == torn


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 255), st.integers(22, 400))
def test_one_changed_octet_costs_one_record_and_is_seen(where: int, change: int, window_len: int) -> None:
    records: list[AnyRecord] = [Started(ID), Body(ID, b"0123456789"), End(ID, 10, 99), Done(ID)]
    data = bytearray(written(records))
    data[where % len(data)] ^= change
    found = read(bytes(data), window_len=window_len)
    bad = next(index for index, pair in enumerate(zip([*found, None], records, strict=False)) if pair[0] != pair[1])
    if bad == len(records) - 1:  # cannot be told from a torn tail
        assert found == records[:bad]
    else:
        assert found == [*records[:bad], None, *records[bad + 1 :]]


def test_a_missing_record_leaves_a_hole_in_the_sequence() -> None:
    data = written([Started(ID), Done(ID), End(ID, 1, 2)])
    one = len(written([Started(ID)]))
    two = len(written([Started(ID), Done(ID)]))
    assert read(data[:one] + data[two:]) == [Started(ID), None, End(ID, 1, 2)]
    assert read(data[:two] + data[:one]) == [Started(ID), Done(ID)]  # a repeated one is not read again


def test_skimming_reads_no_bodies_and_finds_the_same() -> None:
    data = written([Started(ID), Body(ID, b"x" * 3_000_000), Done(ID)])
    asked: list[int] = []

    def pread(length: int, offset: int) -> bytes:
        asked.append(length)
        return data[offset : offset + length]

    found = list(framing.walk(Reader(pread, 64), GENERATION, skim=True))
    assert [(frame.offset, frame.length) for frame in found] == [
        (frame.offset, frame.length) for frame in framing.walk(reader(data), GENERATION)
    ]
    body = framing.decode(found[1])
    assert isinstance(body, Octets) and data[body.offset : body.offset + body.length] == b"x" * 3_000_000
    assert sum(asked) < 2 * framing.READ_LEN  # the search behind the end asks for one window


def test_the_search_behind_damage_is_bounded() -> None:
    """A message file of NULs offers a candidate at every octet."""
    data = framing.frame(framing.encode(Started(ID)), 0, 0) + b"\xff" + bytes(100_000)
    found = list(framing.walk(reader(data), 0))
    assert [frame.payload is None for frame in found] == [False, True]
    assert found[1].offset + found[1].length == len(data)


def test_a_length_beyond_the_limit_is_no_record() -> None:
    too_long = framing.frame(b"\0" * (limits.RECORD_LEN + 1), GENERATION, 0)
    assert read(too_long) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc0",
        b"\x92\x63\xa1x",  # a tag of a later version
        b"\x93\x02\xa1x\xc4\x01y",  # Body in another form
        b"\x93\x02\xa1x\xc6\0\0\0\x09y",  # its octets do not end the payload
        b"\x93\x02\xff",
        b"\x93\x02",
    ],
)
def test_a_payload_that_is_no_record_is_refused(payload: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        framing.decode(Frame(0, framing.HEADER_LEN + len(payload), 0, memoryview(payload)))
