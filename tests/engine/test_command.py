"""The command socket answers every line, one command after the other, whatever happens inside."""

import asyncio
import contextlib
from pathlib import Path

import msgspec

from engine.command import (
    LINE_LEN,
    OWN_MAIL_LEN,
    OWN_MAIL_RECIPIENTS,
    Answer,
    Command,
    CommandFailed,
    CommandServer,
    send,
)
from engine.queue.errors import QueueFull


async def perform(command: Command) -> Answer:
    match command.id:
        case "broken":
            raise ZeroDivisionError
        case "full":
            raise QueueFull("no room")
        case "other":
            raise CommandFailed("not now")
    return Answer(True, count=7)


def test_answers(tmp_path: Path) -> None:
    async def test() -> None:
        server = CommandServer(tmp_path / "s", perform)
        await server.start()

        async def ask(line: bytes) -> Answer:
            reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
            writer.write(line)
            answer = msgspec.json.decode(await reader.readline(), type=Answer)
            writer.close()
            return answer

        assert await ask(b'{"op":"retry"}\n') == Answer(True, count=7)
        assert await ask(b'{"op":"drop","id":"other"}\n') == Answer(False, "not now")
        assert "no room" in (await ask(b'{"op":"drop","id":"full"}\n')).error
        assert "internal error" in (await ask(b'{"op":"drop","id":"broken"}\n')).error
        for nonsense in (b"\n", b"{}\n", b"[1]\n", b'{"op":"reboot"}\n', b'{"op":"drop","more":1}\n', b"\xff\n"):
            answer = await ask(nonsense)
            assert not answer.ok and answer.error
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"x" * (3 * LINE_LEN))
        with contextlib.suppress(ConnectionResetError):  # it may close before it has read all of that
            assert await reader.read() == b""
        writer.close()
        answer = await asyncio.to_thread(send, tmp_path / "s", Command("drop", "x"))
        assert answer == Answer(True, count=7)
        own = Command("submit", "word", ("a@example.com",) * OWN_MAIL_RECIPIENTS, b"x" * OWN_MAIL_LEN)
        assert await asyncio.to_thread(send, tmp_path / "s", own) == Answer(True, count=7)
        for larger in (
            msgspec.structs.replace(own, content=own.content + b"x"),
            msgspec.structs.replace(own, to=(*own.to, "a@example.com")),
        ):
            assert "at most" in (await asyncio.to_thread(send, tmp_path / "s", larger)).error
        await server.stop()
        assert not (tmp_path / "s").exists()

    asyncio.run(test())


def test_one_after_the_other(tmp_path: Path) -> None:
    inside = 0

    async def slowly(command: Command) -> Answer:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        inside -= 1
        return Answer(True, count=1)

    async def test() -> None:
        server = CommandServer(tmp_path / "s", slowly)
        await server.start()
        answers = await asyncio.gather(
            *(asyncio.to_thread(send, tmp_path / "s", Command("drop", "x")) for _ in range(8))
        )
        assert all(answer.ok for answer in answers)
        await server.stop()

    asyncio.run(test())
