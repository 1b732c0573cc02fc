"""AV-02, PROC-15: new definitions are loaded by one process, and come into force with scanners forked from it."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import events
from engine.scanner import succession, template
from engine.scanner.template import Template
from signatures import image, yara_rules
from signatures.compile import read_all, starter
from tests.engine.scanner.harness import UPPER_S, Bench, Runner
from tests.engine.scanner.test_forks import PRIVATE_KIB, private_kib

MAIL = b"From: a@example.org\r\nSubject: hello\r\n\r\n%s\r\n"
RULES = 400  # of which a scanner that compiled them would have more than it may have


def definitions(*words: str, rules: int = 1, text: str = "") -> bytes:
    """With a YARA rule for each word, and others that match nothing."""
    own = read_all(starter())
    lines = [f'rule {word} {{ strings: $a = "{word}-marker" condition: $a }}' for word in words]
    for number in range(rules):
        strings = " ".join(f'$s{n} = "nothing {number} has {n} of this" nocase wide ascii' for n in range(12))
        lines.append(f"rule Never{number} {{ strings: {strings} condition: all of them }}")
    taken = yara_rules.Taken(sources=[yara_rules.Source("test", text or "\n".join(lines))])
    return image.build(own.signatures, annexes=own.annexes() | yara_rules.annexes(taken))


async def found(bench: Bench, word: bytes) -> list[str]:
    outcome = await bench.examine(MAIL % word)
    assert not outcome.facts.unscanned
    return [match.name for match in outcome.facts.matches]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(UPPER_S):
        while not condition():
            await asyncio.sleep(0.01)


def the_template(bench: Bench) -> Template:
    forks = bench.pool._forks
    assert forks is not None and forks._template is not None
    return forks._template


def test_scanners_share_what_was_compiled_also_after_a_swap(with_pool: Runner) -> None:
    """The scanner of every set has less than 10 MB of its own, and no message is examined with half a set."""

    async def work(bench: Bench) -> None:
        for number, (word, other) in enumerate((("First", "Second"), ("Second", "First")), 1):
            bench.pool.use_definitions(bench.definitions(definitions(word, rules=RULES)))
            await bench.event(events.DefinitionsLoaded, number)
            assert await found(bench, f"{word}-marker {other}-marker".encode()) == [f"YARA.{word}"]
            for _ in range(8):
                assert await found(bench, b"nothing") == []
            await until(lambda: len(bench.pool._scanners) == 3 and all(one.ready for one in bench.pool._scanners))
            assert not bench.pool._leaving
            for scanner in bench.pool._scanners:
                assert private_kib(scanner.pid) < PRIVATE_KIB
        assert not [event for event in bench.events if isinstance(event, events.ProcessRestarted)]

    with_pool(work, count=2, command=None)


def test_messages_that_are_under_way_when_definitions_change(with_pool: Runner) -> None:
    """Each is examined once, with the set before or after the change; from the event on with that after it."""

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Old")))
        await bench.event(events.DefinitionsLoaded)
        both = b"Old-marker New-marker"
        bench.pool.use_definitions(bench.definitions(definitions("New")))
        seen: list[list[str]] = []
        while bench.pool._succession is not None:
            seen += await asyncio.gather(*[found(bench, both) for _ in range(4)])
        await bench.event(events.DefinitionsLoaded, 2)
        assert {name for names in seen for name in names} <= {"YARA.Old", "YARA.New"}
        assert all(len(names) == 1 for names in seen)
        assert await found(bench, both) == ["YARA.New"]

    with_pool(work, count=1, command=None)


def test_rules_that_cannot_be_compiled_are_refused(with_pool: Runner) -> None:
    """Those in force stay; so it is with a file that holds no definitions at all."""

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Good")))
        await bench.event(events.DefinitionsLoaded)
        told: list[str] = []
        for number, content in enumerate((definitions(text="rule Broken {"), b""), 1):
            bench.pool.use_definitions(bench.definitions(content), told.append)
            refused = await bench.event(events.DefinitionsRefused, number)
            assert told[-1] == refused.reason
        assert "YARA rules of the definitions" in told[0] and "0 octets" in told[1]
        assert await found(bench, b"Good-marker") == ["YARA.Good"]

    with_pool(work, count=1, command=None)


@pytest.mark.parametrize("who", ["template", "server"])
def test_who_loads_them_is_killed(with_pool: Runner, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    """Once, by whomever, is no verdict on the definitions: they come into force nevertheless."""
    monkeypatch.setattr(succession, "AGAIN_S", 0.01)

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Old")))
        await bench.event(events.DefinitionsLoaded)
        bench.pool.use_definitions(bench.definitions(definitions("New", rules=RULES)))
        pool = bench.pool
        assert pool._succession is not None and pool._forks is not None
        await until(lambda: pool._succession is None or pool._succession.template is not None)
        assert pool._succession is not None and pool._succession.template is not None
        process = pool._forks._process
        assert process is not None
        os.kill(pool._succession.template.pid if who == "template" else process.pid, signal.SIGKILL)
        assert await found(bench, b"Old-marker") == ["YARA.Old"]  # nobody waits for it
        await bench.event(events.DefinitionsLoaded, 2)
        assert await found(bench, b"New-marker") == ["YARA.New"]

    with_pool(work, count=1, command=None)


def test_who_loads_them_ends_again_and_again(with_pool: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times is enough: they are refused, and mail goes on with those in force."""
    monkeypatch.setattr(succession, "AGAIN_S", 0.01)

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Old")))
        await bench.event(events.DefinitionsLoaded)
        bench.pool.use_definitions(bench.definitions(definitions("New", rules=RULES)))
        killed: set[int] = set()
        while bench.pool._succession is not None:
            coming = bench.pool._succession.template
            if coming is not None and coming.pid not in killed:
                killed.add(coming.pid)
                os.kill(coming.pid, signal.SIGKILL)
            await asyncio.sleep(0)
        refused = await bench.event(events.DefinitionsRefused)
        assert "3 processes ended" in refused.reason and len(killed) == 3
        assert await found(bench, b"Old-marker") == ["YARA.Old"]

    with_pool(work, count=1, command=None)


