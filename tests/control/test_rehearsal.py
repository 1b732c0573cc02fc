"""What other settings would have done to past mail, from journals as gateways write them (PROC-16..21, BLK-02)."""
# ruff: noqa: E501 - a case a line

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

import control.rehearsal.past
from control.rehearsal.compare import compare, rehearse
from control.rehearsal.past import Past, newest
from control.rehearsal.treatment import Fate, Rules
from engine import config, events
from engine.config import Action, Blocking, Settings
from engine.policy.evidence import Authentication, Envelope, Evidence, File, Header, Listing

ROUTING = config.Routing(local=(config.Route("example.com", "10.0.0.5"),))
FORWARD = config.Forward("security@example.com", "Blocked")
MIB = 1 << 20


def settings(**blocking: Any) -> Settings:
    return Settings(routing=ROUTING, blocking=Blocking(**blocking))


def evidence(**fields: Any) -> Evidence:
    envelope = {
        "client": "198.51.100.7",
        "reverse_path": "a@sender.example",
        "forward_paths": ("b@example.com",),
        "size": 9,
    }
    header = {"subject": "hello", "senders": ("a@sender.example",)}
    envelope |= {key: fields.pop(key) for key in list(fields) if key in Envelope.__struct_fields__}
    header |= {key: fields.pop(key) for key in list(fields) if key in Header.__struct_fields__}
    return Evidence(Envelope(**envelope), Header(**header), **fields)  # type: ignore[arg-type]


def past(number: int, found: Evidence, *, examined: bool = True) -> Past:
    return Past(f"ID{number:03}", f"2026-01-01T00:00:{number:02}.000000Z", found, examined)


EXE = File("2", "2", ("setup.exe",))
INSIDE = File("3/x.exe", "3", ("x.exe",))
LOCKED = File("4", "4", ("a.zip",), encrypted=True)
LISTED = Listing("bl.example", ("127.0.0.2",))
BLOCK_LIST = (config.BlockList("bl.example", enabled=True),)
SUBJECT = config.SubjectLines(True, ("*hot*",))
FAILED = Authentication(spf="fail", dmarc="fail", dmarc_domain="sender.example", dmarc_policy="reject")

CASES: list[tuple[Evidence, dict[str, Any], Fate, str]] = [
    (evidence(), {}, Fate.DELIVERED, ""),
    (evidence(size=MIB), {"size": config.Size(True, 1)}, Fate.DELIVERED, ""),
    (evidence(size=MIB + 1), {"size": config.Size(True, 1)}, Fate.REFUSED, "size"),
    (evidence(size=MIB + 1), {"size": config.Size(False, 1)}, Fate.DELIVERED, ""),
    (evidence(reverse_path="a%b@x.example"), {"characters": config.Characters(True)}, Fate.REFUSED, "characters"),
    (evidence(forward_paths=("a!b@example.com",)), {"characters": config.Characters(True)}, Fate.REFUSED, "characters"),
    (evidence(forward_paths=("a!b@example.com", "c@example.com")), {"characters": config.Characters(True)},
     Fate.PARTLY_REFUSED, "characters"),
    (evidence(forward_paths=("x@far.example",)), {}, Fate.REFUSED, "relay"),
    (evidence(forward_paths=("x@far.example", "b@example.com")), {}, Fate.PARTLY_REFUSED, "relay"),
    (evidence(subject="so hot!"), {"subject": SUBJECT}, Fate.DROPPED, "subject"),
    (evidence(subject="so hot!"), {"subject": config.SubjectLines(False, ("*hot*",))}, Fate.DELIVERED, ""),
    (evidence(), {"senders": config.Senders(True, ("@sender.example",), config.MessageAction.LOG)}, Fate.LOGGED, "sender"),
    (evidence(senders=("z@other.example",)), {"senders": config.Senders(True, ("@other.example",))}, Fate.DROPPED, "sender"),
    (evidence(files=(EXE,)), {"files": config.FileNames(True)}, Fate.STRIPPED, "file-name"),
    (evidence(files=(INSIDE,)), {"files": config.FileNames(True)}, Fate.DELIVERED, ""),
    (evidence(files=(INSIDE,)), {"files": config.FileNames(True, in_containers=True)}, Fate.STRIPPED, "file-name"),
    (evidence(files=(LOCKED,)), {}, Fate.STRIPPED, "encrypted"),
    (evidence(files=(LOCKED,)), {"encrypted": config.Encrypted(action=config.ContainerAction.HOLD)}, Fate.HELD, "encrypted"),
    (evidence(limit="depth", limit_part="1"), {}, Fate.DROPPED, "container-limit"),
    (evidence(listings=(LISTED,)), {"block_lists": config.BlockLists(BLOCK_LIST)}, Fate.DROPPED, "block-list"),
    (evidence(listings=(LISTED,)), {"block_lists": config.BlockLists(BLOCK_LIST, config.ListAction.REJECT)},
     Fate.REFUSED, "block-list"),
    (evidence(listings=(LISTED,)), {"block_lists": config.BlockLists(BLOCK_LIST, config.ListAction.FORWARD, FORWARD)},
     Fate.FORWARDED, "block-list"),
    (evidence(listings=(LISTED,)), {"block_lists": config.BlockLists(BLOCK_LIST),
     "white_list": config.WhiteList(True, ("@sender.example",))}, Fate.DELIVERED, ""),
    (evidence(authentication=FAILED), {"dmarc": config.Dmarc(True)}, Fate.HELD, "dmarc"),
    (evidence(authentication=FAILED), {"dmarc": config.Dmarc(True, quarantine=config.MessageAction.DROP,
     corroborated=True)}, Fate.HELD, "dmarc"),
]  # fmt: skip


