"""The store as the relay uses it."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from engine.ids import IdMaker, relay_of
from engine.queue.errors import NoSuchMessage, QueueError, QueueFull, QueueLocked
from engine.queue.record import (
    Attempt,
    Crashed,
    Disposition,
    Done,
    Edited,
    Notice,
    Result,
    Splice,
    Started,
    Told,
    Verdict,
)
from engine.queue.state import FAST, HOLD, SLOW
from tests.engine.queue.rooms import Room, octets, original, started, until

Run = Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]

LARGE = bytes(range(256)) * 1200  # 307,200 octets: several records, several small segments


def test_the_reply_waits_for_the_disk(run: Run) -> None:
    """PROC-03: commit() returns after an fdatasync that began when the records had been written."""

    async def test(room: Room) -> None:
        store = await room.opened()
        room.disk.calls.clear()
        await room.message(store)
        fd = next(what for name, what in room.disk.calls if name == "fdatasync done")
        assert [name for name, what in room.disk.calls if what == fd] == ["pwritev", "fdatasync", "fdatasync done"]

    run(test)


def test_many_share_a_sync(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        before = room.disk.names().count("fdatasync")
        await asyncio.gather(*(room.message(store) for _ in range(50)))
        assert room.disk.names().count("fdatasync") - before <= 2

    run(test)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 300_000])
def test_a_message_survives_a_kill_whatever_its_size(run: Run, size: int) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        body = (LARGE * 2)[:size]
        message = await room.message(store, body, recipients=2)
        assert octets(store, message) == original(store, message) == body
        copy = room.snapshot()
        again = copy.store()
        found = await started(again)
        assert [(each.id, each.size, each.place) for each in found] == [(message.id, size, FAST)]
        assert found[0].received == message.received
        assert octets(again, found[0]) == original(again, found[0]) == body
        await copy.close()

    run(test)


def test_a_draft_in_many_pieces_is_one_message(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        for step in (1, 7, 60_000, 300_000):
            draft = store.begin(room.received())
            body = LARGE if step > 1 else LARGE[:9000]
            for at in range(0, len(body), step):
                draft.write(body[at : at + step])
            message = await draft.commit()
            assert octets(store, message) == body
            store.done(message)

    run(test)


def test_what_has_no_end_was_never_promised(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        draft = store.begin(room.received())
        draft.write(LARGE)
        await store.commit()
        copy = room.snapshot()
        assert await started(copy.store()) == []
        assert copy.reports == []
        await copy.close()
        draft.abort()
        draft.abort()
        with pytest.raises(RuntimeError):
            await draft.commit()
        assert store.lengths() == (0, 0, 0)

    run(test)


def test_notes_are_applied_at_once_and_replayed(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, b"0123456789", recipients=2)
        store.note(message, Started(message.id))
        assert message.started
        store.note(message, Crashed(message.id, 1, "signal 9"), Started(message.id))
        edits = (Splice(2, 4, b"two and three"), Splice(9, 10, b""))
        verdict = Verdict(message.id, "infected", Disposition.DELIVER, signatures=("Eicar",))
        store.note(message, Edited(message.id, edits), verdict)
        store.note(message, Attempt(message.id, 5, 1, Result.PENDING, "451 later", "mx.example"))
        store.note(message, Attempt(message.id, 6, 0, Result.DELIVERED, "250 ok", "mx.example"))
        await store.commit()
        copy = room.snapshot()
        again = copy.store()
        for state, owner in ((message, store), ((await started(again))[0], again)):
            assert octets(owner, state) == b"01two and three45678"
            assert original(owner, state) == b"0123456789"
            assert state.verdict == verdict
            assert not state.started and state.crashes == 0 and state.attempts == 1
            assert state.results == [Result.DELIVERED, Result.PENDING]
            assert state.replies == ["250 ok", "451 later"]
            assert state.pending == [1] and not state.completed
        await copy.close()

    run(test)


def test_a_scan_that_began_anew_leaves_no_old_edits(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, b"0123456789")
        store.note(message, Started(message.id), Edited(message.id, (Splice(0, 5, b""),)))
        store.note(message, Started(message.id), Edited(message.id, (Splice(0, 1, b"x"),)))
        assert octets(store, message) == b"x123456789"

    run(test)


def test_large_edits_are_split_and_come_back_whole(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened(segment_len=1 << 20, max_log_len=1 << 23)
        message = await room.message(store, b"a" * 10)
        edits = (Splice(1, 3, b"L" * 700_000), Splice(3, 3, b"M" * 10), Splice(5, 9, b""))
        store.note(message, Started(message.id), Edited(message.id, edits))
        await store.commit()
        expected = b"a" + b"L" * 700_000 + b"M" * 10 + b"aaa"
        assert octets(store, message) == expected
        copy = room.snapshot()
        again = copy.store(segment_len=1 << 20, max_log_len=1 << 23)
        (found,) = await started(again)
        assert octets(again, found) == expected
        await again.defer(found, 1, "later")
        assert octets(again, found) == expected
        await copy.close()

    run(test)


def test_only_notes_can_be_noted(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        with pytest.raises(TypeError):
            store.note(message, Done(message.id))
        store.done(message)
        with pytest.raises(RuntimeError):
            store.note(message, Started(message.id))
        with pytest.raises(RuntimeError):
            store.done(message)

    run(test)


def test_done_is_done_after_a_restart(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        kept = await room.message(store)
        store.done(await room.message(store))
        await store.commit()
        copy = room.snapshot()
        assert [message.id for message in await started(copy.store())] == [kept.id]
        await copy.close()

    run(test)


def test_defer_takes_results_along(run: Run) -> None:
    """PROC-05: only undelivered recipients are tried again, also after a restart."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, LARGE, recipients=3)
        for attempt in range(3):
            store.note(message, Attempt(message.id, attempt, 2, Result.PENDING, "451", "mx"))
        store.note(message, Attempt(message.id, 9, 1, Result.DELIVERED, "250", "mx"))
        await store.defer(message, 77, "mx is away")
        path = room.root / "queue" / "slow" / message.id[9:11] / f"{message.id}.msg"
        assert path.is_file() and store.lengths() == (0, 1, 0)
        store.note(message, Attempt(message.id, 10, 2, Result.FAILED, "550", "mx"))
        await store.defer(message, 88, "once more")
        copy = room.snapshot()
        again = copy.store()
        for state, owner in ((message, store), ((await started(again))[0], again)):
            assert (state.place, state.due_ns, state.reason) == (SLOW, 88, "once more")
            assert state.pending == [0] and state.attempts == 4
            assert state.replies == ["", "250", "550"]
            assert octets(owner, state) == original(owner, state) == LARGE
        await copy.close()
        store.done(message)
        await until(lambda: not path.exists())
        assert store.lengths() == (0, 0, 0)

    run(test)


