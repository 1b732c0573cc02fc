"""What is damaged goes to corrupt/, never silently away, and the rest goes on."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from engine.queue import recovery
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Attempt, Result
from engine.queue.store import Store
from tests.engine.queue.rooms import Room, octets, started

Run = Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]


def corrupt(room: Room) -> list[str]:
    return sorted(path.name for path in (room.root / "queue" / "corrupt").iterdir())


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    with path.open("r+b") as file:
        file.seek(data.index(old))
        file.write(new)


def log_end(store: Store) -> int:
    assert store._log is not None
    return store._log.segments[-1].offset


def test_a_damaged_body_is_kept_and_reported_once(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        messages = [await room.message(store, body) for body in (b"first", b"the second", b"third")]
        copy = room.snapshot()
        damaged = copy.segments[0]
        change(damaged, b"the second", b"the sec\0nd")
        again = copy.store()
        assert [(found.id, octets(again, found)) for found in await started(again)] == [
            (messages[0].id, b"first"),
            (messages[2].id, b"third"),
        ]
        assert corrupt(copy) == [f"0-{damaged.name}", f"{messages[1].id}.msg"]
        assert len(copy.reports) == 2
        await again.close()
        once_more = copy.store()
        assert len(await started(once_more)) == 2
        assert len(copy.reports) == 2 and len(corrupt(copy)) == 2
        await copy.close()

    run(test)


def test_a_message_known_only_by_its_notes_is_not_forgotten(run: Run) -> None:
    """Its End is damaged, but somebody scanned it: so it was promised."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, b"body")
        end = log_end(store)
        store.note(message, Attempt(message.id, 1, 0, Result.PENDING, "451", "mx"))
        await store.commit()
        copy = room.snapshot()
        with copy.segments[0].open("r+b") as file:
            file.seek(end - 3)
            file.write(b"\xee\xee")
        assert await started(copy.store()) == []
        assert f"{message.id}.msg" in corrupt(copy)
        await copy.close()

    run(test)


def test_a_damaged_file_is_set_aside(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        messages = [await room.message(store, b"body of it") for _ in range(2)]
        for message in messages:
            await store.defer(message, 1, "later")
        await store.commit()
        copy = room.snapshot()
        path = copy.root / "queue" / "slow" / messages[0].id[9:11] / f"{messages[0].id}.msg"
        change(path, b"body of it", b"body 0f it")
        assert [found.id for found in await started(copy.store())] == [messages[1].id]
        assert corrupt(copy) == [path.name] and not path.exists() and len(copy.reports) == 1
        await copy.close()

    run(test)


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 30, bytes(50)])
def test_a_torn_file_loses_only_its_tail(run: Run, garbage: bytes) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store, b"body")
        await store.defer(message, 1, "later")
        store.note(message, Attempt(message.id, 1, 0, Result.DELIVERED, "250", "mx"))
        await store.commit()
        copy = room.snapshot()
        path = copy.root / "queue" / "slow" / message.id[9:11] / f"{message.id}.msg"
        path.write_bytes(path.read_bytes()[:-1] + garbage)
        again = copy.store()
        (found,) = await started(again)
        assert found.results == [Result.PENDING] and octets(again, found) == b"body"
        assert path.stat().st_size == found.file_len
        again.note(found, Attempt(message.id, 1, 0, Result.FAILED, "550", "mx"))
        await again.commit()
        await again.close()
        (found,) = await started(copy.store())
        assert found.results == [Result.FAILED]
        await copy.close()

    run(test)


@pytest.mark.parametrize("tail", ["zeros", "garbage", "cut"])
def test_a_log_torn_at_any_octet_keeps_what_was_durable(run: Run, tail: str) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        first = await room.message(store, b"promised")
        durable = log_end(store)
        second = await room.message(store, b"not yet promised", recipients=2)
        store.note(second, Attempt(second.id, 1, 0, Result.DELIVERED, "250", "mx"))
        store.done(first)
        await store.commit()
        end = log_end(store)
        copy = room.snapshot()
        path = copy.segments[0]
        data = path.read_bytes()
        base = copy.root / "queue"
        seen = set()
        for at in range(durable, end + 1):
            rest = {"zeros": bytes(len(data) - at), "garbage": b"\xa5" * (len(data) - at), "cut": b""}[tail]
            path.write_bytes(data[:at] + rest)
            found = recovery.recover(base, MessageFiles(base, Disk()), Disk(), 0, 1, copy.reports.append)
            states = {message.id: message.results[0] for message in found.messages}
            if at < end:
                assert states.pop(first.id) is Result.PENDING
            assert states in ({}, {second.id: Result.PENDING}, {second.id: Result.DELIVERED})
            seen.add(tuple(states.values()))
        assert seen == {(), (Result.PENDING,), (Result.DELIVERED,)}
        assert copy.reports == []

    run(test)


def test_what_is_in_the_log_is_not_found_in_a_file_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-14: its file cannot be read at start, but a moment later."""

    async def test(room: Room) -> None:
        store = await room.opened()
        message = await room.message(store)
        before = room.snapshot()
        await store.defer(message, 0, "connection refused")
        (file,) = (room.root / "queue" / "slow").rglob("*.msg")
        again = before.store()
        target = before.root / file.relative_to(room.root)
        target.parent.mkdir(parents=True)
        target.write_bytes(file.read_bytes())

        def refuse(files: MessageFiles, place: str, smtp_id: str, *, skim: bool = False) -> None:
            raise OSError(5, "EIO")

        with monkeypatch.context() as patched:
            patched.setattr(MessageFiles, "load", refuse)
            found = await again.open()
        assert [one.id for one in found] == [message.id] and again.lengths() == (1, 0, 0)
        assert [batch async for batch in again.found()] == []
        await before.close()

    run(test)
