"""What becomes of a message by all that is known of it, and what is asked for that (PROC-02, PROC-15..21)."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events
from engine.config import (
    Action,
    Authentication,
    Blocking,
    BlockList,
    BlockLists,
    Dmarc,
    Forward,
    ListAction,
    MessageAction,
    Senders,
    Settings,
    SubjectLines,
    WhiteList,
)
from engine.delivery.reply import own_words
from engine.dns import DnsFailure, Resolver
from engine.judge import Judge, Judgement, asks_dns, judges, reads_content, without_results
from engine.policy.decision import decide, reason_of
from engine.policy.evidence import Authentication as Found
from engine.policy.evidence import Evidence, Header, Listing
from engine.policy.violation import Criterion, Violation, strength
from engine.queue.record import Disposition, Received, Recipient, Splice
from engine.queue.state import MessageState
from engine.rewrite import spliced
from engine.scan.claims import Claims, ResultsField
from engine.scan.facts import Facts, Match
from engine.scan.outcome import Fate, InfectedFile, Outcome

LISTED = (Listing("dnsbl.example", ("127.0.0.2",)),)
LISTS = BlockLists((BlockList("dnsbl.example", True),))
TO = Forward("postmaster@example.org", "Look")
OFF = Blocking()


class Dns(Resolver):
    """Name servers that answer nothing, and that only when `gate` is open."""

    def __init__(self) -> None:
        super().__init__(hosts_file=None)
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def records(self, name: str, kind: str, **_: Any) -> tuple[Any, ...] | None:
        self.asked.append(name)
        await self.gate.wait()
        raise DnsFailure(own_words("4.4.3", "nobody answers"))


class Room:
    """A judge with all that it asks. Whoever asks a list is written down."""

    hostname, own_address = "gateway.example", "mailward-noreply@gateway.example"

    def __init__(self, settings: Settings, listings: tuple[Listing, ...] = LISTED, ours: bool = False) -> None:
        self.settings = settings
        self.listings = listings
        self.ours = ours
        self.asked: list[str] = []
        self.dns = Dns()
        self.judge = Judge(self, self.dns, self, self.is_ours)  # type: ignore[arg-type]

    def event(self, event: events.Event) -> None:
        raise AssertionError("the pipeline writes events")

    def next_smtp_id(self) -> str:
        raise AssertionError

    async def is_ours(self, client: str) -> bool:
        return self.ours

    async def ask(self, address: str, settings: BlockLists) -> tuple[Listing, ...]:
        self.asked.append(address)
        return self.listings

    def finds(self, outcome: Outcome | None = None, reverse_path: str = "sender@example.net") -> Judgement:
        async def ask() -> Judgement:
            inquiry = self.judge.begin(message(reverse_path))
            try:
                return await self.judge.finish(inquiry, outcome or Outcome(Facts()))
            finally:
                inquiry.close()

        return asyncio.run(ask())


def message(reverse_path: str = "sender@example.net") -> MessageState:
    received = Received("ID", 0, "c", "192.0.2.9", 1, "h", "ESMTP", "", reverse_path, (Recipient("a@example.com"),))
    state = MessageState(received)
    state.size = 1000
    return state


def blocking(**criteria: Any) -> Settings:
    return Settings(blocking=Blocking(**criteria))


# --- what is asked ------------------------------------------------------------------------------------


def test_nothing_is_asked_where_nothing_needs_it() -> None:
    """PROC-24, DNSBL-02: no task, no lookup."""
    room = Room(Settings())

    async def ask() -> None:
        inquiry = room.judge.begin(message())
        assert inquiry.opening is None
        assert len(asyncio.all_tasks()) == 1
        found = await room.judge.finish(inquiry, Outcome(Facts()))
        assert found.disposition is Disposition.DELIVER and not found.violations

    asyncio.run(ask())
    assert not room.asked and not room.dns.asked


def test_block_lists_are_asked_while_the_message_is_scanned() -> None:
    """DNSBL-09, DNSBL-06: and a listed client's mail is handled as the settings say."""
    room = Room(blocking(block_lists=LISTS))

    async def ask() -> None:
        inquiry = room.judge.begin(message())
        while not room.asked:
            await asyncio.sleep(0)
        found = await room.judge.finish(inquiry, Outcome(Facts()))
        assert found.disposition is Disposition.DROP and found.removed
        assert found.evidence.listings == LISTED
        assert "dnsbl.example" in found.reason

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("action", "disposition"),
    [
        (ListAction.DROP, Disposition.DROP),
        (ListAction.LOG, Disposition.DELIVER),
        (ListAction.FORWARD, Disposition.FORWARD),
        (ListAction.HOLD, Disposition.HOLD),
        (ListAction.REJECT, Disposition.HOLD),
    ],
)
def test_every_action_after_acceptance(action: ListAction, disposition: Disposition) -> None:
    """DNSBL-06, GAP-06: what came too late for Reject is set aside."""
    lists = BlockLists((BlockList("dnsbl.example", True),), action, TO)
    found = Room(blocking(block_lists=lists)).finds()
    assert found.disposition is disposition
    assert [one.criterion for one in found.violations] == [Criterion.BLOCK_LIST]
    assert found.forwards == ((TO,) if disposition is Disposition.FORWARD else ())


