"""Ordinary mail that no set of definitions may find anything in, nor take long for (DEF-16).

Made here, the same each time: a set that speaks against any of it would stop mail everywhere.
"""

import base64
import io
import random
import time
import zipfile
from collections.abc import Iterator
from typing import Final

from cext.automaton import Image
from engine.config import Antivirus, ContainerLimits
from engine.scan.facts import Verdict
from engine.scan.walk import Walker

SLOWEST_S: Final = 5.0  # of processor time, for all of it: some hundred times what it takes
_HEAD: Final = "From: Ann Example <ann@example.com>\r\nTo: bob@example.net\r\nSubject: %s\r\nMIME-Version: 1.0\r\n"
_WORDS: Final = (
    "the of and to in is that it was for on are as with they at be this from have or by one had not but what all were"
    " when we there can an your which their said if do will each about how up out them then she many some so these"
    " would other into has more her two like him see time could no make than first been its who now people my made"
    " invoice meeting report order please regards Monday budget contract attached delivery question answer office"
)
_TEXT_LEN: Final = 100_000
_BINARY_LEN: Final = 500_000


def mails() -> Iterator[tuple[str, bytes]]:
    """(what it is, the message)."""
    chance = random.Random(16)
    words = _WORDS.split()
    text = " ".join(chance.choices(words, k=200))
    yield "a line of text", _mail("Lunch", "text/plain", "See you at noon.\r\n")
    yield "a mail without a body", _mail("Nothing", "text/plain", "")
    yield "a mail of plain text", _mail("Report", "text/plain; charset=utf-8", _lines(text))
    page = f"<!DOCTYPE html><html><head><title>News</title></head><body><h1>News</h1><p>{text}</p></body></html>\r\n"
    yield "a mail in HTML", _mail("News", "text/html; charset=utf-8", page)
    long = _lines(" ".join(chance.choices(words, k=_TEXT_LEN // 5)))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("report.txt"), long)
        archive.writestr(zipfile.ZipInfo("figures.csv"), "month,orders\nMay,12\nJune,15\n")
    picture = b"\x89PNG\r\n\x1a\n" + chance.randbytes(20_000)
    attached = (
        ("notes.txt", "text/plain", long.encode()),
        ("archive.zip", "application/zip", packed.getvalue()),
        ("picture.png", "image/png", picture),
        ("data.bin", "application/octet-stream", chance.randbytes(_BINARY_LEN)),
    )
    yield "a mail with attachments", _with_attachments(_lines(text), attached)


def failures(image: Image) -> list[str]:
    """What speaks against a set, in words; none if nothing does. Raises ValueError, TimeoutError of the matcher."""
    walker = Walker(image, ContainerLimits(), clock=time.monotonic, heuristics=Antivirus())
    found, begun = [], time.process_time()
    for what, message in mails():
        facts = walker.walk_message(message).facts
        if facts.matches:
            found.append(f"{facts.matches[0].name} is found in {what}")
        elif facts.verdict is not Verdict.CLEAN:
            found.append(f"{what} cannot be examined with it: {facts.unscanned[0].detail if facts.unscanned else ''}")
    took = time.process_time() - begun
    if took > SLOWEST_S:
        found.append(f"it takes {took:.0f} s of processor time for a few ordinary mails")
    return found


def _mail(subject: str, kind: str, body: str) -> bytes:
    return f"{_HEAD % subject}Content-Type: {kind}\r\n\r\n{body}".encode()


def _lines(text: str) -> str:
    return "".join(f"{text[at : at + 70]}\r\n" for at in range(0, len(text), 70))


def _with_attachments(body: str, files: tuple[tuple[str, str, bytes], ...]) -> bytes:
    parts = [f"Content-Type: text/plain\r\n\r\n{body}"]
    for name, kind, content in files:
        encoded = base64.encodebytes(content).decode().replace("\n", "\r\n")
        parts.append(
            f'Content-Type: {kind}; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n{encoded}'
        )
    joined = "".join(f"--part\r\n{part}\r\n" for part in parts)
    return _mail("Documents", 'multipart/mixed; boundary="part"', f"{joined}--part--\r\n")
