"""The text of one conversation, without I/O (DIAG-04..12)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config import ConversationLog, DataStream, ErrorClass, LogLevel
from engine.diagnostics.conversation import Conversation, shown
from engine.limits import COMMAND_LINE_LEN, CONVERSATION_HELD_LEN

START_NS = 1_900_000_000 * 1_000_000_000


class Paper:
    """A sink in memory. left: octets that it takes."""

    def __init__(self, left: int = 1 << 40) -> None:
        self.pieces: list[bytes] = []
        self.discarded = False
        self.left = left

    def append(self, octets: bytes) -> bool:
        self.left -= len(octets)
        if self.left < 0:
            return False
        self.pieces.append(octets)
        return True

    def discard(self) -> None:
        self.discarded = True

    @property
    def lines(self) -> list[str]:
        """Without head and times."""
        return [line[13:] for line in b"".join(self.pieces).decode().splitlines()[1:]]


def begin(
    paper: Paper,
    level: LogLevel = LogLevel.ALL,
    errors: ErrorClass = ErrorClass.ALL,
    data: DataStream = DataStream.IGNORE,
) -> Conversation:
    return Conversation("head\n", ConversationLog(level, errors, data), lambda: START_NS, paper)


def test_lines_in_their_order() -> None:
    paper = Paper()
    one = begin(paper)
    one.server(b"220 a ESMTP\r\n")
    one.client(b"EHLO b\r\n")
    one.server(b"250-a\r\n250 SIZE\r\n")
    one.client(b"AUTH PLAIN c2VjcmV0\r\n")
    one.note("over")
    one.end("closed")
    assert b"".join(paper.pieces).decode().splitlines()[:2] == ["head", "17:46:40.000 S: 220 a ESMTP"]
    assert paper.lines == [
        "S: 220 a ESMTP", "C: EHLO b", "S: 250-a", "S: 250 SIZE", "C: AUTH PLAIN ****", "-- over", "-- closed"
    ]  # fmt: skip


@pytest.mark.parametrize("wanted", ErrorClass)
@pytest.mark.parametrize("happened", [None, *list(ErrorClass)[1:]])
def test_kept_on_error_of_the_chosen_class(wanted: ErrorClass, happened: ErrorClass | None) -> None:
    """DIAG-04, DIAG-05, DIAG-06, DIAG-07, DIAG-08, DIAG-13."""
    for length in (1, 2 * CONVERSATION_HELD_LEN):  # in memory, and partly in its file
        paper = Paper()
        one = begin(paper, LogLevel.ON_ERROR, wanted)
        one.note("x" * length)
        if happened:
            one.error(happened, "words")
        one.end("closed")
        kept = happened is not None and wanted in (ErrorClass.ALL, happened)
        assert paper.discarded is not kept
        if kept:
            assert f"!! {happened} error: words" in paper.lines


@pytest.mark.parametrize("data", DataStream)
def test_content_is_left_out_counted_or_shown(data: DataStream) -> None:
    """DIAG-09."""
    paper = Paper()
    one = begin(paper, data=data)
    for octets in (b"Subject: s\r\n\r\nzw\xc3", b"\xb6lf\nbare \\ tail\r\n..dot\r\n.\r\n"):
        one.data(octets)
    one.data_ended()
    one.end("closed")
    count = "-- data: 6 lines, 44 octets"
    echo = ["D: Subject: s", "D: ", "D: zw\\xc3\\xb6lf\\x0a", "D: bare \\\\ tail", "D: ..dot", "D: ."]
    expected = {DataStream.IGNORE: [], DataStream.SUMMARIZE: [count], DataStream.ECHO: [*echo, count]}
    assert paper.lines == [*expected[data], "-- closed"]


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"\xff", b"x" * 3000])), st.integers(1, 7))
def test_any_cut_gives_the_same_lines(octets: list[bytes], size: int) -> None:
    whole = b"".join(octets)
    texts = []
    for pieces in ([whole], [whole[at : at + size] for at in range(0, len(whole), size)]):
        paper = Paper()
        one = begin(paper, data=DataStream.ECHO)
        for piece in pieces:
            one.data(piece)
            one.server(piece)
        one.end("closed")
        spoken = [line for line in paper.lines if line.startswith("S:")]
        texts.append(([line for line in paper.lines if line not in spoken], "".join(spoken).replace("S: ", "")))
    assert texts[0] == texts[1]


@given(st.binary())
def test_nobody_writes_lines_of_his_own(octets: bytes) -> None:
    text = shown(octets)
    assert text.isascii() and (text.isprintable() or not text)
    undone = text.encode().decode("unicode_escape").encode("latin-1")
    assert undone == octets.removesuffix(b"\r\n")


def test_memory_is_bounded() -> None:
    """DIAG-02: what waits in memory stays below its bound, however long lines and conversations are."""
    paper = Paper()
    one = begin(paper, data=DataStream.ECHO)
    one.data(b"x" * (CONVERSATION_HELD_LEN - 40))
    before = len(paper.pieces)
    for _ in range(100):
        one.server(b"y" * 1000)
        one.data(b"\x00" * 1000)
        assert one._held_len <= CONVERSATION_HELD_LEN
        assert len(one._replies) + len(one._content) <= 2 * COMMAND_LINE_LEN
    assert len(paper.pieces) > before


def test_a_file_that_takes_no_more_ends_the_log() -> None:
    """DIAG-02."""
    for level in (LogLevel.ALL, LogLevel.ON_ERROR):
        paper = Paper(left=CONVERSATION_HELD_LEN * 2)
        one = begin(paper, level)
        for _ in range(1000):
            one.note("x" * 100)
        one.data(b"x")
        one.end("closed")
        one.end("again")
        assert 1 <= len(paper.pieces) <= 2
        assert paper.discarded is (level is LogLevel.ON_ERROR)
        assert not one._held