def test_white_list_comes_first() -> None:
    """PROC-21, DNSBL-07, WL-03: no list is asked about its senders; the sender list and content still count."""
    white = WhiteList(True, ("@example.net",))
    room = Room(blocking(block_lists=LISTS, white_list=white))
    assert room.finds().disposition is Disposition.DELIVER
    assert not room.asked
    assert room.finds(reverse_path="other@example.info").disposition is Disposition.DROP
    room = Room(blocking(block_lists=LISTS, white_list=white, senders=Senders(True, ("@example.net",))))
    assert room.finds().disposition is Disposition.DROP, "GAP-25"
    hot = Violation(Criterion.SUBJECT, Action.DROP, "*hot*", "hot")
    room = Room(blocking(block_lists=LISTS, white_list=white))
    assert room.finds(Outcome(Facts(), Disposition.DROP, violations=[hot])).disposition is Disposition.DROP


def test_white_list_that_has_to_be_confirmed() -> None:
    """WL-05: lists are asked about a sender whose domain neither SPF nor DKIM confirms, DNS being silent."""
    white = WhiteList(True, ("@example.net",), confirmed=True)
    room = Room(blocking(block_lists=LISTS, white_list=white))
    assert room.finds().disposition is Disposition.DROP
    assert room.asked == ["192.0.2.9"]


def test_white_list_that_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """WL-05, DNSBL-07: SPF says that it is the domain itself, so no list is asked."""

    async def passes(*_: object) -> tuple[str, str]:
        return "pass", "example.net"

    monkeypatch.setattr("engine.sender.spf.check", passes)
    white = WhiteList(True, ("@example.net",), confirmed=True)
    room = Room(blocking(block_lists=LISTS, white_list=white))
    assert room.finds().disposition is Disposition.DELIVER
    assert not room.asked


def test_own_hosts_are_not_asked_about() -> None:
    """DNSBL-03: nor is their mail authenticated, which block lists, SPF and DMARC say nothing about."""
    settings = Settings(
        blocking=Blocking(block_lists=LISTS, dmarc=Dmarc(True)), authentication=Authentication(enabled=True)
    )
    room = Room(settings, ours=True)
    found = room.finds()
    assert found.disposition is Disposition.DELIVER and found.results == ""
    assert not room.asked and not room.dns.asked


@pytest.mark.parametrize("trouble", [OSError("no"), TimeoutError(), ValueError("a defect")])
def test_trouble_with_dns_holds_up_nothing(trouble: Exception) -> None:
    """DNSBL-09: whatever is raised, the message goes on as if nobody had said anything."""
    room = Room(Settings(blocking=Blocking(block_lists=LISTS), authentication=Authentication(enabled=True)))

    async def fails(*_: object) -> Any:
        raise trouble

    room.judge = Judge(room, room.dns, type("Lists", (), {"ask": fails})(), fails)
    found = room.finds()
    assert found.disposition is Disposition.DELIVER
    assert found.evidence.listings == ()


