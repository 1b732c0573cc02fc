"""The port of the gateways: `protocol.py` over HTTPS, for whoever has a certificate of ours (QRN-03, QRN-04).

Who it is comes from the connection's certificate, for each request anew, so that one that was taken off is refused from
then on. A gateway sees its own orders, and their files, and nothing else.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from control.api.problem import problem
from control.form import read_body
from control.guard import Tell
from control.quarantine_server import authority, protocol
from control.quarantine_server.context import ServerContext
from control.quarantine_server.protocol import Item, Malformed, Receipt, UploadReader
from control.quarantine_server.settings import ITEM_MB
from control.quarantine_server.store import FULL, Differs, Full, TooLarge
from control.quarantine_server.vault import Coming, Damaged, Mismatch
from control.serving import protocol as connection_kind
from engine.limits import MIB
from engine.policy.metatags import clean

CERTIFICATE: Final = "mailward.certificate"  # of the scope: DER
UPLOADS: Final = 8  # at once, of all gateways: each has two MiB in memory
UPLOADS_EACH: Final = 2  # of one gateway, so that none takes the places of all
UPLOAD_LEN: Final = ITEM_MB * MIB + 2 * protocol.HEAD_LEN
PATIENCE_S: Final = 60.0  # between two pieces of an upload
OVER_S: Final = 120.0  # for a whole one, and more for
SLOWEST: Final = 16 * 1024  # octets a second
RETRY_S: Final = 60
log: Final = logging.getLogger(__name__)


def certified(tell: Tell) -> type[H11Protocol]:
    """Connections that put the certificate of the other side into the scope of each request."""

    class Protocol(connection_kind(tell)):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            app: ASGIApp = self.config.loaded_app
            tls = transport.get_extra_info("ssl_object")
            der = tls.getpeercert(binary_form=True) if tls is not None else None

            async def with_certificate(scope: Scope, receive: Receive, send: Send) -> None:
                await app({**scope, CERTIFICATE: der or b""}, receive, send)

            self.app = with_certificate

    return Protocol


class Channel:
    """context: of the server. The application is `app`."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._uploading: Counter[str] = Counter()  # by gateway
        self.app: ASGIApp = Starlette(
            routes=[
                Route(protocol.ROOT, self._known(self.server), methods=["GET"]),
                Route(protocol.ITEM_PATH, self._known(self.upload), methods=["PUT"]),
                Route(protocol.ORDERS_PATH, self._known(self.orders), methods=["GET"]),
                Route(protocol.CONTENT_PATH, self._known(self.content), methods=["GET"]),
                Route(protocol.RESULT_PATH, self._known(self.result), methods=["PUT"]),
            ],
            exception_handlers={HTTPException: _refused, Exception: _failed},
        )

    def _known(self, answer: Callable[[Request, str], Awaitable[Response]]) -> Any:
        async def endpoint(request: Request) -> Response:
            gateway = await run_in_threadpool(authority.who, self._context.layout, request.scope[CERTIFICATE])
            if not gateway:
                return problem(403, "This certificate is not enrolled, or not any more: enroll the gateway again")
            return await answer(request, gateway)

        return endpoint

    async def server(self, request: Request, gateway: str) -> Response:
        store = self._context.store
        reason = store.why_full()
        return _json(protocol.Server(protocol.VERSION, gateway, store.item_len, not reason, reason))

    async def upload(self, request: Request, gateway: str) -> Response:
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or not length.isascii():
            return problem(411, "Say with content-length how long it is.")
        if len(length) > 12 or int(length) > UPLOAD_LEN:
            return _closing(problem(413, f"No upload has more than {UPLOAD_LEN:,} octets."))
        chunks, id_ = _chunks(request, OVER_S + int(length) / SLOWEST), str(request.path_params["id"])
        if request.headers.get("content-type", "").partition(";")[0].strip() != protocol.UPLOAD_TYPE:
            answer = problem(415, f"An item is sent as {protocol.UPLOAD_TYPE}.")
        elif self._uploads.locked() or self._uploading[gateway] >= UPLOADS_EACH:
            answer = _later(429, "Too many uploads at once: try again in a moment.", 1)
        else:
            self._uploading[gateway] += 1
            try:
                async with self._uploads:
                    answer = await self._answer(chunks, id_, gateway)
            finally:
                self._uploading[gateway] -= 1
        # Read to its end, also where it is refused: who is still sending might not come to see the answer.
        async for _ in chunks:
            pass
        return answer

    async def _answer(self, chunks: AsyncIterator[bytes], id_: str, gateway: str) -> Response:
        try:
            item, known = await self._taken(chunks, id_, gateway)
        except (Malformed, Mismatch) as error:
            return problem(400, f"This upload cannot be taken: {error}.")
        except Differs:
            return problem(409, "There is another file under this id.")
        except TooLarge as error:
            return problem(413, f"Not taken: {error}.")
        except Full as error:
            return _later(507, f"The quarantine server is full: {error}.", RETRY_S)
        except (OSError, sqlite3.Error) as error:
            return _unkept(gateway, error)
        return _receipt(item, known)

    async def _taken(self, chunks: AsyncIterator[bytes], id_: str, gateway: str) -> tuple[Item, bool]:
        """The item, and whether it was known. Raises what the store does, and Malformed."""
        store, reader, pieces = self._context.store, UploadReader(), bytearray()
        coming: Coming | None = None
        try:
            async for chunk in chunks:
                pieces += reader.feed(chunk)
                if reader.item is not None and coming is None:
                    if reader.item.id != id_:
                        raise Malformed("the id in its description is not the one in the address")
                    if await run_in_threadpool(store.known, gateway, reader.item):
                        return reader.item, True
                    coming = await run_in_threadpool(store.begin, reader.item)
                if coming is not None and len(pieces) >= MIB:
                    await run_in_threadpool(coming.write, bytes(pieces))
                    pieces.clear()
            item = reader.finish()
            assert coming is not None  # there is an item
            await run_in_threadpool(self._keep, gateway, item, coming, bytes(pieces))
            return item, False
        finally:
            if coming is not None:
                await run_in_threadpool(coming.drop)

    def _keep(self, gateway: str, item: Item, coming: Coming, rest: bytes) -> None:
        coming.write(rest)
        self._context.store.keep(gateway, item, coming)
        self._context.came(gateway, item)

    async def orders(self, request: Request, gateway: str) -> Response:
        wanted = request.query_params.get("wait", "0")
        wait_s = min(int(wanted), protocol.WAIT_S) if wanted.isdecimal() else 0
        context = self._context
        found = await run_in_threadpool(context.desk.orders, gateway)
        if not found and wait_s:
            await context.ordered.wait(gateway, wait_s)
            found = await run_in_threadpool(context.desk.orders, gateway)
        return _json(protocol.Orders(tuple(found)))

    async def content(self, request: Request, gateway: str) -> Response:
        found = await run_in_threadpool(self._context.store.index.open_release, gateway, request.path_params["id"])
        if found is None:
            return problem(404, "There is no such order for this gateway, or it was withdrawn.")
        sha256, size = found[1].item.sha256, found[1].item.size
        pieces = self._context.store.vault.pieces(sha256)
        try:
            first = await run_in_threadpool(next, pieces)
        except (Damaged, OSError) as error:
            log.error("the file of an order cannot be read: %s", error)
            return problem(500, "The file is damaged on the quarantine server: its operator finds more in its log.")

        def all_of_it() -> Any:
            yield first
            yield from pieces

        headers = {"content-length": str(size)}
        return StreamingResponse(all_of_it(), media_type="application/octet-stream", headers=headers)

    async def result(self, request: Request, gateway: str) -> Response:
        body = await read_body(request, protocol.RESULT_LEN)
        try:
            result = protocol.result_of(body)
        except Malformed as error:
            return problem(400, f"{error}.")
        if not await run_in_threadpool(self._context.desk.result, gateway, request.path_params["id"], result):
            return problem(404, "There is no such order for this gateway, or it was withdrawn.")
        return Response(status_code=204)


