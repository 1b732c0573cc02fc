"""libopendkim (Debian's libopendkim-dev), which signs and verifies for most mail servers; constants of its dkim.h."""

import ctypes
from functools import cache
from pathlib import Path
from typing import Final

_RSA_SHA256: Final = 1
_FORMS: Final = {b"simple": 0, b"relaxed": 1}
_OK, _SYNTAX = 0, 5
_SET, _QUERY_METHOD, _QUERY_INFO, _FROM_FILE = 1, 6, 7, 1


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libopendkim.so")
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    library.dkim_init.restype = library.dkim_sign.restype = library.dkim_verify.restype = pointer
    library.dkim_init.argtypes = [pointer, pointer]
    library.dkim_close.argtypes = library.dkim_free.argtypes = [pointer]
    library.dkim_options.argtypes = [pointer, number, number, pointer, ctypes.c_size_t]
    library.dkim_sign.argtypes = [
        pointer, text, pointer, text, text, text, number, number, number, ctypes.c_ssize_t, ctypes.POINTER(number)
    ]  # fmt: skip
    library.dkim_verify.argtypes = [pointer, text, pointer, ctypes.POINTER(number)]
    library.dkim_chunk.argtypes = [pointer, text, ctypes.c_size_t]
    library.dkim_eom.argtypes = [pointer, ctypes.POINTER(ctypes.c_bool)]
    library.dkim_getsighdr.argtypes = [pointer, text, ctypes.c_size_t, ctypes.c_size_t]
    return library


def signed(message: bytes, key: bytes, header: bytes = b"relaxed", body: bytes = b"relaxed", length: int = -1) -> bytes:
    """The message with a signature of example.com, selector sel. key: PEM. length: octets of the body; -1: all."""
    library, status = _library(), ctypes.c_int(0)
    handle = library.dkim_init(None, None)
    one = library.dkim_sign(
        handle, b"test", None, key, b"sel", b"example.com", _FORMS[header], _FORMS[body], _RSA_SHA256, length,
        ctypes.byref(status),
    )  # fmt: skip
    assert one, status.value
    try:
        assert _fed(one, message) == _OK
        field = ctypes.create_string_buffer(8192)
        assert library.dkim_getsighdr(one, field, len(field), len("DKIM-Signature: ")) == _OK
    finally:
        library.dkim_free(one)
        library.dkim_close(handle)
    return b"DKIM-Signature: " + field.value + b"\r\n" + message


def verifies(message: bytes, name: str, record: bytes, folder: Path) -> bool | None:
    """Whether its signature holds; None if it is no message for it. name, record: of the key. folder: for a file."""
    library, status = _library(), ctypes.c_int(0)
    keys = folder / "keys"
    keys.write_bytes(name.encode() + b" " + record + b"\n")
    handle = library.dkim_init(None, None)
    method, path = ctypes.c_int(_FROM_FILE), str(keys).encode()
    assert library.dkim_options(handle, _SET, _QUERY_METHOD, ctypes.byref(method), ctypes.sizeof(method)) == _OK
    assert library.dkim_options(handle, _SET, _QUERY_INFO, path, len(path) + 1) == _OK
    one = library.dkim_verify(handle, b"test", None, ctypes.byref(status))
    assert one, status.value
    try:
        status_of_all = _fed(one, message)
        return None if status_of_all == _SYNTAX else status_of_all == _OK
    finally:
        library.dkim_free(one)
        library.dkim_close(handle)


def _fed(one: int, message: bytes) -> int:
    library = _library()
    status: int = library.dkim_chunk(one, message, len(message)) or library.dkim_chunk(one, None, 0)
    return status or int(library.dkim_eom(one, None))
