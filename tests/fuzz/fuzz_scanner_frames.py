"""What a scanner that was taken over may send: any octets, in any cut, are answers or ProtocolError.

The first octet chooses the cut, the second the size of the message that is answered.
"""

from engine.scanner import protocol
from engine.scanner.protocol import ExamineAnswer, FrameReader, ProtocolError


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
    for answer in cut[0]:
        if isinstance(answer, ExamineAnswer):
            edges = [edge for splice in answer.outcome.splices for edge in (splice.start, splice.end)]
            assert edges == sorted(edges)
            assert all(0 <= edge <= size for edge in edges)
        frame = protocol.encode(answer)
        assert protocol.decode_answer(bytes(frame[protocol.HEADER_LEN :])) == answer
