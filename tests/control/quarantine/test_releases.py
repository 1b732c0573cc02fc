"""Releases: remembered before anything is done, done once, and told as the journal has it."""

import hashlib
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from control.quarantine import letter, memory, releases
from control.quarantine.link import Link, LinkFailed
from control.quarantine.memory import Memory
from control.quarantine.releases import Releases
from control.quarantine_server.protocol import Item as WireItem
from control.quarantine_server.protocol import Order, OrderResult, OrderState
from engine import events
from engine.command import Answer, Command
from engine.config import Quarantine, Settings
from engine.layout import Layout
from engine.quarantine import sealed
from engine.quarantine.folder import Folder
from engine.quarantine.item import Item, item_id
from tests.control.hostile import WORDS, in_quarantine

CONTENT = b"a harmless marker of the releases"
TO = ("ann@example.com", "bob@example.com")
SMTP_ID = "1N4ABCDEV0009"


class Server(Link):
    """Has a file, and hears results. failure: what it says instead."""

    def __init__(self, root: Path) -> None:
        super().__init__(Quarantine(server="q.example.org"), root)
        self.results: list[OrderResult] = []
        self.failure: LinkFailed | None = None
        self.stands = True
        self.has = CONTENT

    def content(self, order: str, size: int) -> Iterator[bytes]:
        if self.failure:
            raise self.failure
        yield self.has[:5]
        yield self.has[5:]

    def result(self, order: str, result: OrderResult) -> bool:
        if self.failure:
            raise self.failure
        self.results.append(result)
        return self.stands


class Room:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.now = 1_900_000_000.0
        self.told: list[events.Event] = []
        self.story: list[events.Event] = []
        self.asked: list[Command] = []
        self.carried: list[bytes] = []
        self.relay: Any = lambda command: Answer(True, count=1, id=SMTP_ID)
        self.server = Server(root)
        self.memory = Memory(self.layout.control / "quarantine.sqlite")
        self.releases = self.made()
        (self.layout.run / "relay-0.sock").touch()
        monkeypatch.setattr(releases, "send", self.send)

    def made(self) -> Releases:
        return Releases(
            self.layout, Folder(self.layout.quarantine), self.memory, Settings, lambda: "gw.example.com",
            self.told.append, self.events_of, lambda: self.now,
        )  # fmt: skip

    def events_of(self, smtp_id: str) -> Sequence[events.Event]:
        return self.story if smtp_id == SMTP_ID else []

    def send(self, path: Path, command: Command, timeout_s: float) -> Answer:
        self.asked.append(command)
        for folder in (Folder(self.layout.quarantine), Folder(self.layout.quarantine / "releases")):
            if (entry := folder.find(command.item)) is not None:
                self.carried.append(b"".join(folder.content(entry)[1]))
        answer = self.relay(command)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Answer)
        return answer

    def step(self, link: Link | None = None) -> None:
        self.releases.step()
        self.releases.step_ordered(link)

    def state(self) -> tuple[OrderState, str]:
        [one] = self.memory.latest(9)
        return one.state, one.text

    def delivered(self, to: str) -> None:
        self.story.append(
            events.Delivered(
                smtp_id=SMTP_ID, reverse_path="", forward_path=to, server="mx", connection_id="c", reply="250 ok"
            )
        )


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    one = Room(tmp_path, monkeypatch)
    yield one
    one.memory.close()


def local(room: Room) -> Item:
    item = in_quarantine(room.layout.root, CONTENT, "1N4ABCDEV0001", name="tool.exe", viruses=("Test.Marker",))
    room.releases.order(item, TO, "admin", "as you asked")
    return item


def order(room: Room, number: int = 0xEF, **known: Any) -> Order:
    """About a file that was put aside here and sent on."""
    room.layout.quarantine.mkdir(exist_ok=True)
    smtp_id, part, sha256 = "1N4ABCDEV0001", "1.2", hashlib.sha256(CONTENT).hexdigest()
    id_ = item_id(sealed.key_of(room.layout.quarantine), smtp_id, part, sha256)
    given: dict[str, Any] = {"id": id_, "sha256": sha256, "size": len(CONTENT), "smtp_id": smtp_id, "part": part}
    return Order(f"{number:032x}", WireItem(name="tool.exe", **(given | known)), TO, "carol", "2026-03-01T09:30:00Z")


