"""Header fields that a relay grant hangs on: the same for every cut, and nothing is granted that is not there once."""

from engine.relay_rule import Field
from engine.smtp.header_condition import HeaderCondition

FIELD = Field("x-tenant", "id 1")
SEEDS = [
    b"\x03X-Tenant: id 1\r\n\r\nbody",
    b"\x01a: b\r\nx-tenant:\r\n id\r\n 1\r\nc: d\r\n\r\n",
    b"\x05X-Tenant: id 1\r\nX-Tenant : id 1\r\n\r\n",
    b"\x02\r\nX-Tenant: id 1\r\n\r\n",
]


def _met(content: bytes, size: int) -> bool:
    condition = HeaderCondition([(FIELD,)])
    for start in range(0, len(content), size):
        condition.feed(content[start : start + size])
    return condition.finish()


def one_input(data: bytes) -> None:
    """First octet: how the rest is cut."""
    if not data:
        return
    content = data[1:]
    met = _met(content, 1 + data[0] % 31)
    assert met is _met(content, len(content) or 1)
    header = (b"\r\n" + content).partition(b"\r\n\r\n")[0]
    if met:
        assert not content.startswith(b"\r\n")
        assert header.lower().count(b"x-tenant") >= 1
        assert b"id 1" in header.replace(b"\r\n", b"")
        assert not _met(b"X-Tenant: id 1\r\n" + content, 7), "a second field makes it doubtful"
    elif b"x-tenant" not in header.lower() and not content.startswith(
        (b" ", b"\t")
    ):  # which would go on with the field
        assert _met(b"X-Tenant: id 1\r\n" + content, 7)
