"""Seeds for targets that bring none of their own, made at run time. First octets are what the target takes them for."""

import binascii
import quopri
from collections.abc import Callable
from typing import Final

from tests.engine.scan.material import WRAPS, message, nested, uuencoded, zipped

_OCTETS: Final = bytes(range(256))
_STEPS: Final = (b"\x00", b"\x0c", b"\xff")  # cuts of 1, 13 and 256 octets


def _base64() -> list[bytes]:
    line = binascii.b2a_base64(_OCTETS, newline=False)
    wrapped = b"\r\n".join(line[at : at + 76] for at in range(0, len(line), 76))
    return [line, wrapped, wrapped[:-3] + b"!" + wrapped, b"QUI=\r\nQUJD\r\n", b"QUI", b"Q=U=I=", b"-----\n" + wrapped]


def _quoted_printable() -> list[bytes]:
    soft = quopri.encodestring(_OCTETS * 2).replace(b"\n", b"\r\n")
    return [soft, b"caf=C3=A9 =\r\n=e2=82=ac  \t\r\nx=ZZ=", b"=3D" * 40 + b"=\r\n", b"a \t \r\n" * 9]


def _uue() -> list[bytes]:
    good = uuencoded(_OCTETS)
    return [
        good,
        good[:-5],
        good.replace(b"`", b" "),
        good.replace(b"\r\n", b"\n") * 2,
        b"begin 644 x\nend\n",
        good[16:],
    ]


def _mime() -> list[bytes]:
    parts = b"x: y\r\n\r\npre\r\n--ab\r\n\r\none\r\n--ab \t\r\ntwo\n--abc\n--ab--\r\nend\r\r\n--ab"
    return [b"\x02ab" + parts, b"\x00" + parts, b"\x01a" + parts.replace(b"\r\n", b"\r")]


def _smtp_data() -> list[bytes]:
    text = b"Received: a\r\nreceived: b\r\n\r\n..stuffed\r\n.\r\nMAIL FROM:<>\r\n"
    streams = (text, b".\r\n", text.replace(b"\r\n", b"\n"), text.replace(b"stuffed", b"s\rt\0u"))
    return [limit + stream for limit in (b"\x01", b"\xff") for stream in streams]


def _walk() -> list[bytes]:
    wrapped = [message("words\n", [wrap(b"content", "a.txt")[::-1]]) for wrap in WRAPS.values()]
    plain = message("words\n", [("a.html", b"<p>" + _OCTETS), ("b.zip", zipped({"c": b"d" * 99, "e/f.exe": b"MZ"}))])
    return [*wrapped, plain, nested(plain), nested(plain, "base64"), uuencoded(plain, "m.eml")]


def _signature_source() -> list[bytes]:
    head = b'[[signature]]\nname = "A.B"\n'
    bodies = (b'text = "some words"\nnocase = true\n', b'hex = "41 42 43 44 45"\n', b'filename = "*.pdf.{exe,scr}"\n')
    digest = b'sha256 = "' + b"ab" * 32 + b'"\nsize = 7\ntarget = "pe"\nspecimen = [{ hex = "00ff" }, "x"]\n'
    return [head + body for body in (*bodies, digest)] + [b"".join(head + body for body in bodies)]


def _smtp_session() -> list[bytes]:
    return [bytes([0x80, 0x82, 0x85, 0x89]) + b"body" + bytes([0x91]), bytes([0x80, 0x82, 0x85, 0x8B]) + b"12345"]


def _smtp_client() -> list[bytes]:
    talk = b"220 mx\r\n250-mx\r\n250-SIZE 99\r\n250-PIPELINING\r\n250-DSN\r\n250 STARTTLS\r\n" + b"250 ok\r\n" * 3
    return [flags + talk + b"354 go\r\n250 2.0.0 taken\r\n" for flags in (b"\x1f", b"\x3f", b"\x9f", b"\x00")]


_MADE: Final[dict[str, tuple[Callable[[], list[bytes]], tuple[bytes, ...]]]] = {
    "base64": (_base64, _STEPS),
    "quoted_printable": (_quoted_printable, _STEPS),
    "uue": (_uue, _STEPS),
    "mime": (_mime, (b"",)),
    "smtp_data": (_smtp_data, _STEPS),
    "walk": (_walk, (b"",)),
    "signature_source": (_signature_source, (b"",)),
    "smtp_session": (_smtp_session, (b"",)),
    "smtp_client": (_smtp_client, (b"",)),
    "host_field": (lambda: [b"gw.example.com", b"gw.example.com:443", b"[::1]:80", b"127.0.0.1", b"a\0b"], (b"",)),
}


def seeds_for(name: str) -> list[bytes]:
    """Those made here for the target fuzz_NAME, perhaps none."""
    if name not in _MADE:
        return []
    make, fronts = _MADE[name]
    return [front + seed for seed in make() for front in fronts]