def test_definitions_that_take_too_long_are_refused(with_pool: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Old")))
        await bench.event(events.DefinitionsLoaded)
        monkeypatch.setattr(template, "LOAD_S", 0.001)
        bench.pool.use_definitions(bench.definitions(definitions("New", rules=RULES)))
        refused = await bench.event(events.DefinitionsRefused)
        assert "could not be loaded within" in refused.reason
        assert await found(bench, b"Old-marker") == ["YARA.Old"]

    with_pool(work, count=1, command=None)


def test_the_template_in_force_ends(with_pool: Runner) -> None:
    """Scanners do not mind, and there is another for those to come."""

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Good")))
        await bench.event(events.DefinitionsLoaded)
        first = the_template(bench)
        os.kill(first.pid, signal.SIGKILL)
        assert await found(bench, b"Good-marker") == ["YARA.Good"]
        await until(lambda: the_template(bench) is not first and the_template(bench).ready)
        scanner = bench.pool._scanners[0].pid
        os.kill(scanner, signal.SIGKILL)
        await until(lambda: scanner not in [one.pid for one in bench.pool._scanners])
        assert await found(bench, b"Good-marker") == ["YARA.Good"]
        template_pid = the_template(bench).pid
        assert b"engine.scanner.server" in Path(f"/proc/{template_pid}/cmdline").read_bytes()

    with_pool(work, count=1, command=None)


def test_a_crash_brings_another_server_also_for_definitions_on_their_way(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(definitions("Old")))
        await bench.event(events.DefinitionsLoaded)
        pool = bench.pool
        assert pool._forks is not None
        server = pool._forks._process
        os.kill(pool._scanners[0].pid, signal.SIGSEGV)
        pool.use_definitions(bench.definitions(definitions("New")))
        await bench.event(events.DefinitionsLoaded, 2)
        assert await found(bench, b"New-marker") == ["YARA.New"]
        await until(lambda: pool._forks is not None and pool._forks._process is not server)
        await until(lambda: len([one for one in pool._scanners if one.ready]) == 2)
        assert await found(bench, b"New-marker") == ["YARA.New"]

    with_pool(work, count=1, command=None)
