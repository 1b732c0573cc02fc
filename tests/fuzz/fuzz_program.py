"""Any octets as a program (PE, ELF, Mach-O): what is told of it lies inside of it."""

from cext.automaton import program_of
from tests.signatures import programs

SEEDS = [
    programs.pe({"CompanyName": "Nobody", "ProductName": "Nothing"}, {"KERNEL32.dll": ["ExitProcess", 7]}),
    programs.pe(imports={"WS2_32.dll": [23], "k.dll": ["F"]}, wide=True),
    *(
        make(wide=wide, big=big)[0]
        for make in (programs.elf, programs.macho)
        for wide in (False, True)
        for big in (False, True)
    ),
]


def one_input(data: bytes) -> None:
    known = program_of(data)
    if known is None:
        return
    kind, entry, sections, versions, imports = known
    assert kind in ("pe", "elf", "macho")
    assert entry is None or 0 <= entry < len(data)
    assert all(offset + length <= len(data) for _, offset, length in sections)
    assert all(at < len(data) for at in versions) and list(versions) == sorted(versions)
    assert len(imports) < 1 << 20 and ((not versions and not imports) or kind == "pe")
