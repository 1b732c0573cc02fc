"""Notices of relaying and of delay, through the pipeline: once each, durable, to none who did not ask (RFC 3461)."""

import email
import errno
import re
from pathlib import Path

import pytest

from engine import events
from engine.config import Blocking, BlockList, BlockLists, Delivery, ListAction, Settings
from engine.delivery.trace import rfc5322
from engine.policy.evidence import Listing
from engine.queue.record import Disposition, Recipient, Result
from engine.queue.state import SLOW, MessageState
from engine.scan.facts import Facts
from engine.scan.outcome import Outcome
from tests.engine.pipeline_room import HOUR_NS, Room, run

SENDER = "sender@example.net"
SUCCESS = Recipient("user@example.com", notify="SUCCESS,FAILURE")
DELAY = Recipient("user@example.com", notify="DELAY")


def notices(room: Room) -> list[tuple[list[str], list[str]]]:
    """Actions and final recipients of each notice that was sent."""
    found = []
    for received, content in room.sent:
        if received.internal:
            assert (received.reverse_path, received.recipients) == ("", (Recipient(SENDER, notify="NEVER"),))
            text = email.message_from_bytes(content).as_string()
            found.append((re.findall(r"Action: (\w+)", text), re.findall(r"Final-Recipient: rfc822; (\S+)", text)))
    return found


async def settle(room: Room, *messages: MessageState) -> None:
    await room.until(lambda: all(one.done for one in messages) and not room.pipeline._tasks, "all is done")


def test_success_is_told_where_the_next_hop_does_not(tmp_path: Path) -> None:
    """RFC 3461 s5.2.2: one notice for all recipients that asked for it."""

    async def test(room: Room) -> None:
        message = await room.accept(SUCCESS, "other@example.com", Recipient("third@example.com", notify="SUCCESS"))
        await settle(room, message)
        assert notices(room) == [(["relayed", "relayed"], ["user@example.com", "third@example.com"])]
        assert not room.said(events.DeliveryFailed)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("recipient", "sender", "takes_dsn"),
    [
        (SUCCESS, SENDER, True),
        (SUCCESS, "", False),
        (Recipient("user@example.com", notify="NEVER"), SENDER, False),
        (Recipient("user@example.com"), SENDER, False),
    ],
)
def test_no_notice_of_success(tmp_path: Path, recipient: Recipient, sender: str, takes_dsn: bool) -> None:
    """RFC 3461 s5.2.1: the next hop does it; s5.2.3, PROC-09: to the null reverse-path nothing is said."""

    async def test(room: Room) -> None:
        room.takes_dsn = takes_dsn
        await settle(room, await room.accept(recipient, sender=sender))
        assert len(room.sent) == 1

    run(tmp_path, test)


@pytest.mark.parametrize("disposition", [Disposition.DROP, Disposition.FORWARD, Disposition.BOUNCE])
def test_what_policy_removes_is_no_success(tmp_path: Path, disposition: Disposition) -> None:
    """PROC-16, PROC-18: dropped and forwarded are not delivered."""

    async def test(room: Room) -> None:
        room.outcome = lambda smtp_id: Outcome(Facts(), disposition, "not wanted")
        message = await room.accept(SUCCESS)
        await room.until(lambda: not room.pipeline._tasks and (message.done or message.place != "fast"), "dealt with")
        assert [actions for actions, _ in notices(room)] == [["failed"]] * (disposition is Disposition.BOUNCE)

    run(tmp_path, test)


def test_notice_without_room_is_made_later_and_the_mail_is_delivered_once(tmp_path: Path) -> None:
    """PROC-11, PROC-14: what was delivered stays so, over a restart too; its sender hears of it when there is room."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        message = await room.accept(SUCCESS)
        begin, room.store.begin = room.store.begin, None  # type: ignore[assignment, method-assign]
        room.scan_gate.set()
        await room.until(lambda: room.sent and not room.pipeline._tasks, "delivered, and no room for the notice")
        assert message.results == [Result.DELIVERED] and not message.done
        room.store.begin = begin  # type: ignore[method-assign]
        await room.die_and_start()
        await room.until(lambda: len(room.said(events.Completed)) == 2 and not room.pipeline._tasks, "completed")
        assert notices(room) == [(["relayed"], ["user@example.com"])]
        assert [one.id for one, _ in room.sent].count(message.id) == 1

    run(tmp_path, test)


def test_notice_on_a_full_disk(tmp_path: Path) -> None:
    """PROC-11: the message waits with its debt."""

    async def test(room: Room) -> None:
        room.scan_gate.clear()
        message = await room.accept(SUCCESS)
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync", "allocate")
        room.scan_gate.set()
        await room.until(lambda: room.sent and not room.pipeline._tasks, "no room")
        assert not message.done and message.relayed
        room.disk.heal()
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await settle(room, message)
        await room.until(lambda: notices(room), "told")
        assert [one.id for one, _ in room.sent].count(message.id) == 1

    run(tmp_path, test)


def test_success_is_told_once_while_others_wait(tmp_path: Path) -> None:
    """PROC-05: one recipient was relayed, another waits in the slow queue, and the relay dies meanwhile."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.PENDING if "wait" in address else Result.DELIVERED
        message = await room.accept("wait@example.org", SUCCESS)
        await room.until(lambda: message.place == SLOW and notices(room) and not room.pipeline._tasks, "slow")
        await room.die_and_start()
        room.answer = lambda smtp_id, address: Result.DELIVERED
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: len(room.said(events.Completed)) == 2 and not room.pipeline._tasks, "completed")
        assert notices(room) == [(["relayed"], ["user@example.com"])], "once, in spite of the restart"

    run(tmp_path, test)