def test_defer_takes_along_what_senders_were_told(run: Run) -> None:
    """PROC-11, DLV-05, RFC 3461 s5.2: notices that are owed stay owed, those that were made are not made again."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, recipients=4)
        owed = [
            Attempt(message.id, index, index, Result.DELIVERED, f"250 {index}", f"mx{index}", True) for index in (0, 1)
        ]
        store.note(message, *owed, Attempt(message.id, 9, 2, Result.PENDING, "451", "mx"))
        store.note(message, Told(message.id, Notice.RELAYED, (0,)), Told(message.id, Notice.DELAYED, (2,)))
        await store.defer(message, 1, "later")
        store.note(message, Told(message.id, Notice.DELAYED, (3,)))
        await store.commit()
        copy = room.snapshot()
        for state in (message, (await started(copy.store()))[0]):
            assert state.relayed == (owed[1],)
            assert state.warned == {2, 3} and state.pending == [2, 3]
        await copy.close()
        await store.defer(message, 2, "once more")
        store.note(message, Told(message.id, Notice.RELAYED, (1,)))
        await store.commit()
        copy = room.snapshot()
        for state in (message, (await started(copy.store()))[0]):
            assert state.relayed == () and state.warned == {2, 3}
        await copy.close()

    run(test)


def test_notes_about_slow_mail_are_durable_after_commit(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.defer(message, 1, "later")
        store.note(message, Attempt(message.id, 10, 0, Result.DELIVERED, "250", "mx"))
        await store.commit()
        copy = room.snapshot()
        assert (await started(copy.store()))[0].completed
        await copy.close()

    run(test)


def test_hold_and_release(run: Run) -> None:
    """PROC-12, PROC-13: held mail is kept, counted and comes back when asked for."""

    async def test(room: Room) -> None:
        store = await room.opened()
        fast, slow = await room.message(store), await room.message(store)
        await store.defer(slow, 99, "later")
        await store.hold(slow, "by hand")
        await store.hold(fast, "three crashes")
        assert store.lengths() == (0, 0, 2) and store.messages == {}
        await store.commit()
        copy = room.snapshot()
        other = copy.store()
        assert await started(other) == [] and other.lengths() == (0, 0, 2)
        held = await other.load(fast.id)
        assert (held.place, held.reason) == (HOLD, "three crashes")
        await other.release(held)
        assert (held.place, held.due_ns) == (SLOW, 0) and other.lengths() == (0, 1, 1)
        assert octets(other, held) == octets(store, fast)
        with pytest.raises(NoSuchMessage):
            await other.load(room.ids.next())
        await copy.close()

    run(test)


def test_content_follows_its_message_and_refuses_to_read_what_is_gone(run: Run) -> None:
    """PROC-06: a delivery goes on while its message leaves the log."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, LARGE)
        whole = b"".join(store.content(message))
        content = store.content(message)
        read = [bytes(next(content))]
        await store.defer(message, 1, "later")
        while message.segments:
            await store.commit()
        read += map(bytes, content)
        assert b"".join(read) == whole
        slow = store.content(message)
        assert len(next(slow)) > 0
        store.done(message)
        await store.commit()
        with pytest.raises(QueueError):
            list(slow)

    run(test)


