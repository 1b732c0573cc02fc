"""DNS servers on loopback for tests: rbldnsd and dnsmasq as Debian has them, and one that does as it is told.

    with block_lists(tmp_path, {"bl.example": {"ip4set": ":127.0.0.2:listed\\n192.0.2.7\\n"}}) as server: ...
    with dnsmasq(tmp_path, ["host-record=mail.example,192.0.2.1"]) as server: ...
    with scripted({("mail.example", "A"): ["192.0.2.1"]}) as names: names.delay_s = 0.05

All have `address`, as `[dns] servers` takes it, and `resolver()`. `Names` also runs in the loop of a test by itself
(`await Names(zone).start()`); `python -m tests.dns_server --delay-ms 50` answers in a process of its own, for benches.
"""

import argparse
import asyncio
import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

from bench.ports import free_port
from engine.dns import Resolver

START_S = 60.0  # far beyond what a start takes
UDP_LEN = 512  # RFC 1035 s4.2.1, for queries without EDNS

Zone = Mapping[tuple[str, str], Sequence[str]]


# --- real servers ---------------------------------------------------------------------------------


class Server:
    """A running name server. log: the file that says what it was asked."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]", folder: Path, log: str) -> None:
        self.port = port
        self.process = process
        self.folder = folder
        self.log = folder / log

    @property
    def address(self) -> str:
        return f"127.0.0.1#{self.port}"

    def resolver(self, **options: Any) -> Resolver:
        options.setdefault("hosts_file", None)
        return Resolver([self.address], **options)

    def asked(self, name: str) -> int:
        """How often it was asked for this name."""
        lines = [line.split() for line in self.log.read_text().lower().splitlines() if " config " not in line]
        return sum(name.lower() in words for words in lines)


class BlockListServer(Server):
    """rbldnsd."""

    def change(self, domain: str, kind: str, text: str) -> None:
        """Put other data into a zone that it serves already; returns when it has them."""
        _write_zone(self.folder, domain, kind, text)
        loaded = self._loaded()
        self.process.send_signal(1)  # SIGHUP: look at the files again
        _until(lambda: self._loaded() > loaded, "rbldnsd has read its zones again")

    def _loaded(self) -> int:
        return (self.folder / "said").read_text().count("zones reloaded")


@contextlib.contextmanager
def block_lists(
    folder: Path, zones: Mapping[str, Mapping[str, str]], *, ttl_s: int = 2100
) -> Iterator[BlockListServer]:
    """rbldnsd with these zones: domain -> dataset type (ip4set, ip6trie, ...) -> its lines. folder: for its files."""
    specs = []
    for domain, datasets in zones.items():
        for kind, text in datasets.items():
            specs.append(f"{domain}:{kind}:{_write_zone(folder, domain, kind, text)}")
    port = free_port()
    command = ["rbldnsd", "-n", "-4", "-b", f"127.0.0.1/{port}", "-c", "0", "-t", str(ttl_s), "-l", "+queries"]
    with _running([*command, *specs], folder) as process:
        server = BlockListServer(port, process, folder, "queries")
        _until(lambda: process.poll() is not None or answers(port), "rbldnsd answers")
        assert "invalid" not in (folder / "said").read_text(), (folder / "said").read_text()
        yield server


@contextlib.contextmanager
def dnsmasq(folder: Path, lines: Sequence[str]) -> Iterator[Server]:
    """dnsmasq with these lines in its configuration (`host-record=`, `txt-record=`, `mx-host=`, `ptr-record=`)."""
    port = free_port()
    settings = [
        f"port={port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "log-queries",
        "log-facility=-", "pid-file", "user=", "local-ttl=3600", "local=/#/", *lines,
    ]  # fmt: skip
    (folder / "dnsmasq.conf").write_text("\n".join(settings) + "\n")
    with _running(["dnsmasq", "--keep-in-foreground", "--conf-file=dnsmasq.conf"], folder) as process:
        _until(lambda: process.poll() is not None or answers(port), "dnsmasq answers")
        assert process.poll() is None, (folder / "said").read_text()
        yield Server(port, process, folder, "said")


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # where Debian puts daemons, and not every user looks
    user = None
    if os.getuid() == 0:  # rbldnsd will not run as root, and what others see of a pytest folder starts with this one
        user = "nobody"
        folder.chmod(0o777)
    with (folder / "said").open("ab") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, cwd=folder, env={**os.environ, "PATH": path}, user=user
        )
    try:
        yield process
        assert process.poll() is None, (folder / "said").read_text()  # it has not fallen over meanwhile
    finally:
        process.terminate()
        process.wait()


def _write_zone(folder: Path, domain: str, kind: str, text: str) -> str:
    """Of a later time than before, however soon that is: rbldnsd goes by it."""
    path = folder / f"{domain}.{kind}"
    before = path.stat().st_mtime if path.exists() else 0.0
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, (max(time.time(), before + 2),) * 2)
    new.replace(path)
    return path.name


def answers(port: int) -> bool:
    """Whether anything answers there, be it a refusal."""
    try:
        dns.query.udp(dns.message.make_query("ready.invalid", "A"), "127.0.0.1", timeout=1.0, port=port)
    except (dns.exception.DNSException, OSError):
        return False
    return True


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.005)


# --- one that does as it is told ------------------------------------------------------------------


class Names(asyncio.DatagramProtocol):
    """A DNS server over UDP and TCP: zone maps (name, type) to records as text; `*.name` stands for all names below.

    A name without entries is NXDOMAIN. A CNAME is answered as it stands, with what it leads to. What else is wanted
    of a name (lower case, or `*` for all): broken: SERVFAIL. refused: REFUSED. silent: no answer. silent_tcp: none
    over TCP. signed: said to be proven by DNSSEC, with all names that an alias leads to. truncated: only over TCP.
    garbage: octets that are no message. forged: before the answer come some with a wrong id, a wrong name, and a
    wrong kind. delay_s: each answer takes that long. together: no answer before so many questions wait for theirs.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone: dict[tuple[str, str], Sequence[str]] = dict(zone)
        self.broken: set[str] = set()
        self.signed: set[str] = set()
        self.failing: set[tuple[str, str]] = set()  # SERVFAIL for a name and type alone
        self.refused: set[str] = set()
        self.silent: set[str] = set()
        self.silent_tcp: set[str] = set()
        self.truncated: set[str] = set()
        self.garbage: set[str] = set()
        self.forged: set[str] = set()
        self.delay_s = 0.0
        self.asked: list[tuple[str, str]] = []
        self.asked_tcp: list[tuple[str, str]] = []
        self.together = 0
        self.ttl = 3600
        self.negative_ttl: int | None = None  # of an SOA in answers without records; None: there is no SOA
        self.port = 0
        self._held: list[tuple[list[bytes], Any]] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, port: int = 0) -> "Names":
        self._loop = loop = asyncio.get_running_loop()
        self.port = port or free_port()
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)  # questions come in bursts, and this is slow
        sock.bind(("127.0.0.1", self.port))
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self._tcp = await asyncio.start_server(self._stream, "127.0.0.1", self.port)
        return self

    def stop(self) -> None:
        if self._transport is not None:
            self._transport.close()
        if self._tcp is not None:
            self._tcp.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1#{self.port}"

    def resolver(self, **options: Any) -> Resolver:
        options.setdefault("hosts_file", None)
        return Resolver([self.address], **options)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        name, _ = question = self._asked(query)
        self.asked.append(question)
        if self._is(name, self.silent):
            return
        packets = [*self._forgeries(query)] if self._is(name, self.forged) else []
        if self._is(name, self.garbage):
            packets.append(data[:2] + b"\x80\x00garbage")
        elif self._is(name, self.truncated):
            packets.append(self._truncated(query))
        else:
            room = query.payload if query.edns >= 0 else UDP_LEN
            packet = self._answer(query).to_wire(max_size=65535)
            packets.append(packet if len(packet) <= room else self._truncated(query))
        assert self._loop is not None
        if self.together:
            self._held.append((packets, addr))
            if len(self._held) >= self.together:
                held, self._held = self._held, []
                for packets, addr in held:
                    self._send(packets, addr)
            return
        if not self.delay_s:
            self._send(packets, addr)
            return
        self._loop.call_later(self.delay_s, self._send, packets, addr)

    def _send(self, packets: list[bytes], addr: Any) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            for packet in packets:
                self._transport.sendto(packet, addr)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await reader.readexactly(2), "big")
                query = dns.message.from_wire(await reader.readexactly(length))
                name, _ = question = self._asked(query)
                self.asked_tcp.append(question)
                await asyncio.sleep(self.delay_s)
                if self._is(name, self.silent_tcp):
                    continue
                packet = self._answer(query).to_wire(max_size=65535)
                writer.write(len(packet).to_bytes(2, "big") + packet)
        writer.close()

    @staticmethod
    def _asked(query: dns.message.Message) -> tuple[str, str]:
        question = query.question[0]
        return question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)

    @staticmethod
    def _is(name: str, names: set[str]) -> bool:
        return name in names or "*" in names

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA
        name, kind = self._asked(query)
        if self._is(name, self.broken) or (name, kind) in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        if self._is(name, self.refused):
            response.set_rcode(dns.rcode.REFUSED)
            return response
        authentic = bool(query.flags & dns.flags.AD)
        for _ in range(20):  # a chain that is longer is a loop
            authentic = authentic and self._is(name, self.signed)
            owner = self._owner(name)
            kinds = {known for at, known in self.zone if at == owner}
            at = dns.name.from_text(name)
            if "CNAME" in kinds and kind != "CNAME":
                target = self.zone[owner, "CNAME"][0]
                response.answer.append(dns.rrset.from_text(at, self.ttl, "IN", "CNAME", target))
                name = target.removesuffix(".").lower()
                continue
            response.flags |= dns.flags.AD if authentic else 0
            if records := self.zone.get((owner, kind)):
                response.answer.append(dns.rrset.from_text_list(at, self.ttl, "IN", kind, records))
                return response
            if not kinds:
                response.set_rcode(dns.rcode.NXDOMAIN)
            break
        if self.negative_ttl is not None:
            soa = f"ns.invalid. root.invalid. 1 1 1 1 {self.negative_ttl}"
            response.authority.append(dns.rrset.from_text(".", self.negative_ttl, "IN", "SOA", soa))
        return response

    def _owner(self, name: str) -> str:
        """name if the zone has it, else the wildcard that covers it."""
        known = {at for at, _ in self.zone}
        below = name
        while name not in known and "." in below:
            below = below.partition(".")[2]
            if f"*.{below}" in known:
                return f"*.{below}"
        return name

    @staticmethod
    def _truncated(query: dns.message.Message) -> bytes:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC | dns.flags.RA
        return response.to_wire()

    @staticmethod
    def _forgeries(query: dns.message.Message) -> Iterator[bytes]:
        asked = query.question[0]
        lie = dns.rrset.from_text(asked.name, 3600, "IN", "A", "127.0.0.66")
        for change in ("id", "name", "kind"):
            name = "other.example." if change == "name" else asked.name
            kind = "MX" if change == "kind" else asked.rdtype
            response = dns.message.make_response(dns.message.make_query(name, kind, id=query.id))
            response.id = query.id ^ (change == "id")
            response.answer.append(lie)
            yield response.to_wire()


@contextlib.contextmanager
def scripted(zone: Zone) -> Iterator[Names]:
    """Names in a thread of its own, for tests that drive whole processes; what it does may be changed meanwhile."""
    names = Names(zone)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(names.start())
    thread = threading.Thread(target=loop.run_forever, name="names")
    thread.start()
    try:
        yield names
    finally:
        loop.call_soon_threadsafe(names.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def main() -> None:
    """A slow name server for benches: prints its address, answers until it is ended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--delay-ms", type=int, default=50)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("record", nargs="*", help="name/kind/text, such as *.bl.example/A/127.0.0.2")
    arguments = parser.parse_args()
    zone: dict[tuple[str, str], list[str]] = {}
    for record in arguments.record:
        name, kind, text = record.split("/", 2)
        zone.setdefault((name, kind), []).append(text)

    async def serve() -> None:
        names = await Names(zone).start(arguments.port)
        names.delay_s = arguments.delay_ms / 1000
        print(names.address, flush=True)
        await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