def test_only_what_the_next_hop_took_is_delivered(room: Room) -> None:
    """QRN-06: the state is that of the real delivery, recipient by recipient."""
    item = local(room)
    room.step()
    [command] = room.asked
    assert (command.op, command.to, command.item, command.sha256) == ("submit-item", TO, item.id, item.sha256)
    assert room.carried == [CONTENT] and room.state() == (OrderState.PICKED_UP, "")
    [released] = room.told
    assert isinstance(released, events.QuarantineReleased) and (released.smtp_id, released.by) == (SMTP_ID, "admin")
    room.delivered(TO[0])
    room.step()
    assert room.state()[0] is OrderState.PICKED_UP and len(room.memory.latest(1)[0].results) == 1
    room.delivered(TO[1])
    room.step()
    assert room.state()[0] is OrderState.DELIVERED and not room.memory.open()[0]
    room.step()
    assert len(room.asked) == 1


@pytest.mark.parametrize(
    "end",
    [
        events.DeliveryFailed(smtp_id=SMTP_ID, forward_path=TO[1], reason="550 no"),
        events.DeliverySuppressed(smtp_id=SMTP_ID, forward_path=TO[1], reverse_path="", reason="550 no"),
        events.Dropped(smtp_id=SMTP_ID, reason="550 no"),
        events.Completed(smtp_id=SMTP_ID),
    ],
)
def test_what_did_not_reach_all_has_failed(room: Room, end: events.Event) -> None:
    """QRN-06."""
    local(room)
    room.step()
    room.delivered(TO[0])
    room.story.append(end)
    room.step()
    [one] = room.memory.latest(9)
    assert one.state is OrderState.FAILED and one.results[0].delivered
    assert [result.reply for result in one.results[1:]] in ([], ["550 no"])


def test_a_relay_that_cannot_just_now_is_asked_again_by_the_same_word(room: Room) -> None:
    """QRN-06: also after the pages were killed in between: the relay knows by the word what it took."""
    local(room)
    for answer in (TimeoutError("no answer"), ConnectionRefusedError(), Answer(False, "full", again=True)):
        room.relay = lambda command, answer=answer: answer
        room.step()
        assert room.state()[0] is OrderState.ORDERED and "again" in room.state()[1]
    room.relay = lambda command: Answer(True, count=1, id=SMTP_ID)
    room.made().step()
    assert room.state()[0] is OrderState.PICKED_UP
    assert len({command.id for command in room.asked}) == 1


def test_what_cannot_be_sent_at_all_says_why(room: Room) -> None:
    item = local(room)
    room.relay = lambda command: Answer(False, "the file is not the one that was ordered")
    room.step()
    assert room.state() == (OrderState.FAILED, "Not sent: the file is not the one that was ordered")
    folder = Folder(room.layout.quarantine)
    [entry] = folder.entries()
    folder.delete(entry)
    room.releases.order(item, TO, "admin", "")
    room.step()
    assert room.memory.latest(1)[0].text == releases.NO_FILE


def test_an_order_of_the_server_is_done_once(room: Room) -> None:
    """QRN-06: fetched, checked against its digest, sent, reported; nothing of it stays here."""
    room.releases.ordered(order(room))
    room.releases.ordered(order(room))
    assert room.state()[0] is OrderState.ORDERED
    room.step(room.server)
    assert room.carried == [CONTENT] and [one.state for one in room.server.results] == [OrderState.PICKED_UP] * 2
    room.releases.ordered(order(room))
    for to in TO:
        room.delivered(to)
    room.server.failure = LinkFailed("down")
    room.step(room.server)
    room.server.failure = None
    room.step(room.server)
    room.step(room.server)
    assert [one.state for one in room.server.results] == [OrderState.PICKED_UP] * 2 + [OrderState.DELIVERED]
    assert len(room.asked) == 1 and not room.memory.open()[0]
    assert not list((room.layout.quarantine / "releases").glob("*-*"))


