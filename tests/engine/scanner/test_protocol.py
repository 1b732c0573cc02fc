"""Frames: round trip, any cut, bounds, and splices that are believed (SCAN-09)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config import Action, Blocking, ContainerLimits, Settings
from engine.limits import FINDINGS, SCANNER_DEADLINE_S
from engine.policy.violation import Criterion, Violation
from engine.queue.record import Disposition, Splice
from engine.scan.facts import Cause, Facts, Finding, Match, Unscanned
from engine.scan.outcome import Fate, InfectedFile, Outcome
from engine.scanner import protocol
from engine.scanner.protocol import (
    Configure,
    DefinitionsAnswer,
    Examine,
    ExamineAnswer,
    FileKey,
    Forget,
    FrameReader,
    Hello,
    ProtocolError,
    Sandbox,
    UseDefinitions,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SPLICES = st.lists(st.builds(Splice, st.integers(0, 2**31), st.integers(0, 2**31), st.binary(max_size=20)), max_size=5)
OUTCOMES = st.builds(
    Outcome,
    facts=st.builds(
        Facts,
        subject=TEXT,
        matches=st.lists(st.builds(Match, TEXT, TEXT), max_size=3),
        unscanned=st.lists(st.builds(Unscanned, TEXT, st.sampled_from(list(Cause)), TEXT), max_size=3),
        findings=st.lists(st.builds(Finding, TEXT, TEXT, st.booleans()), max_size=3),
        definitions=TEXT,
    ),
    disposition=st.sampled_from(list(Disposition)),
    reason=TEXT,
    splices=SPLICES,
    infected=st.lists(
        st.builds(InfectedFile, TEXT, TEXT, st.integers(0, 2**40), st.tuples(TEXT), st.sampled_from(list(Fate))),
        max_size=3,
    ),
)
ANSWERS = st.one_of(
    st.builds(ExamineAnswer, st.integers(0, 2**40), OUTCOMES),
    st.builds(DefinitionsAnswer, st.integers(0, 2**40), TEXT, st.integers(0, 2**40), TEXT),
    st.builds(Hello, st.builds(Sandbox, st.booleans(), st.integers(0, 20))),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ANSWERS, max_size=4), st.integers(1, 40))
def test_answers_come_through_in_any_cut(answers: list[protocol.AnyAnswer], step: int) -> None:
    stream = b"".join(protocol.encode(answer) for answer in answers)
    reader = FrameReader()
    seen = []
    for at in range(0, len(stream), step):
        reader.fill(stream[at : at + step])
        while (payload := reader.next_payload(len(stream))) is not None:
            seen.append(protocol.decode_answer(payload))
    assert seen == answers


@pytest.mark.parametrize(
    "request_",
    [
        Configure(Settings(blocking=Blocking(containers=ContainerLimits(depth=4)))),
        UseDefinitions(7, FileKey(1, 2, 1 << 33, 3)),
        Examine(1, ((0, 5, 10), (1, 0, 1 << 31)), (0, 1)),
        Forget((1, 2)),
    ],
)
def test_requests_come_through(request_: protocol.AnyRequest) -> None:
    frame = protocol.encode(request_)
    assert protocol.decode_request(bytes(frame[protocol.HEADER_LEN :])) == request_


@pytest.mark.parametrize("length", [101, 1 << 31, (1 << 32) - 1])
def test_a_frame_is_refused_as_soon_as_its_length_is_known(length: int) -> None:
    reader = FrameReader()
    reader.fill(struct.pack("<I", length))
    with pytest.raises(ProtocolError):
        reader.next_payload(100)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_octets_are_an_answer_or_refused(payload: bytes) -> None:
    for decode in (protocol.decode_answer, protocol.decode_request):
        try:
            decode(payload)
        except ProtocolError as error:
            assert str(error)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ProtocolError):
        protocol.decode_answer(b"\x91" * 200_000)


@settings(max_examples=200, deadline=None)
@given(SPLICES, st.integers(0, 2**31))
def test_splices_that_pass_can_be_applied_in_one_pass(splices: list[Splice], size: int) -> None:
    edges = [edge for splice in splices for edge in (splice.start, splice.end)]
    fits = edges == sorted(edges) and (not edges or edges[-1] <= size)
    try:
        protocol.check_splices(splices, size)
    except ProtocolError:
        assert not fits
    else:
        assert fits


def test_the_number_of_splices_is_bounded() -> None:
    with pytest.raises(ProtocolError):
        protocol.check_splices([Splice(0, 0, b"")] * (protocol.SPLICES + 1), 10)


@pytest.mark.parametrize("more", [0, 1])
def test_the_number_of_violations_is_bounded(more: int) -> None:
    """Each is an event of the journal, so limits.FINDINGS of them are believed and not one more."""
    violation = Violation(Criterion.FILE_NAME, Action.DELETE, "*.exe", "a.exe", ("2",))
    outcome = Outcome(Facts(), violations=[violation] * (FINDINGS + more))
    payload = bytes(protocol.encode(ExamineAnswer(1, outcome)))[protocol.HEADER_LEN :]
    if more:
        with pytest.raises(ProtocolError):
            protocol.decode_answer(payload)
    else:
        assert protocol.decode_answer(payload) == ExamineAnswer(1, outcome)


@pytest.mark.parametrize("time_s", [1, 60, 3600])
def test_the_deadline_leaves_a_scan_the_time_to_end_itself(time_s: int) -> None:
    deadline_s = protocol.deadline_s(Settings(blocking=Blocking(containers=ContainerLimits(time_s=time_s))))
    assert deadline_s >= SCANNER_DEADLINE_S
    assert deadline_s > 1.4 * time_s
