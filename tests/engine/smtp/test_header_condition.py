"""Header fields that recipients were accepted on, without and with a session (RELAY-01, RELAY-12)."""

import email.parser
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.limits import CONDITION_HEADER_LEN
from engine.relay_rule import Field
from engine.replies import Reason
from engine.smtp.effect import Effect
from engine.smtp.gate import ACCEPTED, Answer
from engine.smtp.header_condition import HeaderCondition
from tests.engine.smtp.harness import HELLO, Driver, Outcome, talk_in_turn

TENANT = Field("x-tenant", "id 1")
OTHER = Field("x-other", "o")


def met(content: bytes, *groups: tuple[Field, ...], cut: int = 0) -> bool:
    condition = HeaderCondition(groups or ((TENANT,),))
    for start in range(0, len(content), cut or len(content) or 1):
        condition.feed(content[start : start + (cut or len(content))])
    return condition.finish()


@pytest.mark.parametrize(
    "content",
    [
        b"X-Tenant: id 1\r\n\r\nbody",
        b"X-Tenant: id 1\r\n",
        b"a: b\r\nX-TENANT:\tid 1 \t\r\nc: d\r\n\r\nX-Tenant: id 1\r\n",
        b"x-tenant:\r\n id\r\n 1\r\n\r\n",
        b"x-tenant:id 1\r\nX-Tenants: x\r\n\r\n",
        b"not a field\r\nx-tenant: id 1\r\n\r\n",
    ],
)
def test_one_such_field(content: bytes) -> None:
    assert met(content)
    assert met(content, cut=1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"\r\nX-Tenant: id 1\r\n\r\n",
        b"a: b\r\n\r\nX-Tenant: id 1\r\n\r\n",
        b"X-Tenant: id 1\r\nX-Tenant: id 1\r\n\r\n",
        b"X-Tenant: id 1\r\nx-tenant : id 2\r\n\r\n",
        b"X-Tenant : id 1\r\n\r\n",
        b"X-Tenant: ID 1\r\n\r\n",
        b"X-Tenant: id 1, id 2\r\n\r\n",
        b"X-Tenant: id 1\r\n x\r\n\r\n",
        b"Subject: x\r\n X-Tenant: id 1\r\n\r\n",
        b" X-Tenant: id 1\r\n\r\n",
        b"X-Tenant\r\n\r\n",
        b"X-Tenant:\r\n\r\n",
        b"X-Tenant: \xff\r\n\r\n",
    ],
)
def test_no_such_field(content: bytes) -> None:
    assert not met(content)
    assert not met(content, cut=1)


def test_of_each_group_one_has_to_be_there() -> None:
    both = b"X-Tenant: id 1\r\nX-Other: o\r\n\r\n"
    for content, expected in ((both, True), (both[:16], False), (both[16:], False)):
        assert met(content, (TENANT,), (OTHER,)) is expected
        assert met(content, (TENANT, OTHER)) is True
    assert met(b"X-Tenant: other\r\nX-Other: o\r\n\r\n", (TENANT, OTHER))


def test_a_header_section_beyond_the_bound_fulfils_nothing() -> None:
    field = b"X-Tenant: id 1\r\n"
    for extra in (0, 1):
        padding = b"a: " + b"x" * (CONDITION_HEADER_LEN + extra - len(field) - 5) + b"\r\n"
        for cut in (0, 1000, CONDITION_HEADER_LEN - 1, CONDITION_HEADER_LEN, CONDITION_HEADER_LEN + 1):
            assert met(field + padding + b"\r\nbody", cut=cut) is not bool(extra)
            assert met(padding + field + b"\r\nbody", cut=cut) is not bool(extra)


def test_nothing_is_kept_behind_the_header_section() -> None:
    condition = HeaderCondition([(TENANT,)])
    condition.feed(b"X-Tenant: id 1\r\n\r\n")
    assert condition.met is True
    condition.feed(b"x" * 10_000)
    assert not condition._kept


PIECES = st.sampled_from(
    [
        b"X-Tenant",
        b"x-other",
        b": ",
        b":",
        b" ",
        b"\t",
        b"id 1",
        b"id",
        b"1",
        b"o",
        b"\r\n",
        b"\r\n ",
        b"\r\n\r\n",
    ]
)
LINES = st.sampled_from([b"X-Tenant: id 1\r\n", b"x-other:o\r\n", b"\r\n", b"x-tenant:\r\n id 1\r\n", b"a: b\r\n"])


