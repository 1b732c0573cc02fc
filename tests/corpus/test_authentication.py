"""SPF by the test suite of RFC 7208 (openspf.org, release 2014.04): every case, its zone data as the resolver.

Explanations are not compared: they are not fetched (engine/sender/spf.py).
"""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.sender.spf import check
from tests.corpus.material import Unpack
from tests.engine.sender.zone import Zone, txt


def _text(value: Any) -> str:
    strings = value if isinstance(value, list) else [value]
    return txt(*(str(one).encode("utf-8") for one in strings))


def _zone(data: dict[str, list[Any]]) -> Zone:
    """SPF entries stand for TXT records, unless the name has entries of its own for TXT; TIMEOUT for all it lacks."""
    table: dict[tuple[str, str], list[Any]] = {}
    failing = []
    for owner, entries in data.items():
        name = owner.lower().removesuffix(".")
        has_txt = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        for entry in entries:
            if entry == "TIMEOUT":
                failing.append(name)
                continue
            [(kind, value)] = entry.items()
            if kind == "SPF":
                if not has_txt:
                    table.setdefault((name, "TXT"), []).append(_text(value))
            elif value == "NONE":
                continue
            elif kind == "TXT":
                table.setdefault((name, kind), []).append(_text(value))
            elif kind == "MX":
                table.setdefault((name, kind), []).append(f"{value[0]} {_host(value[1])}")
            else:
                table.setdefault((name, kind), []).append(value if kind in ("A", "AAAA") else _host(value))
    return Zone(table, failing)


def _host(name: str) -> str:
    return re.sub(r"([^A-Za-z0-9.\-_*])", r"\\\1", name).removesuffix(".") + "."


@pytest.fixture(scope="module")
def suite(unpack: Unpack) -> list[dict[str, Any]]:
    _, folder = unpack("auth", "auth")
    octets = Path(folder, "spf", "rfc7208-tests.yml").read_bytes()
    return list(yaml.safe_load_all(octets))


def test_rfc_7208_suite(suite: list[dict[str, Any]]) -> None:
    """RFC 7208: results of all sections."""
    wrong, count = [], 0
    for section in suite:
        for name, case in section["tests"].items():
            zone = _zone(section["zonedata"])
            result, _ = asyncio.run(check(zone, case["host"], case["helo"], case["mailfrom"]))
            expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
            count += 1
            if result not in expected:
                wrong.append(f"{section['description']}: {name}: {result} in place of {' or '.join(expected)}")
    assert count == 200 and not wrong, "\n".join(wrong)
