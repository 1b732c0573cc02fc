"""One exchange with the central quarantine server: HTTPS, a certificate on both sides (QRN-04).

Every call makes a connection of its own: they are minutes apart, or as large as a file. All calls block.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from control.quarantine_server import protocol
from control.quarantine_server.protocol import Malformed, Order, OrderResult, Receipt
from engine.config import Quarantine
from engine.policy.metatags import clean
from engine.quarantine.item import Item

CONNECT_S: Final = 20.0
ANSWER_S: Final = 60.0  # between two pieces, and for a file to be durable there
OVER_S: Final = 120.0  # an exchange ends, however often an octet still comes
SLOWEST: Final = 16 * 1024  # octets a second of a file on its way
RETRY_S: Final = 3600.0  # no server may ask for a longer pause
ANSWER_LEN: Final = 64 * 1024 * 1024  # of a list of orders
WORDS_LEN: Final = 300  # characters of what the server says
PIECE_LEN: Final = 256 * 1024

T = TypeVar("T")
_Connected = tuple[http.client.HTTPSConnection, http.client.HTTPResponse, "_Watch"]


class LinkFailed(Exception):
    """Nothing is known to have happened. status: of HTTP, 0 without an answer. retry_s: what the server asks for."""

    def __init__(self, text: str, status: int = 0, retry_s: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.retry_s = retry_s


class Link:
    """For one set of settings. root: that the enrollment is relative to."""

    def __init__(self, settings: Quarantine, root: Path) -> None:
        self._host, self._port = settings.server, settings.port
        self._enrollment = root / settings.enrollment

    @property
    def server(self) -> str:
        return f"{self._host}:{self._port}"

    def upload(self, item: Item, pieces: Iterator[bytes]) -> Receipt:
        """Returns when the server has it on disk. Raises LinkFailed, and what the pieces raise."""
        words = msgspec.to_builtins(item)
        head = protocol.upload_head(msgspec.convert(words, protocol.Item))

        def body() -> Iterator[bytes]:
            yield head
            yield from pieces

        headers = {"content-type": protocol.UPLOAD_TYPE, "content-length": str(len(head) + item.size)}
        path = protocol.ITEM_PATH.format(id=item.id)
        answer = self._asked("PUT", path, body(), headers, OVER_S + item.size / SLOWEST)
        receipt = _decoded(answer, Receipt)
        if (receipt.id, receipt.sha256) != (item.id, item.sha256):
            raise LinkFailed("the server gave a receipt for another file")
        return receipt

    def orders(self, wait_s: int) -> tuple[Order, ...]:
        """Raises LinkFailed."""
        answer = self._asked("GET", f"{protocol.ORDERS_PATH}?wait={wait_s}", None, {}, wait_s + OVER_S)
        try:
            return protocol.orders_of(answer)
        except Malformed as error:
            raise LinkFailed(f"the server answers what is no answer: {clean(str(error), WORDS_LEN)}") from None

    def content(self, order: str, size: int) -> Iterator[bytes]:
        """The octets of the file that an order is about. size: that it has. The iterator raises LinkFailed."""
        path = protocol.CONTENT_PATH.format(id=order)
        connection, response, watch = self._answer("GET", path, None, {}, OVER_S + size / SLOWEST)
        try:
            while piece := response.read(PIECE_LEN):
                yield piece
            watch.check()
        except (OSError, http.client.HTTPException) as error:
            raise LinkFailed(watch.why(error)) from None
        finally:
            watch.end()
            connection.close()

    def result(self, order: str, result: OrderResult) -> bool:
        """Whether the order still stands. Raises LinkFailed."""
        headers = {"content-type": "application/json"}
        path = protocol.RESULT_PATH.format(id=order)
        try:
            self._asked("PUT", path, msgspec.json.encode(result), headers, OVER_S)
        except LinkFailed as error:
            if error.status == 404:
                return False
            raise
        return True

    def _asked(
        self, method: str, path: str, body: "bytes | Iterator[bytes] | None", headers: dict[str, str], over_s: float
    ) -> bytes:
        """The whole answer. over_s: when it must be there. Raises LinkFailed."""
        connection, response, watch = self._answer(method, path, body, headers, over_s)
        try:
            octets = response.read(ANSWER_LEN)
            watch.check()
            return octets
        except (OSError, http.client.HTTPException) as error:
            raise LinkFailed(watch.why(error)) from None
        finally:
            watch.end()
            connection.close()

    def _answer(
        self, method: str, path: str, body: "bytes | Iterator[bytes] | None", headers: dict[str, str], over_s: float
    ) -> _Connected:
        """Connection and watch are the caller's to end. Raises LinkFailed for everything but 2xx."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=self._tls())
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise LinkFailed(_why(error)) from None
        watch = _Watch(connection.sock, over_s)
        try:
            connection.sock.settimeout(ANSWER_S)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, headers)  # refused before its end: the answer says why
            response = connection.getresponse()
            if response.status // 100 == 2:
                return connection, response, watch
            words, retry_s = response.read(PIECE_LEN), response.headers.get("retry-after", "")
        except (OSError, http.client.HTTPException) as error:
            watch.end()
            connection.close()
            raise LinkFailed(watch.why(error)) from None
        except BaseException:
            watch.end()
            connection.close()
            raise
        watch.end()
        connection.close()
        raise LinkFailed(
            _problem(response.status, words),
            response.status,
            min(float(retry_s), RETRY_S) if retry_s.isdecimal() else 0.0,
        )

    def _tls(self) -> ssl.SSLContext:
        """Trusts the authority of the server, and no other (QRN-04)."""
        try:
            context = ssl.create_default_context(cafile=str(self._enrollment))
            context.load_cert_chain(self._enrollment)
        except FileNotFoundError:
            raise LinkFailed(
                f"there is no {self._enrollment}: put the file there that `mailward quarantine enroll` wrote on the"
                " server"
            ) from None
        except (OSError, ValueError) as error:
            raise LinkFailed(
                f"{self._enrollment} cannot be used ({clean(str(error), WORDS_LEN)}): have this gateway enrolled again"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


class _Watch:
    """Cuts a connection that is not through in time: where an octet comes now and then, no timeout of it ends that."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._is_over = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        self._is_over = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # not that of TLS, which is for one thread

    def end(self) -> None:
        self._timer.cancel()

    def check(self) -> None:
        """Raises TimeoutError: what came is perhaps not all."""
        if self._is_over:
            raise TimeoutError

    def why(self, error: Exception) -> str:
        return _why(TimeoutError() if self._is_over else error)


def _decoded(octets: bytes, kind: type[T]) -> T:
    """Raises LinkFailed."""
    try:
        return msgspec.json.decode(octets, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise LinkFailed("the server answers what is no answer: is another program at this port?") from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not the one of the enrollment: {clean(error.verify_message, WORDS_LEN)}"
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    return clean(getattr(error, "strerror", None) or str(error) or repr(error), WORDS_LEN)


def _problem(status: int, words: bytes) -> str:
    """What the server says for people (RFC 9457)."""
    try:
        found = msgspec.json.decode(words, type=dict[str, object]).get("detail", "")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = ""
    return f"it answers {status}: {clean(str(found), WORDS_LEN)}" if found else f"it answers {status}"