@pytest.mark.parametrize(("found", "blocking", "fate", "criterion"), CASES)
def test_each_criterion_is_judged_from_evidence(
    found: Evidence, blocking: dict[str, Any], fate: Fate, criterion: str
) -> None:
    """BLK-01, BLK-02, SIZE-01, SUBJ-01, FILE-01, FILE-07, CONT-08, ENC-02, SNDR-01, DNSBL-06, WL-03, CHAR-01, RELAY-11: as the
    gateway judges, since it is the same code."""
    treatment = Rules(settings(**blocking)).treat(found)
    assert treatment.fate is fate
    assert treatment.criteria == ({criterion} if criterion else set())


def test_the_strongest_action_is_the_fate() -> None:
    """PROC-19: drop, forward, hold, delete part, log only."""
    found = evidence(subject="so hot!", files=(EXE, LOCKED))
    stages: list[tuple[config.MessageAction, Fate]] = [
        (config.MessageAction.LOG, Fate.STRIPPED),
        (config.MessageAction.HOLD, Fate.HELD),
        (config.MessageAction.FORWARD, Fate.FORWARDED),
        (config.MessageAction.DROP, Fate.DROPPED),
    ]
    for action, fate in stages:
        subject = config.SubjectLines(True, ("*hot*",), action, FORWARD)
        treatment = Rules(settings(subject=subject, files=config.FileNames(True))).treat(found)
        assert treatment.fate is fate
        assert treatment.criteria == {"subject", "encrypted", "file-name"}, "all are told"
    assert [one.value for one in Action] == ["drop", "forward", "hold", "delete", "log"]


def test_changes_are_listed_with_before_after_and_why() -> None:
    messages = [past(3, evidence(subject="so hot!")), past(2, evidence(files=(EXE,))), past(1, evidence())]
    before = settings(files=config.FileNames(True))
    after = settings(subject=SUBJECT)
    told = compare(messages, before, after)
    assert (told.messages, told.changed) == (3, 2)
    first, second = told.changes
    assert (first.smtp_id, first.subject, first.before, first.after) == ("ID003", "so hot!", "delivered", "dropped")
    assert first.why == 'subject "*hot*": so hot!'
    assert (second.before, second.after) == ("stripped (2)", "delivered")
    assert second.why == 'no longer file-name "*.exe": setup.exe'
    counts = {one.criterion: (one.before, one.after) for one in told.criteria}
    assert counts == {"file-name": (1, 0), "subject": (0, 1)}
    fates = {one.criterion: (one.before, one.after) for one in told.fates}
    assert fates == {"delivered": (2, 2), "dropped": (0, 1), "stripped": (1, 0)}
    assert (told.since, told.until) == (messages[2].time, messages[0].time)
    backwards = compare(messages, after, before)
    assert [(one.before, one.after) for one in backwards.changes] == [(one.after, one.before) for one in told.changes]


