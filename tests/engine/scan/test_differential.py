"""Beside Python's email package, both its policies, on messages made to be read in more ways than one.

Whatever it shows as the content of a leaf must be in something that was examined. Where it is not, that is decided
in docs/mime-divergences.md; `decided` below is the list, and nothing else may differ.
"""

import base64
import email
import email.message
import email.policy
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import ContainerLimits
from engine.scan.walk import Walker
from tests.engine.scan.material import Clock, Matcher, uuencoded

BOUNDARIES = [b"b", b"bb", b"b--", b"x y", b"=_1", b"b'", b"q" * 75]
ENCODINGS = [b"7bit", b"base64", b"quoted-printable", b"BASE64 ", b"x-uuencode", b"8bit", b"base64 (c)", b"\tbase64"]
TYPES = [
    b"text/plain",
    b"text/html; charset=utf-8",
    b"application/octet-stream; name=a.bin",
    b"message/rfc822",
    b"nonsense",
]
TYPES += [b"image/png", b"message/delivery-status", b"multipart/digest", b"TEXT/PLAIN (c)"]
LINES = [
    b"X: y",
    b"Subject: s",
    b"no field",
    b" folded",
    b" ",
    b"\t",
    b"Content-Disposition: attachment; filename=f",
    b"X : y",
]
WORDS = [
    b"words of a text",
    b"=41=3D and so on",
    b"--",
    b"-- ",
    b"",
    b"From here",
    b"Content-Type: text/plain",
    b"caf\xc3\xa9",
]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    text = b"\r\n".join(draw(st.lists(st.sampled_from(WORDS), max_size=4)))
    how = draw(st.integers(0, 5))
    if how == 0:
        return base64.encodebytes(text).replace(b"\n", b"\r\n")
    if how == 1:
        return uuencoded(text + b"x")
    return text


def field(name: bytes, values: list[bytes]) -> st.SearchStrategy[bytes]:
    return st.sampled_from(values).map(lambda value: name + b": " + value)


LEAVES = st.tuples(
    st.lists(
        st.one_of(
            field(b"Content-Type", TYPES),
            field(b"Content-Transfer-Encoding", ENCODINGS),
            st.sampled_from(LINES),
        ),
        max_size=4,
    ),
    st.sampled_from([b"\r\n\r\n", b"\r\n\r\n", b"\r\n\r\n", b"\r\n \r\n", b"\r\n"]),
    bodies(),
).map(lambda leaf: b"\r\n".join(leaf[0]) + leaf[1] + leaf[2])


@st.composite
def multiparts(draw: st.DrawFn, inner: st.SearchStrategy[bytes]) -> bytes:
    boundary = draw(st.sampled_from(BOUNDARIES))
    quoted = b'"' + boundary + b'"'
    head = draw(st.lists(st.sampled_from(LINES), max_size=2))
    head.append(b"Content-Type: multipart/" + draw(st.sampled_from([b"mixed", b"digest"])) + b"; boundary=" + quoted)
    parts = draw(st.lists(inner, min_size=1, max_size=3))
    margin = draw(st.sampled_from([b"", b"preamble\r\n"]))
    body = margin + b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    ends = [b"--" + boundary + b"--\r\n", b"", b"--" + boundary + b"\r\n", b"--" + boundary + b"-- \r\nepilogue\r\n"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body + draw(st.sampled_from(ends))


MESSAGES = st.recursive(LEAVES, lambda inner: multiparts(inner), max_leaves=6)


def norm(octets: bytes) -> bytes:
    """Line ends as LF, no white space at the ends of lines or of the whole, no empty lines: Python takes an empty line
    out of the body when a line that is no field came before it."""
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\n".join(line.rstrip(b" \t") for line in lines if line.strip(b" \t")).strip()


def leaves(entity: email.message.Message, encoded: bool = False) -> Iterator[tuple[bytes, bool]]:
    """(content, whether it or a message around it names an encoding) of each leaf that Python shows."""
    name = str(entity.get("content-transfer-encoding", "")).strip().lower()
    encoded = encoded or name not in ("", "7bit", "8bit", "binary")
    if entity.is_multipart():
        for part in entity.get_payload():
            assert isinstance(part, email.message.Message)
            yield from leaves(part, encoded)
        return
    content = entity.get_payload(decode=True)
    if isinstance(content, bytes):
        yield content, encoded


def decided(content: bytes, encoded: bool, data: bytes) -> bool:
    """What Python shows that is not examined like that, and need not be: the reasons are in the table.

    An encoding that it does not know or cannot decode, or one of a nested message: it shows the encoded text.
    """
    return encoded and b"".join(content.split()) in b"".join(data.split())


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(MESSAGES)
def test_what_python_shows_is_examined(data: bytes) -> None:
    matcher = Matcher()
    Walker(matcher, ContainerLimits(), clock=Clock()).walk_message(data)
    examined = [norm(octets) for _, octets in matcher.seen]
    for policy in (email.policy.compat32, email.policy.default):
        for content, encoded in leaves(email.message_from_bytes(data, policy=policy)):
            wanted = norm(content)
            assert any(wanted in octets for octets in examined) or decided(content, encoded, data), (policy, wanted)