async def _chunks(request: Request, over_s: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    now = asyncio.get_running_loop().time
    over = now() + over_s
    while True:
        try:
            async with asyncio.timeout(min(PATIENCE_S, over - now())):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise HTTPException(408, "The upload did not go on. Send it again.") from None
        except ClientDisconnect:  # nobody reads the answer
            raise HTTPException(400, "The upload broke off.") from None
        yield chunk


def _unkept(gateway: str, error: OSError | sqlite3.Error) -> Response:
    """Ours: the gateway keeps what it has."""
    log.error("an item of %s could not be kept: %s", gateway, error)
    if isinstance(error, OSError) and error.errno in FULL:
        return _later(507, "The disk of the quarantine server is full.", RETRY_S)
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return _later(507, "The disk of the quarantine server is full.", RETRY_S)
    return _later(503, "The quarantine server could not write it down: its log tells more.", RETRY_S)


def _later(status: int, text: str, seconds: int) -> Response:
    response = problem(status, text)
    response.headers["retry-after"] = str(seconds)
    return response


def _closing(response: Response) -> Response:
    """What of the upload is still to come is not read."""
    response.headers["connection"] = "close"
    return response


def _receipt(item: Item, known: bool = False) -> Response:
    return _json(Receipt(item.id, item.sha256, known), 200 if known else 201)


def _json(body: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, clean(error.detail, 500))


async def _failed(request: Request, error: Exception) -> Response:
    return problem(500, "This was a mistake of the quarantine server. Its log tells more.")