def test_extents_can_only_be_read(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        for _ in range(2):
            for extent in store.extents(message):
                with pytest.raises(OSError, match="Bad file descriptor"):
                    os.pwrite(extent.fd, b"x", extent.offset)
            await store.defer(message, 1, "later")

    run(test)


def test_one_owner(run: Run) -> None:
    async def test(room: Room) -> None:
        first = await room.opened()
        with pytest.raises(QueueLocked):
            await room.store().open()
        opening = asyncio.ensure_future(room.store(lock_wait_s=30.0).open())
        await asyncio.sleep(0)
        await first.close()
        assert await opening == []

    run(test)


async def fill_as_three_relays(room: Room) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for relay in range(3):
        store = await room.opened(relay, 3)
        room.ids = IdMaker(relay, lambda: 1_700_000_000_000_000_000)
        for place in (FAST, SLOW, HOLD):
            message = await room.message(store, f"relay {relay} {place}".encode())
            made[message.id] = octets(store, message)
            if place == SLOW:
                await store.defer(message, 1, "later")
            elif place == HOLD:
                await store.hold(message, "held")
        store.done(await room.message(store))
        await store.close()
    return made


def test_another_number_of_relays_finds_everything(run: Run) -> None:
    async def test(room: Room) -> None:
        made = await fill_as_three_relays(room)
        for relays in (2, 1, 3):
            found: dict[str, bytes] = {}
            for relay in range(relays):
                store = await room.opened(relay, relays)
                mine = [smtp_id for smtp_id in made if relay_of(smtp_id) % relays == relay]
                found |= {smtp_id: octets(store, await store.load(smtp_id)) for smtp_id in mine}
                assert sum(store.lengths()) == len(mine)
                await store.close()
            assert found == made
            assert room.reports == []

    run(test)


def test_crowded_names_what_keeps_the_log_from_use(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened(segment_len=1 << 16, max_log_len=1 << 19)
        survivor = await room.message(store)
        assert store.crowded() == []
        with pytest.raises(QueueFull):
            for _ in range(100):
                store.done(await room.message(store, bytes(30_000)))
        assert survivor in store.crowded()
        for message in store.crowded():
            await store.defer(message, 0, "the log needs its room")
        await store.commit()
        for _ in range(100):
            store.done(await room.message(store, bytes(30_000)))

    run(test)


def test_mail_that_arrives_slowly_cannot_keep_the_log_from_use(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened(segment_len=1 << 16, max_log_len=1 << 19)
        slow = store.begin(room.received())
        slow.write(bytes(20_000))
        refused = 0
        for _ in range(100):
            try:
                store.done(await room.message(store, bytes(30_000)))
            except QueueFull:
                refused += 1
        assert refused <= 2
        slow.write(bytes(100))
        with pytest.raises(QueueFull):
            await slow.commit()

    run(test)
