"""Which queued messages a filter means."""

import re
from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from control.queues.lines import Filter, Line, RecipientLine, line_of
from engine.queue.record import AnyRecord, Attempt, Crashed, Disposition, Moved, Received, Recipient, Result, Started
from engine.queue.record import Verdict as Judged
from engine.queue.state import SLOW, MessageState

TEXT = st.text(st.sampled_from("aAb@.[]!-<>*?\u00e9\n"), max_size=6)
PLACE = st.sampled_from(["fast", "slow", "hold"])


def line(
    queue: str = "slow", sender: str = "", to: Sequence[tuple[str, Result]] = (), reason: str = "", age_s: int = 0
) -> Line:
    recipients = [RecipientLine(address, result, "") for address, result in to]
    return Line("0" * 13, queue, 1, "", age_s, "", "", sender, recipients, 0, 0, "", reason)


def oracle(pattern: str, text: str) -> bool:
    """By trying: * is any octets, ? is one, all else is itself."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(oracle(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and oracle(pattern[1:], text[1:])


@given(TEXT.filter(bool), TEXT.filter(bool))
@example("[a]", "[a]")
@example("[!a]", "b")
@example("*" * 6, "aaa")
def test_patterns(pattern: str, text: str) -> None:
    """HOLD-01: a selection; what has no wildcard may be anywhere, case does not count, brackets are themselves."""
    wide = pattern if re.search(r"[*?]", pattern) else f"*{pattern}*"
    wanted = oracle(wide.lower(), text.lower())
    assert Filter(sender=pattern).matcher()(line(sender=text)) == wanted
    assert Filter(reason=pattern).matcher()(line(reason=text)) == wanted
    assert Filter(recipient=pattern).matcher()(line(to=[(text, Result.PENDING)])) == wanted
    assert not Filter(recipient=pattern).matcher()(line(to=[(text, Result.DELIVERED)])), "it does not wait"


@given(TEXT, TEXT, st.integers(0, 9), PLACE, st.builds(line, PLACE, TEXT, st.just(()), TEXT, st.integers(0, 9)))
def test_all_that_is_said_must_hold(sender: str, reason: str, older_s: int, queue: str, one: Line) -> None:
    whole = Filter(queue=queue, sender=sender, reason=reason, older_s=older_s)
    parts = (Filter(queue=queue), Filter(sender=sender), Filter(reason=reason), Filter(older_s=older_s))
    assert whole.matcher()(one) == all(part.matcher()(one) for part in parts)
    assert Filter().matcher()(one)
    assert whole.places == (queue,)


def test_a_pattern_of_many_wildcards_is_no_trap() -> None:
    """A reason that a next hop wrote, against it: more than a moment would be a trap."""
    assert not Filter(reason="*a" * 200 + "b").matcher()(line(reason="a" * 5000))


def test_why_a_message_waits_that_nothing_became_of_yet() -> None:
    """SCAN-07: while there are no definitions all mail waits, and the list says for what."""

    def why(*records: AnyRecord, internal: bool = False) -> str:
        message = MessageState(Received("1", 0, "", "", 0, "", "", "", "", (Recipient("a@b"),), internal=internal))
        for record in records:
            message.apply(record)
        return line_of(message, 0).why

    assert why() == why(Started("1"), Crashed("1", 1, "")) == "was not examined yet"
    assert why(Started("1")) == "is being examined"
    assert why(Judged("1", "clean", Disposition.DELIVER)) == why(internal=True) == ""
    assert why(Attempt("1", 0, 0, Result.PENDING, "450 later", "")) == "450 later"
    assert why(Moved("1", 0, SLOW, "waits for its turn", 0)) == "waits for its turn"
