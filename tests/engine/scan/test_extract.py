"""The original octets of infected files, as the quarantine gets them."""

import hashlib

import pytest

from engine.config import Settings
from engine.scan.extract import Wanted, extract
from engine.scan.outcome import Taken
from tests.engine.scan.material import EICAR, Clock, Matcher, gzipped, message, nested, tarred, uuencoded, zipped

SETTINGS = Settings()


def taken(
    data: bytes, *parts: str, room: int = 1 << 20, suspected: tuple[str, ...] = ()
) -> tuple[list[tuple[Taken, bytes]], int]:
    found: list[tuple[Taken, bytes]] = []
    too_large = extract(
        data,
        Matcher(),
        SETTINGS,
        Wanted(parts, suspected, room),
        lambda one, octets: found.append((one, bytes(octets))),
        clock=Clock(),
    )
    return found, too_large


FILE = b"MZ" + EICAR + bytes(range(256)) * 4


@pytest.mark.parametrize(
    ("data", "part", "name"),
    [
        (message("t\n", [("e.com", FILE)]), "2", "e.com"),
        (message("t\n", [("x.zip", zipped({"a": b"a", "e.com": FILE}))]), "2/x.zip/e.com", "e.com"),
        (message("t\n", [("x.tar.gz", gzipped(tarred({"e.com": FILE})))]), "2/x.tar.gz/x.tar/e.com", "e.com"),
        (nested(message("t\n", [("x.zip", zipped({"d/e.com": FILE}))])), "2.2/x.zip/d/e.com", "d/e.com"),
        (message("words\n" + uuencoded(FILE, "e.com").decode("latin-1")), "1/e.com", "e.com"),
    ],
)
def test_the_original_file(data: bytes, part: str, name: str) -> None:
    """QRN-12, AV-11: octet for octet as it was inside, whatever it was packed in; only what is asked for."""
    found, too_large = taken(data, part)
    [(one, octets)] = found
    assert (one.parts, one.name, one.size) == ((part,), name, len(FILE))
    assert hashlib.sha256(octets).digest() == hashlib.sha256(FILE).digest()
    assert not too_large


def test_what_has_no_content_is_in_what_is_around_it() -> None:
    """QRN-12: the header section of a message, and the name of a member."""
    data = b"Subject: " + EICAR + b"\r\n\r\nwords\r\n"
    [(one, octets)], _ = taken(data, "1")
    assert (one.name, octets) == ("message.eml", data)
    inner = zipped({"order.pdf.exe": b"harmless"})
    [(one, octets)], _ = taken(message("t\n", [("x.zip", inner)]), "2/x.zip/order.pdf.exe")
    assert (one.name, octets) == ("order.pdf.exe", b"harmless")


def test_of_files_with_one_name_the_infected_one() -> None:
    """QRN-12: a path may be of several members."""
    twice = zipped({"eeee.com": b"harmless", "ffff.com": FILE}).replace(b"ffff.com", b"eeee.com")
    found, _ = taken(message("t\n", [("x.zip", twice)]), "2/x.zip/eeee.com")
    assert [octets for _, octets in found] == [FILE]


def test_definitions_that_changed_meanwhile() -> None:
    """QRN-12: what they do not find any more is still in the message, which is taken as a whole."""
    data = message("t\n", [("e.com", b"harmless")])
    [(one, octets)], _ = taken(data, "2")
    assert (one.parts, one.name, octets) == (("2",), "message.eml", data)


def test_what_only_heuristics_found() -> None:
    """QRN-07: they may find it after the walk is through with the file: it is taken by its path."""
    data = message("t\n", [("e.com", b"harmless")])
    [(one, octets)], _ = taken(data, "2", suspected=("2",))
    assert (one.parts, one.name, octets) == (("2",), "e.com", b"harmless")


def test_room() -> None:
    """QRN-05: of all files of one message together, reached exactly and crossed by one."""
    data = message("t\n", [("a.com", FILE), ("b.com", FILE)])
    assert len(taken(data, "2", "3", room=2 * len(FILE))[0]) == 2
    found, too_large = taken(data, "2", "3", room=2 * len(FILE) - 1)
    assert [one.name for one, _ in found] == ["a.com"] and too_large == 1
