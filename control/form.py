"""What a browser sent with a form: read within bounds, and only if it comes from a page of this session."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from control.sessions import is_form_token
from control.web import client_of, entrance_of

FORM_LEN: Final = 64 * 1024  # octets of a form, unless its page says otherwise
FORM_FIELDS: Final = 5000  # lists of policy have a field for each row
UPLOADS: Final = 4  # files in one form
FORM_PATIENCE_S: Final = 10.0
TOKEN_FIELD: Final = "token"


class File(msgspec.Struct, frozen=True):
    """name: as the browser says, to show only."""

    name: str
    content: bytes


class Fields:
    """The fields of a form, in their order; a name may come several times."""

    def __init__(self, pairs: Sequence[tuple[str, str]], files: dict[str, File] | None = None) -> None:
        self.pairs = pairs
        self.files = files or {}

    def get(self, name: str, default: str = "") -> str:
        """The last value of that name: a checkbox stands behind the hidden field of "no"."""
        return next((value for key, value in reversed(self.pairs) if key == name), default)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def __contains__(self, name: str) -> bool:
        return any(key == name for key, _ in self.pairs)


async def read_form(request: Request, token_secret: str, length: int = FORM_LEN, uploads: bool = False) -> Fields:
    """The fields of a form made for the session with this id. Raises HTTPException: 400, 403, 408, 413, 415."""
    try:
        return await _fields(request, token_secret, length, uploads)
    except HTTPException as error:
        violation = f"{request.url.path}: {error.detail}"
        await run_in_threadpool(entrance_of(request).http_violation, client_of(request), violation)
        raise


async def _fields(request: Request, token_secret: str, length: int, uploads: bool) -> Fields:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "This form was sent from another site. Nothing was changed.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded" and not (uploads and kind == "multipart/form-data"):
        raise HTTPException(415, "Only forms of these pages are accepted here.")
    body = await read_body(request, length)
    if kind == "multipart/form-data":
        fields = await _multipart(request, body)
    else:
        try:
            fields = Fields(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS))
        except ValueError:
            raise HTTPException(400, "This form cannot be read. Load the page again.") from None
    if not token_secret or not is_form_token(token_secret, fields.get(TOKEN_FIELD)):
        raise HTTPException(403, "This form is too old or comes from another page. Load the page again and repeat.")
    return fields


async def read_body(request: Request, length: int) -> bytes:
    """Raises HTTPException: 400, 408, 413."""
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_PATIENCE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > length:
                    raise HTTPException(413, "What was sent is too large.", headers={"connection": "close"})
    except TimeoutError:
        raise HTTPException(408, "What was sent did not arrive in time. Send it again.") from None
    except ClientDisconnect:  # nobody reads the answer: it keeps a failure that is none out of the log
        raise HTTPException(400, "What was sent broke off.") from None
    return bytes(body)


async def _multipart(request: Request, body: bytes) -> Fields:
    async def once() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, once(), max_files=UPLOADS, max_fields=FORM_FIELDS, max_part_size=len(body) + 1
    )
    try:
        data: FormData = await parser.parse()
    except (MultiPartException, KeyError):
        raise HTTPException(400, "This form cannot be read. Load the page again.") from None
    pairs, files = [], {}
    for name, value in data.multi_items():
        if isinstance(value, UploadFile):
            files[name] = File(value.filename or "", await value.read())
        else:
            pairs.append((name, value))
    await data.close()
    return Fields(pairs, files)
