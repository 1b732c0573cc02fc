"""The file of submitters, the comparison of passwords, and what failures cost (RELAY-14)."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import argon2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.limits import (
    AUTH_DELAY_S,
    AUTH_FORGOTTEN_S,
    AUTH_PATIENCE_S,
    AUTH_WAITING,
    SUBMITTER_NAME_LEN,
    SUBMITTERS_FILE_LEN,
)
from engine.passwords import Passwords
from engine.replies import Reply
from engine.smtp.auth import Credentials
from engine.smtp.shared import SharedCounts
from engine.smtp.submitters import BadSubmitters, Submitters, load, name_error, save

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD = Credentials("anna", "correct horse battery")
BAD = Credentials("anna", "wrong")
CLIENT = "192.0.2.1"


class Counting(Passwords):
    """compared: what was compared with what, in turn."""

    def __init__(self) -> None:
        super().__init__(CHEAP)
        self.compared: list[str] = []
        self.may = threading.Event()
        self.may.set()

    def matches(self, hashed: str, password: str) -> bool:
        self.compared.append(hashed)
        self.may.wait()
        return super().matches(hashed, password)


class Room:
    """Submitters whose time goes on only when they wait for it."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []
        self.passwords = Counting()
        self.path = folder / "submitters"
        save(self.path, {"anna": CHEAP.hash(GOOD.password)})
        shared = SharedCounts.create(2)
        self.submitters, self.of_another_relay = (
            Submitters(lambda: self.now, shared.clients(relay), lambda: self.passwords, self.pause) for relay in (0, 1)
        )
        self.submitters.path = self.of_another_relay.path = self.path

    async def pause(self, delay_s: float) -> None:
        self.pauses.append(delay_s)
        self.now += delay_s

    async def check(self, credentials: Credentials, client: str = CLIENT) -> Reply | None:
        return await self.submitters.check(client, credentials)


