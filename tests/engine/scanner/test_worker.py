"""The scanner as it is shipped: real definitions, the real walk, inside the real sandbox (AV-02, AV-04, SCAN-07)."""

import asyncio
import base64
from pathlib import Path

from engine import events
from engine.queue.record import Disposition
from engine.scan.facts import Verdict
from engine.scanner import process
from signatures.compile import compile_sources, starter
from tests.engine.scan.formats import archives_made as made
from tests.engine.scanner.harness import Bench, Runner

EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CHARSETS = ("utf-8", "iso-8859-15", "koi8-r", "shift_jis", "euc-kr", "gb18030", "windows-1251", "utf-7")


def _mixed(content: bytes) -> bytes:
    return (
        b"From: a@example.org\r\nSubject: invoice\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n'
        b'Content-Type: application/octet-stream; name="a.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
        + b"--b--\r\n"
    )


def test_the_real_scanner(with_pool: Runner) -> None:
    image = compile_sources(starter())

    async def work(bench: Bench) -> None:
        refused = await bench.event(events.DefinitionsRefused)  # what the stand-in takes is no image
        assert "NotAnImage" in refused.reason
        early = asyncio.ensure_future(bench.examine(_mixed(b"nothing bad in here")))

        bench.pool.use_definitions(bench.definitions(image))
        loaded = await bench.event(events.DefinitionsLoaded)
        clean = await early  # SCAN-07: it waited for them
        assert (clean.facts.verdict, clean.disposition) == (Verdict.CLEAN, Disposition.DELIVER)
        assert clean.facts.definitions == loaded.revision

        infected = await bench.examine(_mixed(EICAR.encode()))
        assert infected.facts.verdict is Verdict.INFECTED
        assert [part for _, part in infected.deleted] == ["2"]
        assert infected.splices

        bench.pool.use_definitions(bench.definitions(image[:-1] + bytes([image[-1] ^ 1])))
        assert "DamagedImage" in (await bench.event(events.DefinitionsRefused, 2)).reason
        assert (await bench.examine(_mixed(EICAR.encode()))).facts.definitions == loaded.revision

    with_pool(work, command=process.command())


def test_names_in_any_character_set_are_read_inside_the_sandbox(with_pool: Runner) -> None:
    image = compile_sources(starter())

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(image))
        await bench.event(events.DefinitionsLoaded)
        for charset in CHARSETS:
            word = base64.b64encode("Rechnung".encode(charset)).decode()
            outcome = await bench.examine(f"Subject: =?{charset}?B?{word}?=\r\n\r\nhello\r\n".encode())
            assert outcome.facts.subject == "Rechnung", charset
            assert outcome.facts.verdict is Verdict.CLEAN

    with_pool(work, command=process.command())


def test_archives_are_opened_inside_the_sandbox(with_pool: Runner) -> None:
    """The libraries that read them must not want a file, a locale or a converter any more."""
    image = compile_sources(starter())
    files = {"Übersicht.txt": b"plain words\n" * 20, "virus.com": EICAR.encode()}
    plain = {"a.txt": b"plain words\n" * 20, "virus.com": EICAR.encode()}

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(image))
        await bench.event(events.DefinitionsLoaded)
        for make in (made.rar4, made.rar5, made.cab, made.seven_zip, made.lha, made.cpio, made.ar, made.rpm):
            members = files if make in (made.rar5, made.seven_zip, made.cpio) else plain
            facts = (await bench.examine(_mixed(make(members)))).facts
            assert facts.verdict is Verdict.INFECTED, make
            assert not facts.unscanned, make
        for pack in (made.lzip, made.zstd, made.compress):
            facts = (await bench.examine(_mixed(pack(EICAR.encode())))).facts
            assert facts.verdict is Verdict.INFECTED, pack
            assert not facts.unscanned, pack

    with_pool(work, command=process.command())


def test_yara_rules_run_inside_the_sandbox(with_pool: Runner, tmp_path: Path) -> None:
    """AV-02: they are compiled and run where no file can be opened and nothing becomes executable."""
    source = tmp_path / "rules.yar"
    source.write_text(
        'import "pe"\nimport "hash"\nimport "math"\n'
        'rule Found { strings: $a = "in the mail" $b = /[a-z]+ing/ condition: all of them and not pe.is_pe and '
        'math.entropy(0, filesize) > 0 and hash.md5(0, 1) != "" }\n'
    )
    image = compile_sources([source])

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(image))
        await bench.event(events.DefinitionsLoaded)
        found = await bench.examine(_mixed(b"something in the mail"))
        assert {match.name for match in found.facts.matches} == {"YARA.Found"}
        assert (await bench.examine(_mixed(b"nothing"))).facts.verdict is Verdict.CLEAN

    with_pool(work, command=process.command())
