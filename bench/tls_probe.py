"""What a TLS server makes of every version, cipher suite and oddity that a client can begin with, as a table.

    python -m bench.tls_probe 127.0.0.1:25 127.0.0.1:465+     # behind the port: + for TLS from the start

The first flight of a client is put together octet by octet, so it can be one that no library speaks any more. What
comes back is an alert, a ServerHello with the version and suite that it chose, or the end of the connection.
"""

import argparse
import os
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

TIMEOUT_S: Final = 20.0
SSL3, TLS10, TLS11, TLS12, TLS13 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
VERSIONS: Final = {SSL3: "SSLv3", TLS10: "TLSv1.0", TLS11: "TLSv1.1", TLS12: "TLSv1.2", TLS13: "TLSv1.3"}
FALLBACK: Final = 0x5600  # RFC 7507
MODERN: Final = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA8, 0xCCA9)
OF_TLS13: Final = (0x1301, 0x1302, 0x1303)
SUITES: Final[dict[str, tuple[int, ...]]] = {
    "export": (0x0003, 0x0006, 0x0008, 0x000B, 0x000E, 0x0011, 0x0014, 0x0017, 0x0019, 0x0062, 0x0064),
    "NULL": (0x0001, 0x0002, 0x003B, 0xC001, 0xC006, 0xC00B, 0xC010, 0xC015),
    "anonymous": (0x0018, 0x001B, 0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0x00A7, 0xC016, 0xC017, 0xC018, 0xC019),
    "RC4": (0x0004, 0x0005, 0xC002, 0xC007, 0xC00C, 0xC011),
    "DES and 3DES": (0x0009, 0x000A, 0x000C, 0x000F, 0x0012, 0x0013, 0x0015, 0x0016, 0xC003, 0xC008, 0xC00D, 0xC012),
    "Camellia, SEED, IDEA": (0x0007, 0x0096, 0x009A, 0x0041, 0x0045, 0x0084, 0x0088, 0xC072, 0xC076),
    "no forward secrecy": (0x002F, 0x0035, 0x003C, 0x003D, 0x009C, 0x009D, 0xC004, 0xC005, 0xC00E, 0xC00F),
    "CBC with SHA-1": (0xC009, 0xC00A, 0xC013, 0xC014, 0x0033, 0x0039),
    "CBC with SHA-2": (0xC023, 0xC024, 0xC027, 0xC028),
    "AEAD": MODERN,
}
_SIGNATURES: Final = (0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0203, 0x0201)
_GROUPS: Final = (0x001D, 0x0017, 0x0018)


class Probe(NamedTuple):
    """wanted: how the answer has to begin, one of several; more: flights that follow, each on its own.

    A server may refuse with an alert or by closing: uvloop closes before OpenSSL's alert is sent.
    """

    name: str
    flight: bytes
    wanted: tuple[str, ...]
    more: tuple[bytes, ...] = ()


REFUSED: Final = ("alert", "closed")


def record(kind: int, body: bytes, version: int = TLS10) -> bytes:
    return struct.pack(">BHH", kind, version, len(body)) + body


def extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def server_name(name: bytes) -> bytes:
    entry = b"\0" + struct.pack(">H", len(name)) + name
    return extension(0, struct.pack(">H", len(entry)) + entry)


def _list(numbers: Iterable[int]) -> bytes:
    octets = b"".join(struct.pack(">H", number) for number in numbers)
    return struct.pack(">H", len(octets)) + octets


def client_hello(
    version: int = TLS12, suites: Iterable[int] = MODERN, compression: bytes = b"\0", extensions: bytes = b""
) -> bytes:
    """A record with a ClientHello. version: the highest that the client speaks."""
    session = b""
    if version >= TLS10:
        extensions += extension(10, _list(_GROUPS)) + extension(11, b"\1\0") + extension(13, _list(_SIGNATURES))
    if version == TLS13:
        share = struct.pack(">HH", 0x001D, 32) + os.urandom(32)
        extensions += extension(43, b"\2\3\4") + extension(51, struct.pack(">H", len(share)) + share)
        session = os.urandom(32)
    body = struct.pack(">H", min(version, TLS12)) + os.urandom(32) + bytes([len(session)]) + session
    body += _list(suites) + bytes([len(compression)]) + compression
    if extensions:
        body += struct.pack(">H", len(extensions)) + extensions
    return record(22, b"\1" + struct.pack(">I", len(body))[1:] + body, min(version, TLS10))


