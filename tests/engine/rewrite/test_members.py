"""Members of what cannot be written again: what they are in goes as a whole, never a piece of it (AV-10)."""

from collections.abc import Callable

import pytest

from engine.queue.record import Disposition
from engine.rewrite import spliced
from engine.scan.facts import Verdict
from tests.engine.scan.formats.test_uuencode import in_base64, in_xx
from tests.engine.scan.formats.test_yenc import block
from tests.engine.scan.material import EICAR, Matcher, message, walk, walker, zipped
from tests.engine.scan.test_service import examined
from tests.oracles.binhex import encode
from tests.oracles.tnef import MAGIC, attachment

HIDDEN = zipped({"e.com": EICAR, "other": b"other"})


@pytest.mark.parametrize("content", [EICAR, HIDDEN], ids=["file", "zip"])
@pytest.mark.parametrize(
    "container",
    [
        lambda content: MAGIC + attachment("x", content),
        lambda content: block(content, b"x"),
        lambda content: encode(b"x", content),
        lambda content: in_base64(content, b"x"),
        lambda content: in_xx(content, b"x"),
    ],
    ids=["tnef", "yenc", "binhex", "base64", "xx"],
)
def test_the_container_goes_as_a_whole(container: Callable[[bytes], bytes], content: bytes) -> None:
    octets = container(content)
    for name, file in (("a.dat", octets), ("a.zip", zipped({"keep": b"kept", "a.dat": octets}))):
        data = message("t\n", [(name, file)])
        outcome = examined(data)
        after = spliced(data, outcome.splices)
        assert outcome.disposition is Disposition.DELIVER
        facts = walk(after).facts
        assert facts.verdict is Verdict.CLEAN
        assert octets[-40:] not in b"".join(_leaves(after))
        assert any(part.part.endswith("keep") for part in facts.parts) == (name == "a.zip")


def _leaves(data: bytes) -> list[bytes]:
    matcher = Matcher()
    walker(matcher).walk_message(data)
    return [octets for _, octets in matcher.seen]
