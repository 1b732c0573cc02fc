"""Full and failing disks: nothing half accepted, nothing promised lost, and the queue recovers by itself."""

import asyncio
import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest

from engine.queue.draft import SMALL_LEN, WAITING_LEN, WAITING_TOTAL_LEN, Draft
from engine.queue.errors import NoSuchMessage, QueueFull
from engine.queue.files import MessageFiles
from engine.queue.listing import Queue
from engine.queue.log import IDLE_SYNC_S, Log
from engine.queue.record import Attempt, Result
from engine.queue.state import FAST, MessageState
from engine.queue.state import Run as Place
from engine.queue.store import Store
from tests.engine.queue.rooms import Room, octets, started, until

Run = Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]

LARGE = bytes(range(256)) * 1000


async def after_restart(room: Room) -> dict[str, tuple[bytes, list[Result]]]:
    copy = room.snapshot()
    store = copy.store()
    found = {message.id: (octets(store, message), message.results) for message in await started(store)}
    await copy.close()
    return found


async def fill(room: Room, store: Store) -> list[MessageState]:
    """Mail until it is refused."""
    accepted: list[MessageState] = []
    while len(accepted) < 200:
        try:
            accepted += [await room.message(store, bytes(10_000))]
        except QueueFull:
            return accepted
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("call", ["fdatasync", "pwritev"])
@pytest.mark.parametrize("size", [4000, 100_000])
def test_after_an_error_nothing_that_was_not_durable_counts(run: Run, call: str, size: int) -> None:
    async def test(room: Room) -> None:
        store = await room.opened(segment_len=1 << 18, max_log_len=1 << 22)
        kept = await room.message(store, b"before", recipients=2)
        store.note(kept, Attempt(kept.id, 1, 0, Result.DELIVERED, "250", "mx"))
        drafts = [store.begin(room.received()) for _ in range(3)]
        for draft in drafts:
            draft.write(LARGE[:size])
        room.disk.fail(errno.EIO, call)
        results = await asyncio.gather(*(draft.commit() for draft in drafts), return_exceptions=True)
        assert [type(result) for result in results] == [QueueFull] * 3
        with pytest.raises(QueueFull):
            await room.message(store)
        room.disk.heal()
        after = await room.message(store, b"after")
        await store.commit()
        assert await after_restart(room) == {
            kept.id: (b"before", [Result.DELIVERED, Result.PENDING]),
            after.id: (b"after", [Result.PENDING]),
        }
        assert store.lengths() == (2, 0, 0)
        assert octets(store, kept) == b"before"
        for message in (kept, after):
            store.done(message)
        await store.commit()
        assert await after_restart(room) == {}

    run(test)