@pytest.mark.parametrize("other", [CONTENT + b"!", CONTENT[:-1] + b"!", CONTENT[:-1]])
def test_another_file_than_the_one_that_was_ordered_is_not_sent(room: Room, other: bytes) -> None:
    """QRN-06: the exemption is for one file, known by its digest."""
    room.server.has = other
    room.releases.ordered(order(room))
    room.step(room.server)
    assert room.asked == [] and "cannot be fetched" in room.state()[1]
    assert not list((room.layout.quarantine / "releases").glob("*-*"))


def test_orders_that_cannot_be_followed_wait_or_end(room: Room) -> None:
    room.releases.ordered(order(room))
    room.server.failure = LinkFailed("down")
    room.step(room.server)
    room.step()
    assert room.state()[0] is OrderState.ORDERED
    room.server.failure = LinkFailed("withdrawn", 404)
    room.step(room.server)
    assert room.state() == (OrderState.FAILED, "The central server has withdrawn it.")
    room.server.failure, room.server.stands = None, False
    room.step(room.server)
    room.step(room.server)
    assert len(room.server.results) == 1 and not room.memory.open()[0]  # it does not want to hear of it any more


def test_the_letter(room: Room) -> None:
    """NTF-17: no value of strangers makes a field of the mail."""
    item = Item(
        id="0" * 32, smtp_id="0" * 13, sha256="ab", size=3, name=f"a\r\nBcc: x{WORDS}", subject="s\r\nBcc: y",
        sender='"x\r\nBcc: z"@example.org', viruses=(WORDS,),
    )  # fmt: skip
    author = letter.Author("Gateway", "gw@example.com", "gw.example.com")
    octets = letter.head(item, TO, "line\r\nBcc: q", author, "f" * 32, 1.9e9) + b"YWJj\r\n" + letter.tail("f" * 32)
    mail = message_from_bytes(octets, policy=default)
    assert mail["bcc"] is None and mail["to"].addresses[1].addr_spec == TO[1] and not mail.defects
    text, file = mail.iter_parts()
    assert file.get_payload(decode=True) == b"abc" and "Bcc" in str(file.get_filename())
    assert "SHA-256: ab" in text.get_content() and not file.keys()[0].lower().startswith("bcc")
    assert all(len(line) < 998 for line in octets.split(b"\r\n"))


def test_the_oldest_that_have_ended_are_forgotten(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "KEPT", 3)
    room.relay = lambda command: Answer(False, "no")
    for _ in range(5):
        local(room)
        room.step()
    assert len(room.memory.latest(99)) <= 4


def test_a_file_is_not_released_twice_to_the_same_person(room: Room) -> None:
    """QRN-06: two presses of one button are one mail; afterwards it may be ordered again, and to others at once."""
    item = local(room)
    with pytest.raises(memory.IsOpen):
        room.releases.order(item, TO[:1], "admin", "")
    room.releases.order(item, ("carol@example.com",), "admin", "")
    room.step()
    assert len(room.asked) == 2
    with pytest.raises(memory.IsOpen):
        room.releases.order(item, TO[1:], "admin", "")
    room.story.append(events.Completed(smtp_id=SMTP_ID))
    room.step()
    room.releases.order(item, TO, "admin", "")


def test_what_is_never_told_of_ends(room: Room) -> None:
    """QRN-06: without a journal a release does not stay open for ever."""
    local(room)
    room.step()
    room.now += releases.FOLLOWED_S
    room.step()
    assert room.state()[0] is OrderState.PICKED_UP
    room.now += 1
    room.step()
    assert room.state() == (OrderState.FAILED, releases.UNTOLD)


