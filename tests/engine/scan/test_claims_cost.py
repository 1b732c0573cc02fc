"""What hostile messages can make `collect` do: octets hashed and memory held are counted, not time (WL-05, PROC-23)."""

import hashlib
import tracemalloc
from collections.abc import Callable

import pytest

from engine import limits
from engine.scan.claims import Claims, collect
from tests.engine.sender.signing import MESSAGE, hand_signed
from tests.engine.sender.test_arc import hand_sealed

KIB = 1024
BODY = b"words  and more \t words \r\n"


class Counting:
    """SHA-256 that counts what all of them were given."""

    octets = 0
    true = hashlib.sha256

    def __init__(self, octets: bytes = b"") -> None:
        self._hash = Counting.true(octets)

    def update(self, octets: bytes) -> None:
        Counting.octets += len(octets)
        self._hash.update(octets)

    def copy(self) -> "Counting":
        other = Counting()
        other._hash = self._hash.copy()
        return other

    def digest(self) -> bytes:
        return self._hash.digest()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], tuple[Claims, int]]:
    """Gives (claims, octets hashed for them)."""

    def measured(message: bytes) -> tuple[Claims, int]:
        Counting.octets = 0
        with monkeypatch.context() as patch:
            patch.setattr(hashlib, "sha256", Counting)
            return collect(message), Counting.octets

    return measured


def signatures(count: int, fields: int = 0, **tags: str) -> bytes:
    """count different signatures, each of From and of `fields` fields named X."""
    names = ":".join(["from", *["x"] * fields])
    return b"".join(hand_signed(MESSAGE, {"h": names, "s": f"s{n}", **tags})[: -len(MESSAGE)] for n in range(count))


def test_a_thousand_signatures_cost_no_more_than_the_first_ones(
    hashed: Callable[[bytes], tuple[Claims, int]],
) -> None:
    """Five of them in both forms with different l= read the body twice; five times the header section is the rest."""
    fields = b"".join(b"X: value %d\r\n" % n for n in range(3000))
    few = [signatures(1, 99, c=form, l=str(n)) for n, form in enumerate(["relaxed/relaxed", "simple/simple"] * 2)]
    head = b"".join(few) + signatures(10, 99) * 100
    body = BODY * 40_000
    claims, octets = hashed(head + fields + b"From: a@example.com\r\n\r\n" + body)
    assert (len(claims.signatures), claims.left_out) == (limits.DKIM_SIGNATURES, 999)
    assert octets <= 2 * len(body) + limits.DKIM_SIGNATURES * (len(head) + len(fields))
    assert octets > len(body)


@pytest.mark.parametrize("count", [25, limits.ARC_SETS])
def test_chains_are_hashed_in_one_pass(hashed: Callable[[bytes], tuple[Claims, int]], count: int) -> None:
    """Each seal signs all before it; doubled, the sets cost double."""
    message = hand_sealed(count)
    claims, octets = hashed(message)
    assert claims.arc is not None
    assert (len(claims.arc.seals), claims.arc.problem) == (count, "")
    assert octets <= 3 * len(message)


def test_double_the_body_is_double_the_work(hashed: Callable[[bytes], tuple[Claims, int]]) -> None:
    head = hand_signed(b"From: a@example.com\r\n\r\n", {"c": "relaxed/relaxed"}).removesuffix(b"\r\n")
    costs = [hashed(head + b"\r\n" + BODY * count)[1] for count in (10_000, 20_000)]
    assert costs[0] > 10_000 * 20
    assert costs[1] <= 2 * costs[0]


def test_a_large_body_is_not_held_twice() -> None:
    """The relaxed form is made piece by piece."""
    message = hand_signed(b"From: a@example.com\r\n\r\n", {"c": "relaxed/relaxed"}) + BODY * 400_000
    collect(message[: 64 * KIB])
    tracemalloc.start()
    try:
        assert collect(message).signatures[0].result == "fail"
        assert tracemalloc.get_traced_memory()[1] < 2 * limits.MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", [b"\r\n", b" ", b" \r\n", b"\r", b"x", b" x"])
def test_odd_bodies_are_read_once(hashed: Callable[[bytes], tuple[Claims, int]], unit: bytes) -> None:
    body = unit * (limits.MIB // len(unit))
    head = signatures(1, c="relaxed/relaxed") + signatures(1) + b"From: a@example.com\r\n\r\n"
    claims, octets = hashed(head + body)
    assert [one.result for one in claims.signatures] == ["fail"] * 2
    assert octets <= 2 * len(body) + 2 * len(head)


def test_authentication_results_are_told_up_to_the_limit_of_fields() -> None:
    field = b"Authentication-Results: x; none\r\n"
    found = collect(field * (limits.HEADER_FIELDS + 1) + b"\r\n")
    assert len(found.results_fields) == limits.HEADER_FIELDS
