"""The story of a message, from files as gateways write them and as crashes leave them (PROC-25)."""

import json
import typing
from pathlib import Path

import pytest

from control.story import FILES_TOLD, Story, facts, sentence, stories
from engine import events
from engine.ids import IdMaker

FIRST = IdMaker(0, lambda: 10**18).next()
SECOND = IdMaker(0, lambda: 2 * 10**18).next()


def line(time: int, event: str, **fields: object) -> str:
    return json.dumps({"event": event, "time": f"2026-01-01T00:00:{time:02}.000000Z", **fields}, separators=(",", ":"))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    one = [
        line(1, "connection-from", client="192.0.2.1", connection_id="c1", result="accepted"),
        line(2, "accepted", smtp_id=FIRST, reverse_path="Ann@example.net", forward_paths=["b@example.com"], size=5,
             client="192.0.2.1", connection_id="c1"),
        line(5, "completed", smtp_id=FIRST),
        '{"event":"torn, and about Ann@exam',
    ]  # fmt: skip
    other = [
        line(3, "accepted", smtp_id=SECOND, reverse_path="", forward_paths=["ann@example.net"], size=5,
             client="192.0.2.9", connection_id="c2"),
        line(4, "delivered", smtp_id=FIRST, forward_path="b@example.com", server="h", reply="250 ok"),
        line(9, "rejected", client="192.0.2.9", connection_id="c2", reason="size"),
    ]  # fmt: skip
    (tmp_path / "relay-0-2026-01-01.jsonl").write_text("\n".join(one))
    (tmp_path / "relay-1-2026-01-01.jsonl").write_text("\n".join(other) + "\n")
    (tmp_path / "relay-2-2026-01-01.jsonl").write_text("")
    return tmp_path


def names(story: Story) -> list[str]:
    return [event["event"] for event in story.events]


def test_the_story_of_one_message_in_order_of_time(journal: Path) -> None:
    (story,) = stories(journal, FIRST.lower())
    assert names(story) == ["connection-from", "accepted", "delivered", "completed"]
    assert story.completed


def test_stories_of_an_address_in_either_place_and_case(journal: Path) -> None:
    found = stories(journal, "ANN@example.net")
    assert [story.smtp_id for story in found] == [FIRST, SECOND]
    assert names(found[1]) == ["accepted", "rejected"]
    assert not found[1].completed


def test_only_the_newest_ones(journal: Path) -> None:
    assert [story.smtp_id for story in stories(journal, "ann@example.net", 1)] == [SECOND]


def test_nothing_known(journal: Path) -> None:
    assert stories(journal, "nobody@example.org") == []
    assert stories(journal, IdMaker(0, lambda: 3 * 10**18).next()) == []


def test_words_are_no_pattern(journal: Path) -> None:
    assert stories(journal, ".nn@example.net") == []


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"event": "accepted", "reverse_path": "", "forward_paths": ["a@b", "c@d"], "size": 3, "client": "::1"},
         "accepted from <> for a@b, c@d, 3 octets, client ::1"),
        ({"event": "held", "smtp_id": "x"}, "moved to the hold queue:"),
        ({"event": "new-kind", "time": "t", "smtp_id": "x", "part": "2", "severe": True},
         "new kind: part 2, severe yes"),
        ({"event": "new-kind"}, "new kind"),
    ],
)  # fmt: skip
def test_sentences(event: dict[str, object], words: str) -> None:
    assert sentence(event) == words


def test_what_policy_saw_is_told() -> None:
    """PROC-25: results of authentication, block lists, files and limits, of the event that has them."""
    evidence = {
        "authentication": {
            "spf": "pass",
            "spf_domain": "a.example",
            "dkim": [{"domain": "b.example", "result": "fail"}],
        },
        "listings": [
            {"list": "one.example", "codes": ["127.0.0.2"]},
            {"list": "two.example", "problem": "no answer"},
            {"list": "three.example"},
        ],
        "files": [{"part": str(number), "names": ["x.exe"] if not number else []} for number in range(FILES_TOLD + 1)],
        "files_left_out": 5,
        "limit": "too deep",
        "limit_part": "2/a.zip",
    }
    told = facts({"event": "scanned", "time": "t", "evidence": evidence})
    assert told[:6] == [
        ("SPF", "pass (a.example)"),
        ("DKIM", "fail (b.example)"),
        ("Block list", "one.example: listed (127.0.0.2)"),
        ("Block list", "two.example: could not be asked (no answer)"),
        ("Block list", "three.example: not listed"),
        ("File", "x.exe"),
    ]
    assert told[-2:] == [("File", "and 6 more"), ("Limit", "too deep (2/a.zip)")]
    assert facts({"event": "held", "time": "t"}) == []


@pytest.mark.parametrize("kind", typing.get_args(events.AnyEvent), ids=lambda kind: kind.__name__)
def test_each_kind_of_event_has_words(kind: type[events.Event]) -> None:
    words = sentence({"event": kind.__struct_config__.tag, "time": "t"})
    assert words and "{" not in words


def test_reasons_of_heuristics_are_facts_and_no_part_of_the_sentence() -> None:
    """AV-03, AV-12"""
    reasons = [["it fetches something from the net", 50], ["it is a large program of its own", -60]]
    event = {
        "event": "scanned",
        "verdict": "infected",
        "signatures": ["Heuristic.ScriptDropper"],
        "suspicions": [{"name": "Heuristic.ScriptDropper", "part": "2", "points": 131, "reasons": reasons}],
    }
    assert sentence(event) == "examined: infected Heuristic.ScriptDropper"
    assert facts(event) == [
        ("Heuristic.ScriptDropper", "131 points (part 2)"),
        ("Reason", "it fetches something from the net (+50)"),
        ("Reason", "it is a large program of its own (-60)"),
    ]
