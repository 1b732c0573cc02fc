"""Files for the quarantine: out of a real scanner, over its channel, into the relay's hands."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.limits import FINDINGS
from engine.scan.outcome import Taken
from engine.scanner import protocol
from engine.scanner.pool import ScannerCrashed
from engine.scanner.protocol import ExtractAnswer, Intake, ProtocolError
from tests.engine.scanner.harness import UPPER_S, Bench, Extent, Runner


class Kept:
    def __init__(self) -> None:
        self.files: list[tuple[Taken, bytearray]] = []

    def begin(self, file: Taken) -> None:
        self.files.append((file, bytearray()))

    def write(self, octets: bytes) -> None:
        self.files[-1][1].extend(octets)


async def extracted(bench: Bench, content: bytes, *parts: str, room: int = 1 << 24) -> tuple[Intake, Kept]:
    kept = Kept()
    intake = Intake(parts, room, kept)
    extent = Extent(bench.file(content), 0, len(content))
    await asyncio.wait_for(bench.pool.extract("ID", [extent], intake), UPPER_S)
    return intake, kept


def test_a_file_comes_out_as_it_is(with_pool: Runner) -> None:
    """QRN-12: of several frames; between messages that are examined."""
    body = b"virus " + bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") * 5000

    async def work(bench: Bench) -> None:
        message = b"Subject: x\r\n\r\n" + body
        (intake, kept), outcome = await asyncio.gather(extracted(bench, message, "1"), bench.examine(b"echo meanwhile"))
        assert [(one.parts, one.size, bytes(octets)) for one, octets in kept.files] == [(("1",), len(body), body)]
        assert (intake.too_large, intake.failed, outcome.reason) == (0, "", "meanwhile")
        intake, kept = await extracted(bench, message, "1", room=len(body) - 1)
        assert (kept.files, intake.too_large) == ([], 1)

    with_pool(work)


def test_a_scanner_that_dies_on_it_costs_nothing_else(with_pool: Runner) -> None:
    """QRN-12, PROC-12: the relay hears of it and goes on; the next message is served."""

    async def work(bench: Bench) -> None:
        with pytest.raises(ScannerCrashed, match="SIGABRT"):
            await extracted(bench, b"Subject: x\r\n\r\ndie", "1")
        assert (await bench.examine(b"echo on")).reason == "on"

    with_pool(work)


FILE = Taken(("1",), "name", "data", 3)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda intake: intake.file(Taken(("2",), "name", "data", 3)),
        lambda intake: intake.file(Taken(("1",), "name", "data", 11)),
        lambda intake: intake.file(Taken(("1",), "name", "data", -1)),
        lambda intake: intake.file(Taken(("1",), "n" * (protocol.PART_LEN + 1), "data", 3)),
        lambda intake: intake.octets(b"x"),
        lambda intake: (intake.file(FILE), intake.octets(b"1234")),
        lambda intake: (intake.file(FILE), intake.octets(b"12"), intake.file(FILE)),
        lambda intake: (intake.file(FILE), intake.octets(b"12"), intake.end(ExtractAnswer(1))),
        lambda intake: [intake.file(Taken(("1",), "", "", 0)) for _ in range(FINDINGS + 3)],
    ],
)
def test_what_a_scanner_may_not_say(wrong: "object") -> None:
    """QRN-05: a scanner in the wrong hands fills nothing: what it says is counted by the relay."""
    intake = Intake(("1",), 10, Kept())
    with pytest.raises(ProtocolError):
        wrong(intake)  # type: ignore[operator]


def test_a_file_that_broke_off_is_told() -> None:
    """QRN-12: a scan that failed says so, and what of it did not come wholly is not taken for a file."""
    intake = Intake(("1",), 10, Kept())
    intake.file(FILE)
    intake.octets(b"12")
    intake.end(ExtractAnswer(1, failed="MemoryError"))
    assert (intake.files, intake.failed) == (1, "MemoryError")


files = st.builds(Taken, st.tuples(st.text()), st.text(), st.text(), st.integers(0, 2**40))
answers = st.one_of(
    st.builds(protocol.Extracted, st.integers(0, 2**31), files),
    st.builds(protocol.Octets, st.integers(0, 2**31), st.binary()),
    st.builds(ExtractAnswer, st.integers(0, 2**31), st.integers(0, 2**31), st.text()),
)  # fmt: skip


@given(answers)
def test_answers_are_read_back(answer: protocol.AnyAnswer) -> None:
    """QRN-12: frame and back."""
    assert protocol.decode_answer(bytes(protocol.encode(answer)[protocol.HEADER_LEN :])) == answer
