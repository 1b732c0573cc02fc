"""axe-core, which tells what on a page not everybody can use: from the npm registry, pinned, kept under build/."""

import base64
import hashlib
import io
import os
import tarfile
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

VERSION: Final = "4.14.1"
SHA512: Final = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
ADDRESS: Final = f"https://registry.npmjs.org/axe-core/-/axe-core-{VERSION}.tgz"
KEPT: Final = Path(__file__).parents[2] / "build" / f"axe-core-{VERSION}.tgz"
PATIENCE_S: Final = 60.0

# WCAG 2.2 AA; the size of targets is tried only where it is asked for
EVERYTHING: Final = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "rules": {"target-size": {"enabled": True}},
}
COLORS: Final = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
# Text that has the contrast 1:1, such as blue on as bright a red, it takes for hidden on purpose: here nothing is.
_SAYS: Final = """async options => {
    const said = await axe.run(document, {...options, resultTypes: ["violations", "incomplete"], preload: false});
    const told = (one, nodes) => nodes.map(node => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary}`);
    const alike = node => node.any.some(check => check.data?.messageKey === "equalRatio");
    return [
        ...said.violations.filter(one => one.impact === "serious" || one.impact === "critical")
            .flatMap(one => told(one, one.nodes)),
        ...said.incomplete.flatMap(one => told(one, one.nodes.filter(alike))),
    ];
}"""


class NotWhatIsPinned(Exception):
    """The registry or the kept file gave other octets than those that were looked at."""


@cache
def source() -> str:
    """The script. Raises NotWhatIsPinned, OSError."""
    packed = KEPT.read_bytes() if KEPT.exists() else _fetch()
    if base64.b64encode(hashlib.sha512(packed).digest()).decode() != SHA512:
        raise NotWhatIsPinned(f"axe-core {VERSION} has another hash: remove {KEPT} if it is there")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def _fetch() -> bytes:
    with urllib.request.urlopen(ADDRESS, timeout=PATIENCE_S) as answer:
        packed: bytes = answer.read()
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    new = KEPT.with_suffix(f".{os.getpid()}")
    new.write_bytes(packed)
    new.replace(KEPT)
    return packed


def violations(page: Page, options: dict[str, Any]) -> list[str]:
    """What is serious or critical, one element a line. The page's policy does not hold for scripts of the tests."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(source())
    found: list[str] = page.evaluate(_SAYS, options)
    return found
