"""Containers that libraries and the standard library take apart are opened by the scanner as it is shipped, inside the
real sandbox: nothing is loaded for them, and no call is refused."""

from pathlib import Path

from engine import events
from engine.scanner import process
from signatures.compile import compile_sources, starter
from tests.engine.scan.formats import udf_made
from tests.engine.scan.formats.chm_made import chm
from tests.engine.scan.formats.disk_made import fat, gpt, mbr, ntfs, vhd_dynamic, vhdx
from tests.engine.scan.formats.test_chm import szdd
from tests.engine.scan.formats.xar_made import STYLES, xar
from tests.engine.scan.material import EICAR, VIRUS, message, zipped
from tests.engine.scanner.harness import Bench, Runner


def test_files_of_every_kind(with_pool: Runner, tmp_path: Path) -> None:
    """CONT-01, SCAN-09: the members of all are reached."""
    members = {"e.zip": zipped({"e.com": EICAR})}
    files = {
        **{f"{style[12:]}.xar": xar(members, style) for style in STYLES},
        "a.udf": udf_made.without_iso(udf_made.by_genisoimage(tmp_path, members)),
        "a.vhdx": vhdx(gpt([fat(tmp_path, members, 12)])),
        "b.vhd": vhd_dynamic(mbr([(7, ntfs(tmp_path, members))])),
        "a.chm": chm(members),
        "a.ex_": szdd(members["e.zip"]),
    }

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(compile_sources(starter())))
        await bench.event(events.DefinitionsLoaded)
        outcome = await bench.examine(message("see", list(files.items())))
        found = {one.part.split("/")[1] for one in outcome.facts.matches if one.name == VIRUS}
        assert found == set(files), outcome.facts
        assert not outcome.facts.unscanned

    with_pool(work, command=process.command())
