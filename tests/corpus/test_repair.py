"""Repair of documents of others and of LibreOffice's: each opens, reads as before, and is clean at a second scan.

The same table as `python -m bench.repair` prints.
"""

from pathlib import Path

from bench import repair
from tests.corpus.material import Unpack

# All that these show is their macros: names of functions that are gone, cells of a macro sheet.
MACROS_ALONE = {"excel4_sample_macro.xls", "excel4_sample_macro.xlsm", "SquareMacro.xls"}
# Excel opens them without asking for a password, so their macros may act: they are refused, and deleted (AV-05).
REFUSED = {"autostart-encrypt-standardpassword.xls", "autostart-encrypt-standardpassword.xlsb"}


def test_documents_of_every_kind(unpack: Unpack, tmp_path: Path) -> None:
    """AV-04, AV-13: what is repaired is of use, whatever program wrote it."""
    _, folder = unpack("archives", "archives-1", "archives-2")
    cases = repair.made(tmp_path) + repair.found([folder])
    repair.judge(cases, tmp_path)
    print(repair.table([case for case in cases if case.judged]))
    assert len(cases) > 60
    assert {case.path.name for case in cases if not case.after} == REFUSED
    for case in cases:
        if case.path.name in REFUSED:
            continue
        assert case.after and case.clean, case.path.name
        assert not case.judged or case.opens, case.path.name
        assert not case.judged or case.same or case.path.name in MACROS_ALONE, case.path.name
