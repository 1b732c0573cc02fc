"""Any octets as a page, with lists that look at everything in it; as the annex of them; and as lines of them."""

import contextlib

from engine.scan.links import Links
from signatures.clamav import phishing
from signatures.clamav.line import NotTaken

SEEDS = [
    b"<a href='http://a.example.net/x'>www.<b>bank</b>.example</a> http://b.example/%25/../?a#b",
    rb"R:.+:[[:alpha:]]+\.example([/?].*)?:17-",
]
_LISTS = phishing.Lists()
for _kind, _line in (
    (".pdb", "H:example"),
    (".pdb", "R:.*a.*:.*"),
    (".wdb", "M:a.example:b.example"),
    (".gdb", "S1:P:00000000"),
    (".gdb", f"S1:F:{'0' * 64}"),
):
    phishing.READERS[_kind](_line, _LISTS)
_KNOWN = Links(_LISTS.annexes()[phishing.ANNEX])


def one_input(data: bytes) -> None:
    with contextlib.suppress(TimeoutError):
        _KNOWN.names(data, lambda: None)
    with contextlib.suppress(ValueError):
        Links(data)
    for read in phishing.READERS.values():
        lists = phishing.Lists()
        try:
            read(data.decode("utf-8", "replace"), lists)
        except NotTaken:
            continue
        for annex in lists.annexes().values():
            Links(annex)
