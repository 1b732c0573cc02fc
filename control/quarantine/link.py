"""One exchange with the central quarantine server: HTTPS, a certificate on both sides (QRN-04).

Every call makes a connection of its own: they are minutes apart, or as large as a file. All calls block.
"""

import contextlib
import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from control.quarantine_server import protocol
from control.quarantine_server.protocol import Order, OrderResult, Orders, Receipt
from engine.config import Quarantine
from engine.policy.metatags import clean
from engine.quarantine.item import Item

CONNECT_S: Final = 20.0
ANSWER_S: Final = 60.0  # between two pieces, and for a file to be durable there
ANSWER_LEN: Final = 64 * 1024 * 1024  # of a list of orders
WORDS_LEN: Final = 300  # characters of what the server says
PIECE_LEN: Final = 256 * 1024

T = TypeVar("T")


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
        receipt = self._asked("PUT", path, Receipt, body(), headers)
        if (receipt.id, receipt.sha256) != (item.id, item.sha256):
            raise LinkFailed("the server gave a receipt for another file")
        return receipt

    def orders(self, wait_s: int) -> tuple[Order, ...]:
        """Raises LinkFailed."""
        return self._asked("GET", f"{protocol.ORDERS_PATH}?wait={wait_s}", Orders).orders

    def content(self, order: str) -> Iterator[bytes]:
        """The octets of the file that an order is about. The iterator raises LinkFailed."""
        connection, response = self._answer("GET", protocol.CONTENT_PATH.format(id=order), None, {})
        try:
            while piece := response.read(PIECE_LEN):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise LinkFailed(_why(error)) from None
        finally:
            connection.close()

    def result(self, order: str, result: OrderResult) -> bool:
        """Whether the order still stands. Raises LinkFailed."""
        headers = {"content-type": "application/json"}
        try:
            connection, _ = self._answer(
                "PUT", protocol.RESULT_PATH.format(id=order), msgspec.json.encode(result), headers
            )
        except LinkFailed as error:
            if error.status == 404:
                return False
            raise
        connection.close()
        return True

    def _asked(
        self, method: str, path: str, kind: type[T], body: "bytes | Iterator[bytes] | None" = None,
        headers: dict[str, str] | None = None,
    ) -> T:  # fmt: skip
        connection, response = self._answer(method, path, body, headers or {})
        try:
            return msgspec.json.decode(response.read(ANSWER_LEN), type=kind)
        except (OSError, http.client.HTTPException) as error:
            raise LinkFailed(_why(error)) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise LinkFailed("the server answers what is no answer: is another program at this port?") from None
        finally:
            connection.close()

    def _answer(
        self, method: str, path: str, body: "bytes | Iterator[bytes] | None", headers: dict[str, str]
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        """The connection is the caller's to close. Raises LinkFailed for everything but 2xx."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=self._tls())
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_S)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, headers)  # refused before its end: the answer says why
            response = connection.getresponse()
            if response.status // 100 == 2:
                return connection, response
            words, retry_s = response.read(PIECE_LEN), response.headers.get("retry-after", "")
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise LinkFailed(_why(error)) from None
        except BaseException:
            connection.close()
            raise
        connection.close()
        raise LinkFailed(
            _problem(response.status, words), response.status, float(retry_s) if retry_s.isdecimal() else 0.0
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
