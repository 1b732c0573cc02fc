"""Documents are repaired by the scanner as it is shipped, inside the real sandbox: nothing has to be read for it."""

from pathlib import Path

from engine import events
from engine.scan.outcome import Fate
from engine.scanner import process
from signatures.compile import compile_sources
from tests.engine.repair.infected import MARK
from tests.engine.scan.material import message
from tests.engine.scan.test_repair_documents import DOCUMENTS
from tests.engine.scanner.harness import Bench, Runner


def test_documents_of_every_kind(with_pool: Runner, tmp_path: Path) -> None:
    """AV-04, AV-13: compound files, zips with their XML, RTF and PDF."""
    source = tmp_path / "marks.toml"
    source.write_text(f'[[signature]]\nname = "Test.Specimen"\ntext = "{MARK.decode()}"\n')
    image = compile_sources([source])

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(image))
        await bench.event(events.DefinitionsLoaded)
        outcome = await bench.examine(message("Hello.\n", list(DOCUMENTS.items())))
        assert [(one.name, one.fate) for one in outcome.infected] == [(name, Fate.REPAIRED) for name in DOCUMENTS]
        assert all(one.done for one in outcome.infected) and outcome.splices

    with_pool(work, command=process.command())