def test_another_address_or_part_is_another_treatment() -> None:
    """PROC-18: forwarded elsewhere is a change, though it is forwarded before and after."""

    def forwarding(to: str) -> Settings:
        return settings(subject=config.SubjectLines(True, ("*",), config.MessageAction.FORWARD, config.Forward(to)))

    told = compare([past(1, evidence())], forwarding("a@example.com"), forwarding("b@example.com"))
    assert (told.changes[0].before, told.changes[0].after) == ("forwarded (a@example.com)", "forwarded (b@example.com)")


def test_only_so_many_are_listed_and_all_counted() -> None:
    messages = [past(number, evidence(subject="so hot!")) for number in range(9, -1, -1)]
    told = compare(messages, settings(), settings(subject=SUBJECT), listed=3)
    assert told.changed == 10 and [one.smtp_id for one in told.changes] == ["ID009", "ID008", "ID007"]


SENDERS = config.Senders(True, ("@sender.example",))


@pytest.mark.parametrize(
    ("after", "found", "setting"),
    [
        (Settings(antivirus=config.Antivirus(unscanned=config.UnscannedAction.DROP)), evidence(), "antivirus.unscanned"),
        (settings(containers=config.ContainerLimits(depth=3)), evidence(), "blocking.containers.depth"),
        (settings(encrypted=config.Encrypted(end_to_end=True)), evidence(), "blocking.encrypted.end_to_end"),
        (settings(files=config.FileNames(True)), evidence(files_left_out=1), "blocking.files"),
        (settings(block_lists=config.BlockLists(BLOCK_LIST)), evidence(), "blocking.block_lists.lists"),
        (settings(dmarc=config.Dmarc(True)), evidence(), "blocking.dmarc"),
        (settings(white_list=config.WhiteList(True, ("@x.example",), True)), evidence(), "blocking.white_list.confirmed"),
        (Settings(routing=ROUTING, relay=config.Relay(hosts=("mail.far.example",))), evidence(forward_paths=("x@y.example",)),
         "relay"),
        (Settings(routing=ROUTING, relay=config.Relay(grants=(config.Grant("198.51.100.7", header="X", value="y"),))),
         evidence(forward_paths=("x@y.example",)), "relay"),
        (Settings(routing=ROUTING, relay=config.Relay(grants=(config.Grant(tls_name="a.example"),))), evidence(), "relay.grants"),
        (Settings(routing=ROUTING, delivery=config.Delivery(reject_incoming=True)), evidence(), "delivery.reject_incoming"),
    ],
)  # fmt: skip
def test_what_evidence_does_not_tell_is_said(after: Settings, found: Evidence, setting: str) -> None:
    """DNSBL-02, CONT-02, WL-05: nobody is to take silence for "nothing would change"."""
    told = compare([past(1, found)], settings(), msgspec.structs.replace(after, routing=ROUTING))
    assert [one.setting for one in told.not_judged] == [setting]
    assert told.not_judged[0].why


@pytest.mark.parametrize(
    "after", [settings(subject=SUBJECT), settings(senders=SENDERS), settings(size=config.Size(True, 1))]
)
def test_what_evidence_tells_needs_no_excuse(after: Settings) -> None:
    assert compare([past(1, evidence())], settings(), after).not_judged == []
    unread = compare([past(1, evidence(), examined=False)], settings(), after)
    assert [one.setting for one in unread.not_judged] == ["blocking"]


def test_texts_and_names_change_nothing() -> None:
    after = msgspec.structs.replace(settings(), antivirus=config.Antivirus(text="gone", add_text=False))
    after = msgspec.structs.replace(after, smtp=config.Smtp(from_name="x"))
    assert compare([past(1, evidence())], settings(), after).not_judged == []


@hypothesis_settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([found for found, *_ in CASES]), max_size=6),
    st.sampled_from(CASES),
    st.sampled_from(CASES),
)
def test_the_same_settings_change_nothing_and_counts_add_up(found: list[Evidence], one: Any, other: Any) -> None:
    messages = [past(number, each) for number, each in enumerate(found)]
    before, after = settings(**one[1]), settings(**other[1])
    assert compare(messages, before, before).changed == 0
    told = compare(messages, before, after)
    assert sum(count.before for count in told.fates) == sum(count.after for count in told.fates) == len(messages)
    assert told.changed == compare(messages, after, before).changed <= len(messages)


# --- the journal --------------------------------------------------------------------------------------