Play = Callable[[Callable[[Room], Awaitable[None]]], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    def play(scene: Callable[[Room], Awaitable[None]]) -> None:
        async def main() -> None:
            room = Room(tmp_path)
            try:
                await scene(room)
            finally:
                room.passwords.may.set()
                room.submitters.close()
                room.of_another_relay.close()

        asyncio.run(main())

    return play


def test_right_and_wrong(play: Play) -> None:
    """RELAY-14: an unknown name costs one comparison too."""

    async def scene(room: Room) -> None:
        assert await room.check(GOOD) is None
        assert await room.check(BAD) is Reply.BAD_CREDENTIALS
        assert await room.check(Credentials("nobody", GOOD.password), "192.0.2.2") is Reply.BAD_CREDENTIALS
        assert len(room.passwords.compared) == 3 and room.passwords.compared[2] == ""
        assert room.submitters.knows("anna") and not room.submitters.knows("nobody")

    play(scene)


def test_keyboards_write_a_character_in_several_ways(play: Play) -> None:
    async def scene(room: Room) -> None:
        save(room.path, {"anna": CHEAP.hash("correct hörse battery")})
        assert await room.check(Credentials("anna", "correct ho\u0308rse battery")) is None

    play(scene)


def test_a_file_that_changed_is_read_again(play: Play) -> None:
    """RELAY-14: and one that cannot be used leaves nobody, for now."""

    async def scene(room: Room) -> None:
        other = Credentials("otto", "another password")
        assert await room.check(GOOD) is None
        save(room.path, {"otto": CHEAP.hash(other.password)})
        assert await room.check(other) is None
        assert await room.check(GOOD) is Reply.BAD_CREDENTIALS
        room.path.write_text("otto:nothing\n")
        assert await room.check(other) is Reply.AUTH_LATER
        assert await room.check(other) is Reply.AUTH_LATER
        room.path.unlink()
        assert await room.check(other) is Reply.AUTH_LATER
        room.submitters.path = None
        assert await room.check(other) is Reply.AUTH_LATER
        save(room.path, {"otto": CHEAP.hash(other.password)})
        room.submitters.path = room.path
        assert await room.check(other) is None

    play(scene)


def test_failures_cost_ever_more_time(play: Play) -> None:
    """RELAY-14: of a client, whichever connection it uses; others do not wait."""

    async def scene(room: Room) -> None:
        for _ in range(7):
            assert await room.check(BAD) is Reply.BAD_CREDENTIALS
        assert room.pauses == [1, 2, 4, 8, 16, AUTH_DELAY_S]
        assert await room.check(GOOD, "192.0.2.2") is None
        assert len(room.pauses) == 6
        assert await room.check(GOOD) is None  # who waits may log on
        assert room.pauses[6:] == [AUTH_DELAY_S]

    play(scene)


def test_a_network_of_ipv6_is_one_client(play: Play) -> None:
    async def scene(room: Room) -> None:
        await room.check(BAD, "2001:db8::1")
        await room.check(GOOD, "2001:db8::ffff:1")
        await room.check(GOOD, "2001:db8:0:1::1")
        assert room.pauses == [1]

    play(scene)


def test_failures_are_counted_by_all_relays_together(play: Play) -> None:
    """RELAY-14: trying at one relay after the other gains nothing."""

    async def scene(room: Room) -> None:
        for number in range(6):
            relay = (room.submitters, room.of_another_relay)[number % 2]
            assert await relay.check(CLIENT, BAD) is Reply.BAD_CREDENTIALS
        assert room.pauses == [1, 2, 4, 8, 16]
        assert await room.of_another_relay.check("192.0.2.2", GOOD) is None
        assert room.pauses == [1, 2, 4, 8, 16]

    play(scene)


def test_failures_are_forgotten(play: Play) -> None:
    async def scene(room: Room) -> None:
        for wait_s, pause in ((0.0, None), (AUTH_FORGOTTEN_S, None), (AUTH_FORGOTTEN_S + 1, None), (0.0, 1.0)):
            room.now += wait_s
            assert await room.check(BAD) is Reply.BAD_CREDENTIALS
            assert room.pauses[-1:] == ([pause] if pause else [])

    play(scene)


def test_who_would_wait_too_long_is_sent_away(play: Play) -> None:
    """RELAY-14: many attempts at once wait one after the other."""

    async def scene(room: Room) -> None:
        room.passwords.may.clear()
        attempts = [asyncio.ensure_future(room.check(BAD)) for _ in range(8)]
        while not room.passwords.compared:
            await asyncio.sleep(0)
        room.passwords.may.set()
        assert set(await asyncio.gather(*attempts)) == {Reply.BAD_CREDENTIALS}
        assert room.submitters._delay_s(room.submitters._clients.tag(bytes((192, 0, 2, 1)))) > AUTH_PATIENCE_S
        compared = len(room.passwords.compared)
        assert await room.check(GOOD) is Reply.AUTH_LATER
        assert len(room.passwords.compared) == compared and not room.pauses

    play(scene)


def test_so_many_wait_and_no_more(play: Play) -> None:
    async def scene(room: Room) -> None:
        room.passwords.may.clear()
        waiting = [asyncio.ensure_future(room.check(GOOD, f"192.0.2.{number}")) for number in range(AUTH_WAITING)]
        while room.submitters._waiting < AUTH_WAITING:
            await asyncio.sleep(0)
        assert await room.check(GOOD) is Reply.AUTH_LATER
        room.passwords.may.set()
        assert set(await asyncio.gather(*waiting)) == {None}
        assert await room.check(GOOD) is None

    play(scene)


def test_leaving_before_the_answer_is_a_failure(play: Play) -> None:
    """RELAY-14: a comparison costs the same whether or not somebody waits for it."""

    async def scene(room: Room) -> None:
        room.passwords.may.clear()
        attempt = asyncio.ensure_future(room.check(GOOD))
        while not room.passwords.compared:
            await asyncio.sleep(0)
        attempt.cancel()
        await asyncio.wait((attempt,))
        room.passwords.may.set()
        assert await room.check(GOOD) is None
        assert room.pauses == [1] and room.submitters._waiting == 0

    play(scene)


HASH = CHEAP.hash("x", salt=bytes(16))
GOOD_LINE = f"anna:{HASH}\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("anna\n", ":1: behind the name"),
        ("# x\n\nanna:\n", ":3: behind the name"),
        ("anna:$2b$12$abcdefghijklmnopqrstuv\n", ":1: behind the name"),
        (f"anna:{HASH.replace('argon2id', 'argon2i')}\n", "argon2id"),
        (GOOD_LINE * 2, ":2: anna was there before"),
        (f":{HASH}\n", ":1: the name has to have"),
        (f"an\x07na:{HASH}\n", ":1: the name must not"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "submitters"
    path.write_text(content)
    with pytest.raises(BadSubmitters, match=words):
        load(path)
    path.write_bytes(b"\xff")
    with pytest.raises(BadSubmitters, match="UTF-8"):
        load(path)


def test_length_of_the_file_by_one(tmp_path: Path) -> None:
    path = tmp_path / "submitters"
    path.write_text(GOOD_LINE + "#" * (SUBMITTERS_FILE_LEN - len(GOOD_LINE)))
    assert set(load(path)) == {"anna"}
    path.write_text(GOOD_LINE + "#" * (SUBMITTERS_FILE_LEN - len(GOOD_LINE) + 1))
    with pytest.raises(BadSubmitters):
        load(path)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("anna@example.com", True),
        ("anna b", True),
        ("n" * SUBMITTER_NAME_LEN, True),
        ("n" * (SUBMITTER_NAME_LEN + 1), False),
        ("", False),
        ("a:b", False),
        ("#a", False),
        (" a", False),
        ("a\n", False),
    ],
)
def test_names(name: str, good: bool) -> None:
    assert (name_error(name) == "") == good


@given(st.lists(st.text(max_size=12).filter(lambda name: not name_error(name)), unique=True, max_size=4))
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    """RELAY-14: whole or not at all, and for us alone."""
    path = tmp_path_factory.getbasetemp() / "round"
    accounts = dict.fromkeys(names, HASH)
    save(path, accounts)
    assert load(path) == accounts and os.stat(path).st_mode & 0o777 == 0o600