@pytest.mark.parametrize(
    "other", [{"id": "cd" * 16}, {"sha256": "ab" * 32}, {"smtp_id": "1N4ABCDEV0002"}, {"part": "1"}]
)
def test_the_server_can_only_release_what_was_put_aside_here(room: Room, other: dict[str, Any]) -> None:
    """QRN-06: whoever has the server cannot have a gateway send anything else."""
    room.releases.ordered(order(room, **other))
    room.step(room.server)
    assert room.state() == (OrderState.FAILED, releases.NOT_OURS)
    assert room.asked == [] and [one.state for one in room.server.results] == [OrderState.FAILED]


def test_a_file_that_is_larger_than_any_here_is_not_fetched(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: a server cannot fill the disk."""
    monkeypatch.setattr(releases, "QUARANTINE_TAKEN_LEN", len(CONTENT))
    room.releases.ordered(order(room))
    room.releases.ordered(order(room, 2, size=len(CONTENT) + 1))
    room.step(room.server)
    assert [one.text for one in room.memory.latest(9)] == [releases.NOT_OURS, ""] and len(room.asked) == 1


def test_an_order_that_was_withdrawn_while_no_relay_ran_is_not_carried_out(room: Room) -> None:
    """QRN-06: the server is told before the mail is made, and cannot withdraw it from then on."""
    room.releases.ordered(order(room))
    room.server.stands = False
    room.step(room.server)
    assert room.state() == (OrderState.FAILED, releases.WITHDRAWN)
    assert room.asked == [] and not room.memory.open()[0]
    room.step(room.server)
    assert not Folder(room.layout.quarantine / "releases").entries()


def test_it_is_told_once_that_an_order_is_begun(room: Room) -> None:
    room.relay = lambda command: ConnectionRefusedError()
    room.releases.ordered(order(room))
    room.step(room.server)
    room.step(room.server)
    assert len(room.server.results) == 1 and len(room.asked) == 2


def test_a_server_that_does_not_answer_is_asked_once_in_a_step(room: Room) -> None:
    """QRN-05: and what was ordered here does not wait for it; one file is fetched at a time."""
    for number in range(3):
        room.releases.ordered(order(room, number))
    asked = []
    fetched = room.server.content

    def content(order: str, size: int) -> Iterator[bytes]:
        asked.append(order)
        return fetched(order, size)

    room.server.content = content  # type: ignore[method-assign]
    room.server.failure = LinkFailed("does not answer")
    room.releases.step_ordered(room.server)
    assert len(asked) == 1
    local(room)
    room.step()
    assert len(room.asked) == 1


def test_none_waits_behind_others_that_cannot_be_carried_out(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-06."""
    monkeypatch.setattr(memory, "AT_ONCE", 2)
    for number in range(4):
        room.releases.ordered(order(room, number))
    local(room)
    for _ in range(3):
        room.releases.step()
    assert len(room.asked) == 1


def test_endless_orders_are_bounded(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: those that there is no room for are told of again when others have ended."""
    monkeypatch.setattr(memory, "OPEN", 3)
    for number in range(5):
        room.releases.ordered(order(room, number))
    assert len(room.memory.latest(9)) == 3
    local(room)
    assert len(room.memory.latest(9)) == 4


def test_a_full_disk_holds_up_no_other_order(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """QRN-05: nor anything that was ordered here."""
    room.releases.ordered(order(room))

    def full(path: Path, key: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sealed, "Writer", full)
    room.releases.step_ordered(room.server)
    assert "No space left" in room.state()[1]


def test_what_was_fetched_does_not_stay_when_the_pages_are_killed_behind_the_relay(room: Room) -> None:
    room.releases.ordered(order(room))
    room.releases.step_ordered(room.server)
    item = room.memory.latest(1)[0].item
    source = in_quarantine(room.layout.root, CONTENT, "1N4ABCDEV0007")
    left = room.layout.quarantine / "releases" / f"{item.stem}.item"
    (room.layout.quarantine / f"{source.stem}.item").rename(left)
    assert left.exists()
    room.delivered(TO[0])
    room.delivered(TO[1])
    room.releases.step_ordered(room.server)
    assert not left.exists()
