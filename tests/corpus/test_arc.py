"""ARC by the public test suite for signers (ValiMail's arc_test_suite): its sets are validated, with its keys."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.scan.claims import collect
from engine.sender import arc
from engine.sender.arc import Chain
from tests.corpus.material import Unpack
from tests.engine.sender.zone import Zone

NOW = 1_483_500_000.0


@pytest.fixture(scope="module")
def suite(unpack: Unpack) -> list[tuple[str, dict[str, Any], Zone]]:
    """(name, case, keys) of every case."""
    _, folder = unpack("auth", "auth")
    scenarios = yaml.safe_load_all(Path(folder, "arc", "arc-draft-sign-tests.yml").read_bytes())
    return [
        (name, case, Zone({(owner, "TXT"): [_record(text)] for owner, text in scenario["txt-records"].items()}))
        for scenario in scenarios
        for name, case in scenario["tests"].items()
    ]


def _record(text: str) -> bytes:
    return text.replace("\n", "").encode()


def _crlf(text: str) -> bytes:
    return re.sub(rb"\r?\n", b"\r\n", text.encode())


def _chain(message: bytes, keys: Zone) -> Chain:
    return asyncio.run(arc.verify(keys, collect(message), ("example.org",), lambda: NOW))


def _field(name: bytes, text: str) -> bytes:
    """As the suite's fields were sealed: on one line, no white space in b=. They are printed in another way."""
    line = " ".join(line.strip() for line in text.strip().splitlines())
    line = re.sub(r"\bb=[^;]*", lambda match: match.group().replace(" ", ""), line)
    return name + b": " + line.encode() + b"\r\n"


def test_every_set_of_the_suite_is_judged_as_it_says(suite: list[tuple[str, dict[str, Any], Zone]]) -> None:
    """RFC 8617 s5.2: what a seal says of the chain before it is what we find; and with it the chain holds, or not."""
    seen = {"none": 0, "pass": 0, "fail": 0}
    for name, case, keys in suite:
        message = _crlf(case["message"])
        before = _chain(message, keys)
        if not case["AS"].strip():
            assert before.result == "fail", name  # the suite adds no set to a chain that says it failed
            seen["fail"] += 1
            continue
        match = re.search(r"cv=(\w+)", case["AS"])
        assert match, name
        assert before.result == match.group(1), (name, before)
        fields = _field(b"ARC-Seal", case["AS"]) + _field(b"ARC-Message-Signature", case["AMS"])
        after = _chain(fields + _field(b"ARC-Authentication-Results", case["AAR"]) + message, keys)
        want = "fail" if before.result == "fail" else "pass"
        assert (after.result, after.sealer) == (want, "example.org"), (name, after)
        seen[before.result] += 1
    assert all(seen.values()), seen


def test_a_changed_octet_breaks_each_chain(suite: list[tuple[str, dict[str, Any], Zone]]) -> None:
    passed = 0
    for name, case, keys in suite:
        message = _crlf(case["message"])
        if _chain(message, keys).result == "pass":
            passed += 1
            assert _chain(message.replace(b"Hey gang", b"Hey Gang"), keys).result == "fail", name
            assert _chain(message.replace(b"Subject: ", b"Subject: x"), keys).result == "fail", name
    assert passed
