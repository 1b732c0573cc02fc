"""The wire between gateways and the server: what is written is read back, however it comes; nothing else passes."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.quarantine_server import protocol
from control.quarantine_server.protocol import Item, Malformed, OrderResult, UploadReader
from engine import limits

ID = "0" * 32
SHA256 = "a" * 64
texts = st.text(max_size=40)
items = st.builds(
    Item,
    id=st.just(ID),
    sha256=st.just(SHA256),
    size=st.just(0),
    name=texts,
    viruses=st.lists(texts, max_size=3).map(tuple),
    reasons=st.lists(texts, max_size=3).map(tuple),
    recipients=st.lists(texts, max_size=3).map(tuple),
    sender=texts,
    subject=texts,
)


@given(items, st.binary(max_size=60), st.integers(1, 70))
def test_what_is_written_is_read_back(item: Item, content: bytes, step: int) -> None:
    """QRN-03: in pieces of any length."""
    item = msgspec.structs.replace(item, size=len(content))
    octets = protocol.upload_head(item) + content
    reader = UploadReader()
    found = b"".join(reader.feed(octets[at : at + step]) for at in range(0, len(octets), step))
    assert (reader.finish(), found) == (protocol.fitting(item), content)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_other_octets_are_malformed_and_nothing_else(octets: bytes, step: int) -> None:
    reader = UploadReader()
    with pytest.raises(Malformed):
        for at in range(0, len(octets), step):
            reader.feed(octets[at : at + step])
        reader.finish()


def test_bounds_of_texts() -> None:
    """QRN-03: one more than fits is cut; the longest that there can be is taken."""
    longest = "\x01" * (protocol.TEXT_LEN + 1)
    item = Item(
        ID, SHA256, 0, longest, (longest,) * (protocol.VIRUSES + 1), (longest,) * (protocol.REASONS + 1),
        longest, longest, longest, longest, longest, (longest,) * (limits.RECIPIENTS + 1), longest, longest, longest,
    )  # fmt: skip
    head = protocol.upload_head(item)
    assert len(head) - 4 <= protocol.HEAD_LEN
    reader = UploadReader()
    reader.feed(head)
    found = reader.finish()
    assert len(found.name) == protocol.TEXT_LEN and len(found.sender) == protocol.ADDRESS_LEN
    assert (len(found.viruses), len(found.reasons)) == (protocol.VIRUSES, protocol.REASONS)
    assert len(found.recipients) == limits.RECIPIENTS


def test_a_description_that_is_too_long_is_refused_before_it_is_read() -> None:
    UploadReader().feed(protocol.HEAD_LEN.to_bytes(4, "big"))
    with pytest.raises(Malformed):
        UploadReader().feed((protocol.HEAD_LEN + 1).to_bytes(4, "big"))


@pytest.mark.parametrize("change", [{"id": "0" * 31}, {"id": "G" * 32}, {"sha256": "x" * 64}, {"size": -1}])
def test_wrong_names_and_sizes(change: dict[str, object]) -> None:
    plain = {"id": ID, "sha256": SHA256, "size": 1} | change
    with pytest.raises(Malformed):
        protocol.item_of(msgspec.json.encode(plain))


@given(st.binary(max_size=100))
def test_results_of_any_octets(octets: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(protocol.result_of(octets), OrderResult)


def test_characters_that_are_none_become_questions() -> None:
    """Names that a gateway could not decode."""
    assert protocol.item_of(protocol.upload_head(Item(ID, SHA256, 0, "a\udcff"))[4:]).name == "a?"