def test_a_sync_that_fails_once_spoils_only_what_it_covered(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        fails = iter([errno.EIO])
        room.disk.fault = lambda call, what: next(fails, 0) if call == "fdatasync" else 0
        draft = store.begin(room.received())
        draft.write(b"lost")
        with pytest.raises(QueueFull):
            await draft.commit()
        again = await room.message(store, b"kept")
        assert (await after_restart(room)).keys() == {again.id}

    run(test)


def test_a_full_disk_refuses_mail_keeps_notes_and_recovers(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        room.disk.fail(errno.ENOSPC, "allocate")
        accepted = await fill(room, store)
        assert len(accepted) >= 3
        for message in accepted[1:]:
            store.done(message)
        await store.commit()
        assert (await after_restart(room)).keys() == {accepted[0].id}
        room.disk.heal()
        again = await room.message(store, LARGE)
        assert (await after_restart(room)).keys() == {accepted[0].id, again.id}

    run(test)


def test_room_comes_back_when_mail_leaves_a_full_disk(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        room.disk.fail(errno.ENOSPC, "allocate")
        for message in await fill(room, store):
            store.done(message)
        await store.commit()
        for _ in range(30):
            store.done(await room.message(store, bytes(10_000)))
            await store.commit()

    run(test)


def test_a_queue_opens_on_a_full_disk(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.close()
        room.disk.fail(errno.ENOSPC, "allocate")
        again = room.store()
        assert [found.id for found in await started(again)] == [message.id]
        await fill(room, again)
        room.disk.heal()
        await room.message(again)

    run(test)


def test_short_writes_are_completed(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        room.disk.most = 1000
        message = await room.message(store, LARGE)
        assert (await after_restart(room))[message.id][0] == LARGE

    run(test)


@pytest.mark.parametrize("call", ["pwritev", "fsync", "rename"])
def test_a_move_that_fails_leaves_the_message_where_it_was(run: Run, call: str) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.commit()
        room.disk.fail(errno.ENOSPC, call)
        with pytest.raises(QueueFull):
            await store.defer(message, 5, "later")
        room.disk.heal()
        assert message.place == FAST and store.lengths() == (1, 0, 0)
        assert not list(room.root.rglob("*.msg"))
        store.note(message, Attempt(message.id, 1, 0, Result.DELIVERED, "250", "mx"))
        await store.defer(message, 5, "later")
        assert store.lengths() == (0, 1, 0)
        await store.commit()
        room.disk.fail(errno.ENOSPC, "pwritev", "fdatasync")
        store.note(message, Attempt(message.id, 1, 0, Result.FAILED, "550", "mx"))
        with pytest.raises(QueueFull):
            await store.commit()
        with pytest.raises(QueueFull):
            await store.hold(message, "by hand")
        room.disk.heal()
        await store.hold(message, "by hand")
        assert store.lengths() == (0, 0, 1)
        assert (await store.load(message.id)).tried == [2]

    run(test)


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("failing", ["slow", "hold"])
def test_a_move_whose_directory_is_not_synced_is_known_to_be_where_it_is(run: Run, failing: str, stays: bool) -> None:
    """PROC-12: its file lay in hold/ while the relay looked for it in slow/ until its next start."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, b"where")
        await store.defer(message, 5, "later")

        def fault(call: str, what: object) -> int:
            if call == "sync_directory" and Path(str(what)).parent.name == failing:
                room.disk.fault = lambda call, what: errno.EIO if call == "rename" and stays else 0
                return errno.EIO
            return 0

        room.disk.fault = fault
        try:
            await store.hold(message, "by hand")
        except QueueFull:
            assert not stays
        else:
            assert stays
        room.disk.heal()
        (file,) = room.root.rglob("*.msg")
        assert message.place in file.parts and message.place == ("hold" if stays else "slow")
        assert store.lengths() == ((0, 0, 1) if stays else (0, 1, 0))
        assert octets(store, message) == b"where"

    run(test)


def test_a_cancelled_commit_accepts_nothing(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        task = asyncio.ensure_future(room.message(store))
        await asyncio.sleep(0)  # it has appended everything and waits for the disk
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await store.commit()
        assert await after_restart(room) == {}
        assert store.lengths() == (0, 0, 0)

    run(test)


def test_segments_are_used_again_and_old_octets_are_not_read(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        inodes = set()
        for _ in range(60):
            store.done(await room.message(store, b"From: old\r\n" * 1500))
            await store.commit()
            inodes |= {path.stat().st_ino for path in room.segments}
        kept = await room.message(store, b"new")
        assert len(room.segments) <= 4 and len(inodes) <= 6
        assert await after_restart(room) == {kept.id: (b"new", [Result.PENDING])}

    run(test)


def test_finished_segments_beyond_a_few_are_removed(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        messages = [await room.message(store, bytes(15_000)) for _ in range(80)]
        assert len(room.segments) > 15
        for message in messages:
            store.done(message)
        await store.commit()
        await until(lambda: len(room.segments) <= 8)
        assert await after_restart(room) == {}

    run(test)


@pytest.mark.parametrize("refusals", [1, 2, 30])
def test_what_is_done_stays_done_when_the_oldest_segment_cannot_be_used_again(run: Run, refusals: int) -> None:
    """PROC-14, PROC-26: younger ones, which have the ends of its messages, were removed or used again before it."""

    async def test(room: Room) -> None:
        store = await room.opened()
        room.disk.fail(errno.EIO, "unlink")
        messages = [await room.message(store, bytes(15_000)) for _ in range(4)]
        for _ in range(25):
            messages.append(await room.message(store, bytes(15_000)))
            store.done(messages.pop(1))  # the end of what is in one segment is in the next one
        for message in messages:
            store.done(message)
        await store.close()
        assert len(room.segments) > 6
        refused = iter([errno.ENOSPC] * refusals)
        room.disk.fault = lambda call, what: next(refused, 0) if call == "rename" else 0
        again = room.store()
        assert await again.open() == []
        for _ in range(3):
            with contextlib.suppress(QueueFull):
                again.done(await room.message(again, bytes(15_000)))
                await again.commit()
            assert await after_restart(room) == {}
        await again.close()
        assert await after_restart(room) == {}

    run(test)


def test_segments_that_cannot_be_removed_are_tried_again_after_a_while(run: Run) -> None:
    """PROC-04: they were tried again at once, without an end, by a relay that has mail to care for."""

    async def test(room: Room) -> None:
        store = await room.opened()
        messages = [await room.message(store, bytes(15_000)) for _ in range(25)]
        tries: list[float] = []

        def fault(call: str, what: object) -> int:
            if call == "unlink":
                tries.append(time.monotonic())
            return errno.EIO if call == "unlink" else 0

        room.disk.fault = fault
        for message in messages:
            store.done(message)
        async with asyncio.timeout(60):
            while len(tries) < 2:
                store.done(await room.message(store))
                await store.commit()
        assert tries[1] - tries[0] > 0.9 * IDLE_SYNC_S
        room.disk.heal()
        await until(lambda: len(room.segments) <= 6)

    run(test)


def test_notes_alone_are_durable_after_a_while(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        done = room.disk.names().count("fdatasync done")
        store.done(message)
        await until(lambda: room.disk.names().count("fdatasync done") > done)
        await until(lambda: not message.segments)

    run(test)


def test_the_file_of_a_message_does_not_go_before_the_log_knows(run: Run) -> None:
    """Without the file the message would rise again from the log."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.defer(message, 1, "later")
        room.disk.calls.clear()
        store.done(message)
        await until(lambda: "unlink" in room.disk.names())
        assert room.disk.names().index("fdatasync done") < room.disk.names().index("unlink")

    run(test)


def test_event_loop_does_not_wait_for_a_segment_that_is_being_made(run: Run) -> None:
    """PROC-04: while a busy disk makes the next one, sessions go on, and what is committed then waits for it."""

    async def test(room: Room) -> None:
        store = await room.opened()
        made = threading.Event()
        room.disk.fault = lambda call, what: 0 if call != "allocate" or made.wait(20) else errno.EIO
        small = [asyncio.ensure_future(room.message(store, bytes(5000))) for _ in range(40)]  # more than two segments
        large = store.begin(room.received())
        await asyncio.wait(small, return_when=asyncio.FIRST_COMPLETED)
        for number in range(30):
            large.write(bytes([number]) * 10_000)
            await asyncio.sleep(0)
        assert not all(one.done() for one in small)
        committed = asyncio.ensure_future(large.commit())
        made.set()
        await asyncio.gather(*small)
        content = b"".join(store.content(await committed))
        assert content == b"".join(bytes([number]) * 10_000 for number in range(30))

    run(test)


def test_what_is_promised_while_its_offer_waits_for_a_segment_stays_promised(run: Run) -> None:
    """PROC-03: else policy could refuse it after its client read 250, and what is noted of it reached no disk."""

    async def test(room: Room) -> None:
        store = await room.opened()
        log = store._opened()
        made = threading.Event()
        room.disk.fault = lambda call, what: 0 if call != "allocate" or made.wait(20) else errno.EIO
        while not log.would_wait(5000):
            await room.message(store, bytes(5000))
        draft = store.begin(room.received())
        draft.write(bytes(5000))
        offered = asyncio.ensure_future(draft.offer())
        await asyncio.sleep(0)
        promised = asyncio.ensure_future(draft.commit())
        made.set()
        assert log._ahead is not None
        log._ahead.result()  # the event loop hears of it later
        message = await promised
        assert await offered is message
        assert message.committed and not message.offered and not message.refusable
        store.note(message, Attempt(message.id, 1, 0, Result.DELIVERED, "250", "mx"))
        await store.commit()
        assert (await after_restart(room))[message.id] == (bytes(5000), [Result.DELIVERED])

    run(test)


class SlowLog:
    """Of which the next segment is being made, for ever."""

    epoch = kept_back = written = 0
    most = 1 << 24

    def would_wait(self, octets: int) -> bool:
        return True

    def reserve(self, octets: int) -> None:
        pass

    append = forget = lambda *_: None

    def body(self, message: MessageState, parts: list[bytes], length: int) -> Place:
        self.written += length
        return Place(None, 0, length)


def test_what_waits_in_memory_for_a_segment_is_bounded(run: Run) -> None:
    """PROC-04, SMTP-06: a thousand sessions at a disk that hangs; each bound crossed by one octet."""

    async def test(room: Room) -> None:
        log = SlowLog()
        drafts = [Draft(room.received(), cast(Log, log), 1 << 24, lambda message: None) for _ in range(66)]
        for draft in drafts[:64]:
            draft.write(bytes(WAITING_LEN - 1))
        drafts[64].write(bytes(64))  # small ones are always in memory
        drafts[65].write(bytes(SMALL_LEN))
        assert log.written == 0 and log.kept_back == WAITING_TOTAL_LEN - 64
        drafts[64].write(bytes(SMALL_LEN))
        assert log.written == SMALL_LEN + 64
        drafts[0].write(b"x")
        assert log.kept_back == WAITING_TOTAL_LEN - 64 - WAITING_LEN + 1
        for draft in drafts:
            draft.abort()
        assert log.kept_back == 0

    run(test)


@pytest.mark.parametrize("refused", [("unlink",), ("unlink", "pwritev")])
def test_a_finished_message_whose_file_stays_is_not_delivered_again(run: Run, refused: tuple[str, ...]) -> None:
    """PROC-14: neither after a restart nor by hand; the file goes when the disk allows it."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.defer(message, 5, "later")
        await store.commit()
        room.disk.fail(errno.EIO, *refused)
        store.done(message)
        await store.settled()
        assert store.lengths() == (0, 0, 0)
        [path] = room.root.rglob("*.msg")
        if refused == ("unlink",):
            with pytest.raises(NoSuchMessage):
                await store.load(message.id)
            assert list(Queue(room.root)) == []
            assert await after_restart(room) == {}
        room.disk.heal()
        await until(lambda: not path.exists())
        assert await after_restart(room) == {}
        assert len([one for one in room.reports if "stays" in one]) == 1

    run(test)


def test_a_finished_message_whose_directory_is_not_synced_is_not_said_to_be_delivered_again(run: Run) -> None:
    """PROC-14: its file is gone, so that nothing can be written into it; its directory is synced later."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, recipients=2)
        await store.defer(message, 5, "later")
        await store.commit()
        [path] = room.root.rglob("*.msg")

        def fault(call: str, what: object) -> int:
            return errno.EIO if call == "fsync" and os.readlink(f"/proc/self/fd/{what}") == str(path.parent) else 0

        room.disk.fault = fault
        store.note(message, Attempt(message.id, 1, 0, Result.DELIVERED, "250", "mx"))
        store.done(message)
        await until(lambda: not path.exists() and any(message.id in one for one in room.reports))
        await store.settled()
        assert not [one for one in room.reports if "delivered again" in one]
        before = len(room.disk.calls)
        room.disk.heal()
        await until(lambda: any(call == "fsync" for call, _ in room.disk.calls[before:]))
        assert await after_restart(room) == {}

    run(test)


def test_a_message_that_ends_while_the_log_is_refused_is_not_delivered_again(run: Run) -> None:
    """PROC-14: its file says so, be it killed or stopped; and a stop has an end."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.commit()

        def fault(call: str, what: object) -> int:
            refused = call in ("pwritev", "fdatasync") and os.readlink(f"/proc/self/fd/{what}").endswith(".seg")
            return errno.EIO if refused or call == "allocate" else 0

        room.disk.fault = fault
        await store.defer(message, 5, "later")
        [path] = room.root.rglob("*.msg")
        before = path.stat().st_size
        store.done(message)
        await until(lambda: path.stat().st_size > before)
        with pytest.raises(QueueFull):
            async with asyncio.timeout(60):
                await store.close()
        room.disk.heal()
        again = await room.opened()
        assert again.messages == {}
        with pytest.raises(NoSuchMessage):
            await again.load(message.id)

    run(test)


def test_what_a_next_hop_took_of_the_slow_queue_is_written_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-14: a kill in the second before it was written repeated the delivery."""
    monkeypatch.setattr("engine.queue.store._AGAIN_S", 3600.0)

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, recipients=2)
        await store.defer(message, 5, "later")
        await store.commit()
        [path] = room.root.rglob("*.msg")
        before = path.stat().st_size
        store.note(message, Attempt(message.id, 1, 0, Result.DELIVERED, "250", "mx"))
        store.write_soon(message)
        await until(lambda: path.stat().st_size > before)
        copy = room.snapshot()
        other = await copy.opened()
        assert (await other.load(message.id)).results == [Result.DELIVERED, Result.PENDING]
        await copy.close()

    run(test)


@pytest.mark.parametrize("ends", [True, False])
def test_a_file_that_could_not_be_read_at_start_brings_nothing_back(
    run: Run, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """PROC-14: the log had the message, too, which was delivered or held, and once more after the next start."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        await store.commit()
        before = room.snapshot()
        await store.defer(message, 5, "later")
        [path] = room.root.rglob("*.msg")
        file = before.root / path.relative_to(room.root)
        file.parent.mkdir(parents=True)
        file.write_bytes(path.read_bytes())  # a kill between the copy and its record in the log
        with monkeypatch.context() as patch:
            patch.setattr(MessageFiles, "load", _unreadable)
            again = await before.opened()
        [found] = again.messages.values()
        if ends:
            again.done(found)
        else:
            await again.hold(found, "by hand")
        await until(lambda: not file.exists())
        await again.close()
        assert await after_restart(before) == {}
        last = await before.opened()
        assert last.lengths() == ((0, 0, 0) if ends else (0, 0, 1))
        await before.close()

    run(test)


def _unreadable(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "EIO")


def test_directories_that_others_made_are_durable_before_they_are_used(run: Run) -> None:
    """PROC-03: who made one may have been killed before its name was on the disk; with it would go what is in it."""

    async def test(room: Room) -> None:
        await (await room.opened()).close()
        room.disk.calls.clear()
        await room.opened()
        synced = {Path(str(what)) for call, what in room.disk.calls if call == "sync_directory"}
        queue = room.root / "queue"
        assert {room.root, queue, queue / "fast", queue / "slow", queue / "hold"} <= synced

    run(test)
