"""What a scanner that was taken over may send: any octets, in any cut, are answers or ProtocolError.

The first octet chooses the cut, the second the size of the message that is answered.
"""

from engine.scan.outcome import Taken
from engine.scanner import protocol
from engine.scanner.protocol import (
    ExamineAnswer,
    ExtractAnswer,
    Extracted,
    FrameReader,
    Intake,
    Octets,
    ProtocolError,
)


class _Sink:
    def __init__(self) -> None:
        self.files: list[Taken] = []
        self.octets = 0

    def begin(self, file: Taken) -> None:
        self.files.append(file)

    def write(self, octets: bytes) -> None:
        self.octets += len(octets)


def _take(answers: list[protocol.AnyAnswer], room: int) -> None:
    """What is extracted never passes the room that was given, nor the sizes that were announced."""
    sink = _Sink()
    intake = Intake(("1", "2"), room, sink)
    for answer in answers:
        try:
            if isinstance(answer, Extracted):
                intake.file(answer.file)
            elif isinstance(answer, Octets):
                intake.octets(answer.octets)
            elif isinstance(answer, ExtractAnswer):
                intake.end(answer)
        except ProtocolError:
            break
    assert sink.octets <= min(room, sum(file.size for file in sink.files))
    assert all({"1", "2"}.issuperset(file.parts) for file in sink.files)


def _read(stream: bytes, step: int, size: int) -> tuple[list[protocol.AnyAnswer], bool]:
    """(answers, whether the stream was refused)."""
    reader = FrameReader()
    answers = []
    for at in range(0, len(stream), step):
        reader.fill(stream[at : at + step])
        try:
            while (payload := reader.next_payload(protocol.answer_limit(size))) is not None:
                answer = protocol.decode_answer(payload)
                if isinstance(answer, ExamineAnswer):
                    protocol.check_splices(answer.outcome.splices, size)
                answers.append(answer)
        except ProtocolError:
            return answers, True
    return answers, False


def one_input(data: bytes) -> None:
    step, size = (data[0] + 1, data[1]) if len(data) > 1 else (1, 0)
    stream = data[2:]
    cut = _read(stream, step, size)
    assert cut == _read(stream, max(len(stream), 1), size)
    _take(cut[0], size)
    for answer in cut[0]:
        if isinstance(answer, ExamineAnswer):
            edges = [edge for splice in answer.outcome.splices for edge in (splice.start, splice.end)]
            assert edges == sorted(edges)
            assert all(0 <= edge <= size for edge in edges)
        frame = protocol.encode(answer)
        assert protocol.decode_answer(bytes(frame[protocol.HEADER_LEN :])) == answer
