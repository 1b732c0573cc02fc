"""An SPF record: read or refused, nothing else; and a check by it has one of the results of RFC 7208 s2.6."""

import asyncio
import contextlib
from typing import Final

from engine.sender.spf import check
from engine.sender.spf_record import SyntaxFault, is_spf, parse
from tests.engine.sender.zone import Zone

RESULTS: Final = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})
SEEDS: Final = [
    b"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a mx/24//64 ptr:a.example ~all exp=%{d}",
    b"v=spf1 include:a.example exists:%{ir}.%{v}.%{d2r-.}._spf.%{o} redirect=%{l1r+}%%%_%-.b.example",
    b"v=spf1 ?a:%{S}.%{h}.%{p}.example -exists:%{i} unknown.one=%{s} all",
]


def one_input(data: bytes) -> None:
    record = b"v=spf1 " + data if not is_spf(data) else data
    with contextlib.suppress(SyntaxFault):
        parsed = parse(record)
        assert len(parsed.directives) <= len(record)
    zone = Zone({("a.example", "TXT"): [record], ("b.example", "TXT"): [record]})
    for client in ("192.0.2.1", "2001:db8::1"):
        result, _ = asyncio.run(check(zone, client, "b.example", "x.y-z@a.example"))
        assert result in RESULTS