def probes() -> Iterator[Probe]:
    yield Probe("SSLv2", b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01\x00\x80" * 7 + bytes(16), REFUSED)
    for version in (SSL3, TLS10, TLS11):
        everything = [*MODERN, *(suite for suites in SUITES.values() for suite in suites)]
        yield Probe(VERSIONS[version], client_hello(version, everything), REFUSED)
    yield Probe("TLSv1.2", client_hello(), ("TLSv1.2",))
    yield Probe("TLSv1.3", client_hello(TLS13, OF_TLS13), ("TLSv1.3",))
    yield Probe("TLSv1.2, fallback told", client_hello(TLS12, (*MODERN, FALLBACK)), REFUSED)
    for name, suites in SUITES.items():
        wanted: tuple[str, ...] = ("TLSv1.2",) if suites is MODERN else REFUSED
        if name == "CBC with SHA-2":
            wanted = ("TLSv1.2", *REFUSED)
        yield Probe(f"suites: {name}", client_hello(TLS12, suites), wanted)
    yield Probe("compression offered", client_hello(compression=b"\1\0"), ("TLSv1.2",))
    yield Probe("compression only", client_hello(compression=b"\1"), REFUSED)
    heartbeat = client_hello(extensions=extension(15, b"\1"))
    yield Probe("heartbeat offered", heartbeat, ("TLSv1.2",))
    bleed = record(24, b"\1\x40\0", TLS12)
    yield Probe("heartbeat of 16 KiB", heartbeat, ("TLSv1.2", *REFUSED), (bleed,))
    for name, asked in (
        ("of somebody else", b"nowhere.example"),
        ("empty", b""),
        ("beyond ASCII", b"m\xffil.example"),
        ("with NUL", b"mail\0.example"),
        ("of 255 octets", b"a" * 255),
        ("of 256 octets", b"a" * 256),
    ):
        yield Probe(f"name {name}", client_hello(extensions=server_name(asked)), ("TLSv1.2", *REFUSED))
    hello = client_hello()
    yield Probe(
        "hello in single octets", hello[:1], ("TLSv1.2",), tuple(hello[i : i + 1] for i in range(1, len(hello)))
    )
    yield Probe("hello of no suites", client_hello(suites=()), REFUSED)
    yield Probe("hello cut short", record(22, hello[5:40]) + record(21, b"\1\0"), REFUSED)
    yield Probe("hello that claims 16 MiB", record(22, b"\1\xff\xff\xff" + bytes(1000)), REFUSED)
    yield Probe("record too long", struct.pack(">BHH", 22, TLS10, 0xFFFF) + bytes(1000), REFUSED)
    yield Probe("records of nothing", record(22, b"") * 100, REFUSED)
    yield Probe("alerts without end", record(21, b"\1\0") * 100, REFUSED)
    yield Probe("data before keys", record(23, b"MAIL FROM:<a@b.example>\r\n"), REFUSED)
    yield Probe("ChangeCipherSpec first", record(20, b"\1"), REFUSED)
    yield Probe("SMTP in plain text", b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n", REFUSED)
    yield Probe("HTTP", b"GET / HTTP/1.1\r\nHost: mail.example\r\n\r\n", REFUSED)
    yield Probe("zeros", bytes(4096), REFUSED)
    yield Probe("noise", bytes(range(255, -1, -1)) * 16, REFUSED)


def _answer(octets: bytes) -> str:
    """What the first record of the server says."""
    if len(octets) < 7:
        return "closed"
    kind = octets[0]
    if kind == 21:
        return f"alert {octets[6]}"
    if kind != 22 or octets[5] != 2:
        return f"record of kind {kind}"
    at = 43
    at += 1 + octets[at]
    (suite,) = struct.unpack_from(">H", octets, at)
    (version,) = struct.unpack_from(">H", octets, 9)
    extensions = dict(_extensions(octets[at + 5 : 9 + int.from_bytes(octets[6:9], "big")]))
    version = int.from_bytes(extensions.get(43, version.to_bytes(2, "big")), "big")
    oddities = ", compressed" * bool(octets[at + 2]) + ", heartbeat" * (15 in extensions)
    return f"{VERSIONS.get(version, hex(version))} {suite:04X}{oddities}"


def _extensions(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(octets):
        kind, length = struct.unpack_from(">HH", octets, at)
        yield kind, octets[at + 4 : at + 4 + length]
        at += 4 + length


def _reply(sock: socket.socket) -> bytes:
    octets = b""
    while not octets.endswith(b"\r\n") or octets[-len(octets.splitlines(True)[-1]) :][3:4] == b"-":
        if not (more := sock.recv(4096)):
            raise ConnectionError(f"the server closed after {octets!r}")
        octets += more
    return octets


def run(probe: Probe, host: str, port: int, implicit: bool) -> str:
    """The answer in words. Raises OSError if it cannot get as far as that."""
    with socket.create_connection((host, port), TIMEOUT_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not implicit:
            for line in (b"", b"EHLO probe.example\r\n", b"STARTTLS\r\n"):
                sock.sendall(line)
                _reply(sock)
        octets = b""
        try:
            for flight in (probe.flight, *probe.more):
                sock.sendall(flight)
            octets = _read(sock, 4096)
            if probe.more and probe.more[0][:1] == b"\x18":
                octets += _read(sock, 1 << 17)
        except ConnectionError:
            pass
        return _answer(octets) + (", LEAKS" if b"\x18\x03\x03\x40" in octets else "")


def _read(sock: socket.socket, most: int) -> bytes:
    """Up to the end of the first record, or of the connection; with a heartbeat under way all of it."""
    octets = b""
    until = time.monotonic() + TIMEOUT_S
    while len(octets) < most and time.monotonic() < until:
        if most <= 4096 and len(octets) >= 5 and len(octets) >= 5 + int.from_bytes(octets[3:5], "big"):
            break
        if not (more := sock.recv(65536)):
            break
        octets += more
    return octets


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.tls_probe", description=__doc__)
    parser.add_argument("server", nargs="+", help="HOST:PORT, with a + behind it for TLS from the start")
    servers = parser.parse_args().server
    print(f"{'client':32}" + "".join(f"{server:28}" for server in servers))
    bad = 0
    for probe in probes():
        cells = []
        for server in servers:
            host, _, port = server.rstrip("+").rpartition(":")
            answer = run(probe, host, int(port), server.endswith("+"))
            good = answer.startswith(probe.wanted) and "," not in answer
            bad += not good
            cells.append(f"{answer}{'' if good else '  <-- BAD'}")
        print(f"{probe.name:32}" + "".join(f"{cell:28}" for cell in cells))
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
