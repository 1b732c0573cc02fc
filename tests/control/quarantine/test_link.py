"""What the central server may do to a gateway that speaks to it: answer slowly, for ever, hugely, or from elsewhere."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from control.quarantine import link as module
from control.quarantine.link import RETRY_S, Link, LinkFailed
from control.quarantine_server import authority, protocol
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.protocol import Order, OrderResult, OrderState
from engine.config import Quarantine
from engine.quarantine.item import Item
from tests.control.harness import PATIENCE_S
from tests.control.quarantine_server.house import item_of

ITEM = Item(id="ab" * 16, smtp_id="1N4ABCDEV0001", sha256="cd" * 32, size=1)
RESULT = OrderResult(OrderState.PICKED_UP, "2026-03-01T09:30:00Z")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"


class Server:
    """Real TLS with a certificate of its authority. say: what it answers, in pieces."""

    def __init__(self, root: Path) -> None:
        layout = ServerLayout(root / "server")
        layout.make()
        authority.make(layout, ["127.0.0.1"])
        (root / "enrolled.pem").write_bytes(authority.enroll(layout, "gw1"))
        self._tls = authority.server_context(layout)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.say: Callable[[], Iterator[bytes]] = lambda: iter(())
        self.paths: list[bytes] = []
        self._gone = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True)]
        self._threads[0].start()
        self.root = root

    def link(self, host: str = "127.0.0.1") -> Link:
        port = self._listener.getsockname()[1]
        return Link(Quarantine(server=host, port=port, enrollment="enrolled.pem"), self.root)

    def _run(self) -> None:
        while not self._gone.is_set():
            with contextlib.suppress(OSError), self._listener.accept()[0] as plain:
                plain.settimeout(PATIENCE_S)
                with self._tls.wrap_socket(plain, server_side=True) as peer:
                    if not (request := peer.recv(65536)):
                        continue  # gone again, out of patience
                    self.paths.append(request.split(b" ")[1])
                    for piece in self.say():
                        peer.sendall(piece)

    def close(self) -> None:
        self._gone.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"))
    yield one
    one.close()


def for_ever(first: bytes, again: bytes) -> Callable[[], Iterator[bytes]]:
    """An octet or so now and then, which no timeout between two of them ends."""
    tick = threading.Event()

    def say() -> Iterator[bytes]:
        yield first
        while not tick.wait(0.005):
            yield again

    return say


CALLS: dict[str, Callable[[Link], Any]] = {
    "upload": lambda link: link.upload(ITEM, iter([b"x"])),
    "orders": lambda link: link.orders(0),
    "content": lambda link: b"".join(link.content("ef" * 16, 1)),
    "result": lambda link: link.result("ef" * 16, RESULT),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("first", "again"),
    [
        (OK % 10**9, b" "),
        (b"HTTP/1.1 200 OK\r\n", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 503 No\r\ncontent-length: 200000\r\n\r\n", b" "),
    ],
    ids=["body", "head", "continue", "refusal"],
)
def test_an_answer_that_does_not_end_is_cut(
    server: Server, monkeypatch: pytest.MonkeyPatch, call: str, first: bytes, again: bytes
) -> None:
    """QRN-05."""
    monkeypatch.setattr(module, "OVER_S", 0.05)
    server.say = for_ever(first, again)
    with pytest.raises(LinkFailed):
        CALLS[call](server.link())


def test_nothing_is_followed_to_somewhere_else(server: Server) -> None:
    """QRN-04: not to another address, and not under another name than the one in its certificate."""
    server.paths.clear()
    server.say = lambda: iter(
        [b"HTTP/1.1 307 Go\r\nlocation: https://127.0.0.1/elsewhere\r\ncontent-length: 0\r\n\r\n"]
    )
    with pytest.raises(LinkFailed, match="307"):
        server.link().orders(0)
    with pytest.raises(LinkFailed, match="certificate"):
        server.link("localhost").orders(0)
    assert server.paths == [b"/v1/orders?wait=0"]


@pytest.mark.parametrize(("asked", "pause"), [(b"60", 60.0), (b"9" * 400, RETRY_S), (b"-1", 0.0), (b"soon", 0.0)])
def test_the_pause_that_a_server_may_ask_for_has_an_end(server: Server, asked: bytes, pause: float) -> None:
    """QRN-05."""
    server.say = lambda: iter([b"HTTP/1.1 503 No\r\nretry-after: " + asked + b"\r\ncontent-length: 0\r\n\r\n"])
    with pytest.raises(LinkFailed) as failed:
        server.link().orders(0)
    assert failed.value.retry_s == pause


def test_a_huge_answer_is_none(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_LEN", 1000)
    server.say = lambda: itertools.chain([OK % 2000], [b'{"orders": []' + b" " * 1986 + b"}"])
    with pytest.raises(LinkFailed, match="no answer"):
        server.link().orders(0)


def order(**changes: Any) -> Order:
    known: dict[str, Any] = {
        "id": "ef" * 16,
        "item": item_of(b"x"),
        "recipients": ("a@example.com",),
        "by": "carol",
        "time": "t",
    }
    return Order(**(known | changes))


@pytest.mark.parametrize(
    "bad",
    [
        order(id="../" * 10 + "ab"),
        order(id="ef" * 15 + "e\n"),
        order(id="x\r\nBcc: y"),
        order(item=msgspec.structs.replace(item_of(b"x"), id="/../../../../../etc/passwd")),
        order(item=msgspec.structs.replace(item_of(b"x"), sha256="..")),
        order(item=msgspec.structs.replace(item_of(b"x"), size=-1)),
        order(recipients=("a@example.com",) * 1001),
        order(recipients=("a" * 331,)),
    ],
)
def test_orders_are_not_believed(bad: Order) -> None:
    """QRN-06: what would become a path, a field of a mail or another address is no order."""
    assert protocol.orders_of(msgspec.json.encode(protocol.Orders((order(),)))) == (order(),)
    with pytest.raises(protocol.Malformed):
        protocol.orders_of(msgspec.json.encode(protocol.Orders((order(), bad))))


def test_more_orders_than_are_told_at_once_wait() -> None:
    many = tuple(order(id=f"{number:032x}") for number in range(protocol.ORDERS + 1))
    assert len(protocol.orders_of(msgspec.json.encode(protocol.Orders(many)))) == protocol.ORDERS