def test_silence_of_dns_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNSBL-09: lookups that keep no time-out of their own are ended from outside."""
    monkeypatch.setattr("engine.judge.GRACE_S", -2.99)
    room = Room(blocking(block_lists=LISTS))

    async def never(*_: object) -> Any:
        await asyncio.Event().wait()

    room.judge = Judge(room, room.dns, type("Lists", (), {"ask": never})(), room.is_ours)
    assert room.finds().disposition is Disposition.DELIVER


def test_what_is_asked_ends_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.judge.GRACE_S", 3600.0)  # not by its time-out
    room = Room(Settings(blocking=Blocking(block_lists=LISTS), authentication=Authentication(enabled=True)))
    room.dns.gate.clear()
    asked: list[object] = []

    async def never(*_: object) -> Any:
        asked.append(None)
        await asyncio.Event().wait()

    room.judge = Judge(room, room.dns, type("Lists", (), {"ask": never})(), room.is_ours)

    async def ask() -> None:
        inquiry = room.judge.begin(message())
        while inquiry.authentication is None or not asked or not room.dns.asked:
            await asyncio.sleep(0)
        inquiry.close()
        async with asyncio.timeout(30):
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0)

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("settings", "content", "dns"),
    [
        (Settings(), True, False),
        (blocking(block_lists=LISTS), True, True),
        (blocking(block_lists=BlockLists((BlockList("dnsbl.example"),))), True, False),
        (blocking(white_list=WhiteList(True, ("@example.net",), True)), True, True),
        (Settings(authentication=Authentication(enabled=True)), True, True),
    ],
)
def test_what_settings_need(settings: Settings, content: bool, dns: bool) -> None:
    """BLK-01: container limits and encrypted containers are on by default, so content is read by default."""
    assert (reads_content(settings), asks_dns(settings)) == (content, dns)
    assert judges(settings)


# --- what becomes of it -------------------------------------------------------------------------------

ACTIONS = st.lists(st.sampled_from(list(Action)), max_size=5)


@given(ACTIONS, st.sampled_from(list(Disposition)))
def test_the_strongest_wins(actions: list[Action], scanned: Disposition) -> None:
    """PROC-19: drop, forward, hold, delete part, log only; what blocking removes is decided by it alone (PROC-02)."""
    order = [Action.LOG, Action.DELETE, Action.HOLD, Action.FORWARD, Action.DROP]
    means = {Action.HOLD: Disposition.HOLD, Action.FORWARD: Disposition.FORWARD, Action.DROP: Disposition.DROP}
    violations = [Violation(Criterion.SUBJECT, action, "e", str(action)) for action in actions]
    disposition, reason, removed = decide(violations, scanned, "scanned", Found())
    strongest = max(actions, key=order.index, default=Action.LOG)
    blocked = means.get(strongest, Disposition.DELIVER)
    assert removed is (strongest in (Action.FORWARD, Action.DROP))
    assert disposition is (blocked if removed else max(blocked, scanned, key=strength))
    if blocked is not Disposition.DELIVER and disposition is blocked:
        assert f'subject "e": {strongest}' in reason
    assert ("scanned" in reason) is (not removed and disposition is scanned)


@pytest.mark.parametrize(
    ("section", "options"),
    [
        ("subject", ["drop", "log", "forward"]),
        ("containers", ["drop"]),
        ("encrypted", ["delete", "drop", "log", "forward"]),
        ("senders", ["drop", "log", "forward"]),
        ("block_lists", ["drop", "log", "forward"]),
    ],
)
def test_options_of_each_criterion(section: str, options: list[str]) -> None:
    """BLK-03: each is there, the first one is the default, and each is something that can be done to a message."""
    default = getattr(Blocking(), section).action
    assert default == options[0]
    assert set(options) <= {one.value for one in type(default)}
    done = [Action(one.value) for one in type(default) if one != "reject"]  # said at RCPT (DNSBL-06)
    for action in done:
        disposition, _, _ = decide((Violation(Criterion.SUBJECT, action),), Disposition.DELIVER, "", Found())
        assert (disposition is Disposition.DELIVER) is (action in (Action.LOG, Action.DELETE))


def test_order_of_the_criteria() -> None:
    """PROC-20: sender address, block lists, then content; each named in the reason if it leads to what is done."""
    hot = Violation(Criterion.SUBJECT, Action.DROP, "*hot*", "hot stuff")
    exe = Violation(Criterion.FILE_NAME, Action.DELETE, "*.exe", "a.exe", ("2",))
    room = Room(blocking(block_lists=LISTS, senders=Senders(True, ("@example.net",), MessageAction.LOG)))
    found = room.finds(Outcome(Facts(), Disposition.DROP, violations=[hot, exe]))
    assert [one.criterion for one in found.violations] == [
        Criterion.SENDER, Criterion.BLOCK_LIST, Criterion.SUBJECT, Criterion.FILE_NAME,
    ]  # fmt: skip
    assert found.reason.startswith("block-list") and 'subject "*hot*": hot stuff' in found.reason
    assert "@example.net" not in found.reason, "PROC-17: only logged"


def test_a_violation_is_named_once() -> None:
    """PROC-19: the scanner has named its own, and those of the sender come before."""
    held = Violation(Criterion.SUBJECT, Action.HOLD, "*hot*", "hot stuff")
    sender = Violation(Criterion.SENDER, Action.HOLD, "@example.net", "a@example.net")
    why = 'subject "*hot*": hot stuff; cannot be processed: 2: damaged'
    _, reason, _ = decide((sender, held), Disposition.HOLD, why, Found())
    assert reason == f'sender "@example.net": a@example.net; {why}'


def test_bounce_is_not_sent_to_forged_senders() -> None:
    """SCAN-08."""
    found = Found(spf="fail")
    assert decide((), Disposition.BOUNCE, "cannot be processed", found)[0] is Disposition.DROP
    assert decide((), Disposition.BOUNCE, "cannot be processed", Found(dmarc="fail"))[0] is Disposition.DROP
    assert decide((), Disposition.BOUNCE, "cannot be processed", Found(spf="softfail"))[0] is Disposition.BOUNCE


def test_reason_is_short_and_clean() -> None:
    many = [Violation(Criterion.FILE_NAME, Action.DROP, "*.exe", f"{number}\r\nX: y") for number in range(100)]
    reason = reason_of(many, Disposition.DROP)
    assert reason.endswith("and 95 more") and "\n" not in reason
    huge = [Violation(Criterion.SUBJECT, Action.DROP, "*", "x" * 100_000)]
    assert len(reason_of(huge, Disposition.DROP)) < 2000


def test_edits_of_what_is_not_delivered_are_void() -> None:
    """PROC-18: what is forwarded goes as it was received."""
    edits = [Splice(10, 20, b"")]
    exe = Violation(Criterion.FILE_NAME, Action.DELETE, "*.exe", "a.exe", ("2",))
    outcome = Outcome(Facts(), splices=edits, violations=[exe])
    assert Room(Settings()).finds(outcome).splices == tuple(edits)
    for action in (MessageAction.DROP, MessageAction.FORWARD):
        senders = Senders(True, ("@example.net",), action, TO)
        assert Room(blocking(senders=senders)).finds(outcome).splices == ()


def test_a_forward_that_comes_back_is_not_forwarded_again() -> None:
    """PROC-18: its address leads back here, and what was forwarded still breaks the rule: held instead of for ever."""
    hot = Violation(Criterion.SUBJECT, Action.FORWARD, "*hot*", "hot stuff", forward=TO)
    room = Room(blocking(subject=SubjectLines(True, ("*hot*",), MessageAction.FORWARD, TO)))
    for sender, reverse_path, disposition in (
        (room.own_address, "", Disposition.HOLD),
        (room.own_address, "a@example.net", Disposition.FORWARD),
        ("mailer-daemon@example.net", "", Disposition.FORWARD),
    ):
        evidence = Evidence(header=Header("hot stuff", (sender,), True))
        outcome = Outcome(Facts(), Disposition.FORWARD, evidence=evidence, violations=[hot])
        judgement = room.finds(outcome, reverse_path)
        assert judgement.disposition is disposition
        assert judgement.forwards == ((TO,) if disposition is Disposition.FORWARD else ())
        assert ("came back" in judgement.reason) is (disposition is Disposition.HOLD)


def test_notifications_are_for_what_was_found() -> None:
    """PROC-16, PROC-02: nothing is said about viruses in what was never scanned."""
    infected = Outcome(
        Facts(matches=[Match("Eicar", "1")]), infected=[InfectedFile("1", "", 9, ("Eicar",), Fate.DELETED)]
    )
    told: list[tuple[int, int]] = []

    def wanted(smtp_id: str, evidence: Evidence, violations: Sequence[Any], infections: Sequence[Any], *_: Any) -> Any:
        told.append((len(violations), len(infections)))
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.policy.notify.wanted", wanted)
        Room(Settings()).finds(infected)
        Room(blocking(senders=Senders(True, ("@example.net",)))).finds(infected)
        Room(blocking(senders=Senders(True, ("@example.net",), MessageAction.LOG))).finds(infected)
        Room(Settings()).finds()
    assert told == [(0, 1), (1, 0), (1, 1)]


# --- forged results -----------------------------------------------------------------------------------


def test_fields_with_our_name_are_taken_out() -> None:
    """RFC 8601 s5: those of others stay, and other edits stay as they are."""
    ours, other = (
        b"Authentication-Results: gateway.example; spf=pass\r\n",
        b"Authentication-Results: else; spf=pass\r\n",
    )
    data = b"A: b\r\n" + ours + other + ours + b"\r\nbody"
    at = len(b"A: b\r\n")
    fields = (
        ResultsField(at, at + len(ours), "gateway.example"),
        ResultsField(at + len(ours), at + len(ours) + len(other), "elsewhere.example"),
        ResultsField(at + len(ours) + len(other), at + 2 * len(ours) + len(other), "gateway.example"),
    )
    edits = [Splice(len(data) - 4, len(data), b"text")]
    result = without_results(edits, Claims(results_fields=fields), "gateway.example", len(data))
    assert spliced(data, list(result)) == b"A: b\r\n" + other + b"\r\ntext"
    settings = Settings(authentication=Authentication(enabled=True, authserv_id="Gateway.Example"))
    outcome = Outcome(Facts(), splices=list(edits), claims=Claims(results_fields=fields))
    room = Room(settings)
    found = room.finds(outcome)
    assert [one for one in found.splices if one not in edits] == [
        Splice(fields[0].start, fields[0].end, b""), Splice(fields[2].start, fields[2].end, b""),
    ]  # fmt: skip
    assert found.results.lower().startswith("gateway.example;")
    off = Settings(authentication=Authentication(enabled=True, add_results=False, authserv_id="gateway.example"))
    assert Room(off).finds(outcome).splices == tuple(edits) and Room(off).finds(outcome).results == ""


SPANS = st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans())


@given(st.lists(SPANS, max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=6))
def test_edits_stay_ordered_and_apart(spans: list[tuple[int, int, bool]], steps: list[tuple[int, int]]) -> None:
    """Whatever a scanner claims: inside the message, ordered, not overlapping, and no edit of the rewriter is lost."""
    edits, at = [], 0
    for gap, length in steps:
        edits.append(Splice(at + gap, at + gap + length, b"new"))
        at += gap + length
    size = max(at, 40)
    fields = tuple(ResultsField(start, end, "us" if mine else "them") for start, end, mine in spans)
    result = without_results(edits, Claims(results_fields=fields), "us", size)
    end = 0
    for splice in result:
        assert end <= splice.start <= splice.end <= size
        end = splice.end
    assert [one for one in result if one.data] == edits