def accepted(second: int, smtp_id: str) -> events.Accepted:
    return events.Accepted(
        time=f"2026-01-02T00:00:{second:02}.000000Z", smtp_id=smtp_id, reverse_path="a@sender.example",
        forward_paths=("b@example.com",), size=MIB + 1, client="198.51.100.7", connection_id="c",
    )  # fmt: skip


def scanned(second: int, smtp_id: str, found: Evidence) -> events.Scanned:
    return events.Scanned(
        time=f"2026-01-02T00:00:{second:02}.000000Z", smtp_id=smtp_id, verdict="clean", evidence=found
    )


def write(folder: Path, process: str, day: str, lines: Iterable[events.Event | bytes]) -> None:
    with (folder / f"{process}-{day}.jsonl").open("wb") as file:
        for one in lines:
            file.write(one if isinstance(one, bytes) else msgspec.json.encode(one) + b"\n")


def test_the_journal_is_read_from_its_end(tmp_path: Path) -> None:
    """PROC-25: relays, days, messages that wait for midnight, scans that were repeated, torn lines."""
    hot = evidence(subject="so hot!")
    write(tmp_path, "relay-0", "2026-01-01", [accepted(1, "OLD"), scanned(1, "OLD", hot), accepted(2, "MIDNIGHT")])
    write(tmp_path, "relay-0", "2026-01-02", [
        scanned(3, "MIDNIGHT", hot), events.Completed(smtp_id="OLD"), accepted(5, "TWICE"),
        scanned(6, "TWICE", evidence()), b'{"event":"scanned","torn\n', b"\n", scanned(7, "TWICE", hot), accepted(9, "WAITS"),
        b'{"event":"accepted","smtp_id":"half',
    ])  # fmt: skip
    write(tmp_path, "relay-1", "2026-01-02", [accepted(4, "OTHER"), scanned(4, "OTHER", Evidence(header=Header("x")))])
    write(tmp_path, "relay-2", "2026-01-02", [])
    write(tmp_path, "control", "2026-01-02", [events.ServiceStarted(version="1")])
    found = list(newest(tmp_path, 10))
    assert [one.smtp_id for one in found] == ["WAITS", "TWICE", "OTHER", "MIDNIGHT", "OLD"]
    assert [one.examined for one in found] == [False, True, True, True, True]
    assert [one.subject for one in found] == ["", "so hot!", "x", "so hot!", "so hot!"]
    assert found[0].evidence.envelope.size == found[2].evidence.envelope.size == MIB + 1
    assert [one.smtp_id for one in newest(tmp_path, 2)] == ["WAITS", "TWICE"]
    told = rehearse(tmp_path, settings(), settings(subject=SUBJECT), last=3)
    assert [one.smtp_id for one in told.changes] == ["TWICE"] and told.messages == 3


def test_the_last_messages_cost_the_same_however_much_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as much of the journal is read as is asked for."""
    read = 0
    backwards = control.rehearsal.past._backwards

    def counted(path: Path) -> Iterable[bytes]:
        nonlocal read
        for line in backwards(path):
            read += 1
            yield line

    monkeypatch.setattr(control.rehearsal.past, "_backwards", counted)
    lines = [
        event for number in range(500) for event in (accepted(1, f"N{number}"), scanned(1, f"N{number}", evidence()))
    ]
    for day in ("2026-01-01", "2026-01-02"):
        write(tmp_path, "relay-0", day, lines)
    assert [one.smtp_id for one in newest(tmp_path, 5)] == [f"N{number}" for number in range(499, 494, -1)]
    assert read <= 2 * 5 + 2


def test_mail_that_nobody_had_to_read(tmp_path: Path) -> None:
    """With every criterion off only the envelope is known, and that is said."""
    unread = Evidence(evidence().envelope, listings=(LISTED,))
    write(
        tmp_path,
        "relay-0",
        "2026-01-02",
        [accepted(1, "A"), scanned(1, "A", unread), accepted(2, "B"), scanned(2, "B", evidence())],
    )
    assert [(one.smtp_id, one.examined) for one in newest(tmp_path, 9)] == [("B", True), ("A", False)]
    (gap,) = rehearse(tmp_path, settings(), settings(subject=SUBJECT)).not_judged
    assert gap.setting == "blocking" and gap.why.startswith("1 of 2 messages")


def test_a_journal_without_mail(tmp_path: Path) -> None:
    told = rehearse(tmp_path, settings(), settings(subject=SUBJECT))
    assert (told.messages, told.changed, told.since) == (0, 0, "")
