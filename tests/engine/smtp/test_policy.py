"""Size and characters of addresses in a session (SIZE-01..04, CHAR-01..04)."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.config import Blocking, Characters, ConfigError, Settings, Size, parse
from engine.limits import HARD_MESSAGE_LEN, MIB
from engine.replies import Reason
from engine.smtp.address import BadAddress, check_mailbox, has_character
from engine.smtp.effect import Effect
from tests.engine.smtp.harness import ENVELOPE, HELLO, Driver, Outcome, settings, talk, talk_in_turn

LINE = b"x" * 998 + b"\r\n"
EXACT = LINE * (MIB // 1000) + b"y" * (MIB % 1000 - 2) + b"\r\n"


# --- size -----------------------------------------------------------------------------------------


def bdat(content: bytes, *sizes: int) -> bytes:
    """BDATs of these sizes, and one more for the rest."""
    wire = b""
    for size in sizes:
        wire += b"BDAT %d\r\n%s" % (size, content[:size])
        content = content[size:]
    return wire + b"BDAT %d LAST\r\n%s" % (len(content), content)


def test_size_is_off_at_first() -> None:
    """SIZE-01, SIZE-02: off, and 50 when it is switched on; what is announced then is what can be taken at all."""
    assert not Size().enabled and Size().max_mb == 50
    assert f"250-SIZE {HARD_MESSAGE_LEN}" in talk(HELLO, settings_=Settings()).replies
    on = Settings(blocking=Blocking(size=Size(enabled=True)))
    assert f"250-SIZE {50 * MIB}" in talk(HELLO, settings_=on).replies


@pytest.mark.parametrize("number", ["0", "-1", "+", '""', "1.5", "2.0", "2048", '"50"'])
def test_size_is_a_whole_number(number: str) -> None:
    """SIZE-02: 1 to 2047 megabytes."""
    with pytest.raises(ConfigError):
        parse(f"[blocking.size]\nmax_mb = {number}\n")


@pytest.mark.parametrize("number", [1, 2047])
def test_size_at_its_ends(number: int) -> None:
    """SIZE-02"""
    assert parse(f"[blocking.size]\nmax_mb = {number}\n").blocking.size.max_mb == number


def test_the_limit_is_announced_and_declared_sizes_are_held_to_it() -> None:
    """SIZE-03, SIZE-04"""

    def declared(size: int) -> Outcome:
        return talk(HELLO, b"MAIL FROM:<a@c.example> SIZE=%d\r\n" % size, settings_=settings(max_mb=3))

    assert f"250-SIZE {3 * MIB}" in declared(0).replies
    assert declared(3 * MIB).codes[-1] == 250
    outcome = declared(3 * MIB + 1)
    assert outcome.replies[-1].startswith("552 5.3.4 ")
    assert outcome.rejections == [(Reason.SIZE, "a@c.example", "")]
    assert not outcome.violations


@pytest.mark.parametrize("extra", [b"", b"\r\n"])
@pytest.mark.parametrize("way", ["data", "one chunk", "chunks", "declared"])
def test_exactly_n_megabytes_pass(way: str, extra: bytes) -> None:
    """SIZE-01, SIZE-03: N times 1 048 576 octets as received, however they come; two more do not."""
    content = EXACT + extra
    groups = (ENVELOPE + b"DATA\r\n", content + b".\r\n")
    if way == "one chunk":
        groups = (ENVELOPE, bdat(content))
    elif way == "chunks":
        groups = (ENVELOPE, bdat(content, 5, MIB // 2, 0))
    elif way == "declared":
        groups = (ENVELOPE.replace(b">\r\n", b"> SIZE=%d\r\n" % MIB, 1) + b"DATA\r\n", content + b".\r\n")
    outcome = talk(HELLO, *groups, b"NOOP\r\n", settings_=settings(max_mb=1))
    assert outcome.codes[-2:] == ([552, 250] if extra else [250, 250])
    assert [len(stored) for _, stored in outcome.messages] == ([] if extra else [MIB])
    assert outcome.rejections == ([(Reason.SIZE, "a@c.example", "")] if extra else [])


def test_stuffed_dots_do_not_count() -> None:
    """SIZE-03: what is counted is the message."""
    dots = b".." + b"x" * 997 + b"\r\n"
    wire = dots + EXACT[len(dots) - 1 :]
    assert len(wire) == MIB + 1
    assert talk(HELLO, ENVELOPE + b"DATA\r\n", wire + b".\r\n", settings_=settings(max_mb=1)).codes[-1] == 250


@pytest.mark.parametrize("declaration", [b"", b" SIZE=10"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_lying_or_missing_declaration_is_read_to_the_end_and_not_stored(declaration: bytes, chunked: bool) -> None:
    """SIZE-04"""
    driver = Driver(settings(max_mb=1))
    driver.feed(HELLO)
    driver.feed(ENVELOPE.replace(b">\r\n", b">" + declaration + b"\r\n", 1))
    driver.feed(b"BDAT %d LAST\r\n" % (3 * MIB) if chunked else b"DATA\r\n")
    driver.feed(EXACT)
    driver.feed(EXACT)
    assert driver.trace[-1] is Effect.ABORT
    assert driver.outcome.codes[-1] == (250 if chunked else 354), "nothing is said before the end"
    driver.feed(EXACT)
    driver.feed(b"NOOP\r\n" if chunked else b".\r\nNOOP\r\n")
    assert driver.outcome.replies[-2].startswith("552 5.3.4 ")
    assert driver.outcome.codes[-1] == 250
    assert driver.outcome.rejections == [(Reason.SIZE, "a@c.example", "")]


def test_a_chunk_that_nobody_would_wait_for_is_rejected_too() -> None:
    """SIZE-03, SIZE-04: 552 and the end, and it counts."""
    outcome = talk_in_turn(HELLO, ENVELOPE, b"BDAT %d LAST\r\n" % (HARD_MESSAGE_LEN + 1))
    assert outcome.replies[-1].startswith("552 5.3.4 ")
    assert outcome.closed and not outcome.violations
    assert outcome.rejections == [(Reason.SIZE, "a@c.example", "")]


# --- characters -----------------------------------------------------------------------------------


def forbidding(characters: str = "%!", enabled: bool = True) -> Settings:
    return Settings(blocking=Blocking(characters=Characters(enabled=enabled, characters=characters)))


def with_paths(reverse_path: str, forward_path: str, settings_: Settings) -> Outcome:
    utf8 = "" if (reverse_path + forward_path).isascii() else " SMTPUTF8"
    group = f"MAIL FROM:<{reverse_path}>{utf8}\r\nRCPT TO:<{forward_path}>\r\nRCPT TO:<ok@local.example>\r\nDATA\r\n"
    return talk(HELLO, group.encode(), b".\r\n", settings_=settings_)


def test_characters_are_off_at_first() -> None:
    """CHAR-01: off, `%!` when switched on."""
    assert Characters() == Characters(enabled=False, characters="%!")
    assert with_paths("a%b@c.example", "x!y@local.example", Settings()).codes == [250, 250, 250, 250, 354, 250]


@pytest.mark.parametrize(
    "reverse_path",
    ["a%b@c.example", "b!a@c.example", '"a%b"@c.example', '"a\\!b"@c.example', "ü%b@c.example", "a％b@c.example"],
)
def test_a_sender_with_a_listed_character(reverse_path: str) -> None:
    """CHAR-03, GAP-10: 553 5.1.7 at MAIL, quoted or not, also in a form that a next hop may fold."""
    outcome = with_paths(reverse_path, "b@local.example", forbidding())
    assert any(line.startswith("553 5.1.7 ") for line in outcome.replies)
    assert outcome.codes == [250, 553, 503, 503, 503, 500]
    assert outcome.rejections == [(Reason.CHARACTERS, reverse_path, "")]
    assert not outcome.messages


@pytest.mark.parametrize(
    "forward_path", ["a%b@local.example", "host!a@local.example", '"a%b"@local.example', "ü!@local.example"]
)
def test_a_recipient_with_a_listed_character(forward_path: str) -> None:
    """CHAR-03, GAP-10, RELAY-13: 553 5.1.3 for that RCPT alone."""
    outcome = with_paths("a@c.example", forward_path, forbidding())
    assert outcome.codes == [250, 250, 553, 250, 354, 250]
    assert any(line.startswith("553 5.1.3 ") for line in outcome.replies)
    assert outcome.rejections == [(Reason.CHARACTERS, "a@c.example", forward_path)]
    ((received, _),) = outcome.messages
    assert [one.address for one in received.recipients] == ["ok@local.example"]
    assert not outcome.violations


def test_only_listed_characters_are_refused() -> None:
    """CHAR-01, CHAR-02: each character is an entry, in the domain too."""
    assert with_paths("a%b!c@c.example", "d#e@local.example", forbidding("#&")).codes[1:3] == [250, 553]
    assert with_paths("a@c_d.example", "b@local.example", forbidding("_")).codes[1] == 553
    assert with_paths("a+b@c.example", "b@local.example", forbidding("%!")).codes[1] == 250
    assert with_paths("", "b@local.example", forbidding("%!")).codes[1] == 250


def test_characters_count_whatever_the_source() -> None:
    """CHAR-04, BLK-02: the gate, which knows relay hosts, is not even asked."""
    driver = Driver(forbidding(), decide=lambda path: pytest.fail(f"asked about {path}"))
    driver.feed(HELLO)
    driver.feed(b"MAIL FROM:<a@c.example>\r\nRCPT TO:<x%y@local.example>\r\nDATA\r\n")
    assert driver.outcome.codes == [250, 250, 553, 554]
    assert not driver.outcome.violations


@hypothesis_settings(deadline=None)
@given(
    st.text(alphabet='ab%!#\\" ü％．', max_size=8),
    st.sampled_from(["c.example", "x_y.example", "ü.example"]),
    st.sets(st.sampled_from("%!#_ü")),
)
def test_any_address_is_refused_for_what_is_in_it(local_part: str, domain: str, characters: set[str]) -> None:
    """CHAR-01"""
    mailbox = f"{local_part}@{domain}"
    try:
        check_mailbox(mailbox)
    except BadAddress:
        return
    folded = mailbox.replace("％", "%")
    expected = any(one in mailbox or one in folded for one in characters)
    assert has_character(mailbox, "".join(characters)) is expected