def test_delay_is_told_once(tmp_path: Path) -> None:
    """DLV-05: after delay_warning_hours, to whom asked for it, once for each recipient, also over restarts."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.DELIVERED if address == SENDER else Result.PENDING
        room.next_hop = ""
        message = await room.accept(DELAY, "silent@example.com", Recipient("success@example.com", notify="SUCCESS"))
        accepted_ns = room.now_ns
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        while room.now_ns < accepted_ns + 4 * HOUR_NS - 1:
            room.now_ns = min(message.due_ns, accepted_ns + 4 * HOUR_NS - 1)
            room.pipeline.slow.wake()
            await room.until(lambda: not room.pipeline._tasks, "tried")
            assert not notices(room)
        assert message.due_ns == accepted_ns + 4 * HOUR_NS, "it is tried then, whatever the interval is"
        room.now_ns = message.due_ns
        room.pipeline.slow.wake()
        await room.until(lambda: notices(room) and not room.pipeline._tasks, "told")
        for _ in range(2):
            for _ in range(3):
                room.now_ns += 3 * HOUR_NS
                room.pipeline.slow.wake()
                await room.until(lambda: not room.pipeline._tasks, "tried")
            await room.die_and_start()
        assert notices(room) == [(["delayed"], ["user@example.com"])]

    run(tmp_path, test)


def test_delay_is_told_to_all_if_the_settings_say_so(tmp_path: Path) -> None:
    """DLV-05: off by default; never to who said otherwise, and never of mail of our own."""

    async def test(room: Room) -> None:
        delivery = Delivery(retry_first_s=600, delay_warning_hours=1, warn_of_delay=True)
        room.settings = Settings(delivery=delivery)
        room.answer = lambda smtp_id, address: Result.DELIVERED if address == SENDER else Result.PENDING
        message = await room.accept("plain@example.com", Recipient("fail@example.com", notify="FAILURE"))
        await room.pipeline.submit_own(("admin@example.com",), b"Subject: alert\r\n\r\nx\r\n")
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.now_ns += HOUR_NS
        room.pipeline.slow.wake()
        await room.until(lambda: room.sent and not room.pipeline._tasks, "told")
        assert notices(room) == [(["delayed"], ["plain@example.com"])]

    run(tmp_path, test)


@pytest.mark.parametrize("jump_ns", [300 * 24 * HOUR_NS, -300 * 24 * HOUR_NS])
def test_a_clock_that_is_set_changes_no_time_that_is_left(tmp_path: Path, jump_ns: int) -> None:
    """DLV-04, DLV-05: neither returned nor warned of early, nor late, and the notice names the right time."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.DELIVERED if address == SENDER else Result.PENDING
        message = await room.accept(Recipient("user@example.com", notify="DELAY,FAILURE"))
        accepted_ns = room.now_ns

        async def tried_after(hours: int) -> list[str]:
            room.now_ns = accepted_ns + jump_ns + hours * HOUR_NS
            room.pipeline.slow.due_now(message.id)
            await room.until(lambda: not room.pipeline._tasks, "tried")
            return [action for actions, _ in notices(room) for action in actions]

        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.now_ns += jump_ns
        room.pipeline.clock_moved(jump_ns)
        assert await tried_after(3) == []
        await tried_after(4)
        await room.until(lambda: notices(room), "warned")
        until = f"Will-Retry-Until: {rfc5322(accepted_ns + jump_ns + 5 * 24 * HOUR_NS)}"
        assert until.encode() in room.sent[0][1]
        assert await tried_after(119) == ["delayed"]
        await tried_after(120)
        await settle(room, message)
        await room.until(lambda: len(notices(room)) == 2, "told")
        assert notices(room)[1][0] == ["failed"]

    run(tmp_path, test)


def test_what_fails_at_the_end_is_told_as_failed_only(tmp_path: Path) -> None:
    """PROC-09: the days are over before anybody was told of the delay."""

    async def test(room: Room) -> None:
        room.answer = lambda smtp_id, address: Result.DELIVERED if address == SENDER else Result.PENDING
        message = await room.accept(Recipient("user@example.com", notify="DELAY,FAILURE"))
        await room.until(lambda: message.place == SLOW and not room.pipeline._tasks, "slow")
        room.now_ns += 6 * 24 * HOUR_NS
        room.pipeline.slow.wake()
        await settle(room, message)
        await room.until(lambda: notices(room), "told")
        assert notices(room) == [(["failed"], ["user@example.com"])]

    run(tmp_path, test)


@pytest.mark.parametrize("tell", [False, True])
def test_who_is_doubted_is_not_told(tmp_path: Path, tell: bool) -> None:
    """PROC-09: the journal is, for each kind of notice; and the message ends as any other."""

    async def test(room: Room) -> None:
        lists = BlockLists(lists=(BlockList("bl.example", True),), action=ListAction.LOG)
        delivery = Delivery(retry_first_s=600, tell_doubtful_senders=tell)
        room.settings = Settings(delivery=delivery, blocking=Blocking(block_lists=lists))
        room.listings = (Listing("bl.example", ("127.0.0.2",)),)
        room.answer = lambda smtp_id, address: Result.FAILED if address == "gone@example.com" else Result.DELIVERED
        message = await room.accept("gone@example.com", SUCCESS, "other@example.com")
        await settle(room, message)
        told = room.said(events.NoticeSuppressed)
        if tell:
            assert not told and len(notices(room)) == 2
            return
        assert [(one.reverse_path, one.forward_paths) for one in told] == [
            (SENDER, ("gone@example.com",)),
            (SENDER, ("user@example.com",)),
        ]
        assert "could not be delivered" in told[0].reason and "is on a block list" in told[0].reason
        assert not notices(room) and room.said(events.Completed)

    run(tmp_path, test)
