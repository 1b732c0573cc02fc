"""What is encrypted is opened by the scanner as it is shipped, inside the real sandbox: nothing is loaded for it."""

from engine import events
from engine.config import Antivirus, Blocking, Settings
from engine.config.blocking import Encrypted
from engine.scanner import process
from signatures.compile import compile_sources, starter
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.formats.test_pdf_security import encrypted
from tests.engine.scan.material import EICAR, VIRUS, message, zipped
from tests.engine.scan.test_zip_passwords import aes, old
from tests.engine.scanner.harness import Bench, Runner
from tests.oracles import odf_crypt, office_rc4, rar_crypt, rar_old_crypt
from tests.oracles.office_crypt import agile
from tests.oracles.seven_zip_crypt import sealed

FILES = {
    "old.zip": old({"e.com": EICAR}),
    "new.zip": aes({"e.com": EICAR}),
    "a.pdf": encrypted("rc4-128", "Xy-4711"),
    "b.pdf": encrypted("aes-256", "Xy-4711"),
    "c.docx": compound({**agile(zipped({"word/e.bin": EICAR}), "Xy-4711")}),
    "h.rar": rar_crypt.archive(rar_crypt.file("e.com", EICAR, "Xy-4711"), password="Xy-4711"),
    "i.rar": rar_old_crypt.archive(rar_old_crypt.file("e.com", EICAR, "Xy-4711"), password="Xy-4711"),
    "j.odt": odf_crypt.package({"e.bin": EICAR}, "Xy-4711"),
    "k.odt": odf_crypt.package({"e.bin": EICAR}, "Xy-4711", old=True),
    "g.7z": sealed({"e.com": EICAR}, "Xy-4711", power=13, names=True),
    "d.xls": compound({"Workbook": office_rc4.workbook(*office_rc4.modern("Xy-4711"), (0xFC, EICAR))}),
    "e.doc": compound({**office_rc4.word(*office_rc4.old("Xy-4711"), EICAR, b"table")}),
    "f.ppt": compound({**office_rc4.slides(*office_rc4.modern("Xy-4711"), [office_rc4.atom(1000, EICAR)])}),
}


def test_files_of_every_kind(with_pool: Runner) -> None:
    """ENC-01, ENC-07, SCAN-09: all are opened; nothing fails for want of a library or a call."""
    settings = Settings(antivirus=Antivirus(try_passwords=True), blocking=Blocking(encrypted=Encrypted(enabled=False)))

    async def work(bench: Bench) -> None:
        bench.pool.use_definitions(bench.definitions(compile_sources(starter())))
        await bench.event(events.DefinitionsLoaded)
        outcome = await bench.examine(message("The password is Xy-4711.\n", list(FILES.items())))
        assert outcome.facts.matches, outcome.facts
        assert {one.part.split("/")[1] for one in outcome.facts.matches if one.name == VIRUS} == set(FILES)
        assert not outcome.facts.unscanned

    with_pool(work, command=process.command(), settings=settings)