def as_the_library_reads_it(content: bytes) -> bool:
    """Over-simple on purpose: exactly one, by a parser that is not ours. For well-formed sections only."""
    parser = email.parser.BytesHeaderParser(policy=email.policy.compat32)
    found = parser.parsebytes(content).get_all("x-tenant", [])
    return [str(body).replace("\r\n", "").strip(" \t") for body in found] == ["id 1"]


@given(st.lists(LINES, max_size=8).map(b"".join))
def test_well_formed_sections_as_the_library_reads_them(content: bytes) -> None:
    assert met(content) is as_the_library_reads_it(content)


@given(st.lists(LINES | PIECES, max_size=20).map(b"".join), st.integers(1, 9))
def test_any_cut_gives_the_same(content: bytes, cut: int) -> None:
    assert met(content, (TENANT, OTHER), cut=cut) is met(content, (TENANT, OTHER))


# --- in a session ---------------------------------------------------------------------------------

GRANTED = Answer(fields=(TENANT,))
MIXED = b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@local.example>\r\nRCPT TO:<c@far.example>\r\n"
GOOD = b"X-Tenant: id 1\r\n\r\nbody\r\n"
BAD = b"X-Tenant: id 2\r\n\r\nbody\r\n"


def decide(forward_path: str) -> Answer:
    return GRANTED if forward_path.endswith("@far.example") else ACCEPTED


def by_data(content: bytes) -> Outcome:
    return talk_in_turn(HELLO, MIXED + b"DATA\r\n", content + b".\r\n", b"NOOP\r\n", decide=decide)


def by_bdat(content: bytes) -> Outcome:
    half = len(content) // 2
    chunks = b"BDAT %d\r\n%s" % (half, content[:half])
    chunks += b"BDAT %d LAST\r\n%s" % (len(content) - half, content[half:])
    return talk_in_turn(HELLO, MIXED, chunks, b"NOOP\r\n", decide=decide)


def test_a_message_with_the_field_is_taken() -> None:
    """RELAY-01: the recipient is accepted, and so is the message."""
    assert by_data(GOOD).codes == [250, 250, 250, 250, 354, 250, 250]
    assert by_bdat(GOOD).codes == [250, 250, 250, 250, 250, 250, 250]
    for outcome in (by_data(GOOD), by_bdat(GOOD)):
        ((received, content),) = outcome.messages
        assert content == GOOD
        assert [one.address for one in received.recipients] == ["b@local.example", "c@far.example"]
        assert not outcome.rejections


@pytest.mark.parametrize("content", [BAD, b"body\r\n", b"\r\n" + GOOD, b"X-Tenant: id 1\r\n" + GOOD])
def test_a_message_without_it_is_refused_for_all(content: bytes) -> None:
    """RELAY-01, RELAY-11, RELAY-12: after RCPT only the message as a whole can be refused."""
    for outcome in (by_data(content), by_bdat(content)):
        refusals = [line for line in outcome.replies if line.startswith("5")]
        assert refusals[0].startswith("550 5.7.1 relaying denied")
        assert outcome.codes[-1] == 250
        assert not outcome.messages and not outcome.violations
        assert outcome.rejections == [(Reason.RELAY, "a@c.example", "c@far.example")]


def test_a_refused_message_is_not_stored_to_its_end() -> None:
    driver = Driver(decide=decide)
    for group in (HELLO, MIXED + b"DATA\r\n", BAD):
        driver.feed(group)
    assert driver.trace[-1] is Effect.ABORT
    driver.feed(BAD * 1000 + b".\r\nNOOP\r\n")
    assert driver.outcome.codes[-2:] == [550, 250]


def test_the_next_message_has_no_condition() -> None:
    group = b"RSET\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@local.example>\r\nDATA\r\n"
    outcome = talk_in_turn(HELLO, MIXED + group, b"body\r\n.\r\n", decide=decide)
    assert outcome.codes[-1] == 250
    assert len(outcome.messages) == 1


def test_a_mistake_of_the_octets_is_told_first() -> None:
    assert by_data(b"X-Tenant: id 2\r\n\r\nbo\ndy\r\n").replies[-2].startswith("550 5.6.0 ")
