# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Stream filters and strings of PDF (ISO 32000-1 s7.3.4, s7.4): whole buffers in, at most `room` octets out.

All take any contiguous buffer, never raise on content, cost O(input + output) and are without state. Filters return
(octets, over, ended): over says that there was more than room, ended that the end mark was seen.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memcpy


cdef extern from "pdf.h":
    ctypedef struct mw_grow:
        uint8_t* p
        size_t len, cap, limit
        int over, failed
    enum:
        MW_PDF_COLORS
        MW_PDF_ROW
    int mw_pdf_lzw(const uint8_t* p, size_t n, int early, mw_grow* out) nogil
    int mw_pdf_run_length(const uint8_t* p, size_t n, mw_grow* out) nogil
    int mw_pdf_ascii85(const uint8_t* p, size_t n, mw_grow* out) nogil
    size_t mw_pdf_ascii_hex(const uint8_t* p, size_t n, mw_grow* out) nogil
    size_t mw_pdf_literal(const uint8_t* p, size_t n, mw_grow* out) nogil
    size_t mw_pdf_png(const uint8_t* p, size_t n, size_t row, size_t unit, uint8_t* out) nogil
    void mw_pdf_tiff(uint8_t* p, size_t n, size_t row, size_t colors, unsigned bits) nogil


cdef enum Filter:
    LZW
    LZW_LATE
    RUN_LENGTH
    ASCII85
    ASCII_HEX
    LITERAL


cdef tuple _run(Filter which, const uint8_t[::1] data, Py_ssize_t start, Py_ssize_t room):
    """(octets, over, what the filter returned) of data[start:]."""
    cdef mw_grow out
    cdef size_t n, result = 0
    cdef const uint8_t* p = NULL
    if not 0 <= start <= data.shape[0]:
        raise ValueError("start outside of data")
    if room < 0:
        raise ValueError("negative room")
    out.p = NULL
    out.len = out.cap = 0
    out.limit = room
    out.over = out.failed = 0
    n = data.shape[0] - start
    if n > 0:
        p = &data[0] + start
        with nogil:
            if which == LZW:
                result = mw_pdf_lzw(p, n, 1, &out)
            elif which == LZW_LATE:
                result = mw_pdf_lzw(p, n, 0, &out)
            elif which == RUN_LENGTH:
                result = mw_pdf_run_length(p, n, &out)
            elif which == ASCII85:
                result = mw_pdf_ascii85(p, n, &out)
            elif which == ASCII_HEX:
                result = mw_pdf_ascii_hex(p, n, &out)
            else:
                result = mw_pdf_literal(p, n, &out)
    try:
        if out.failed:
            raise MemoryError
        return PyBytes_FromStringAndSize(<char*>out.p, out.len), out.over != 0, result
    finally:
        free(out.p)


def lzw(data, Py_ssize_t room, bint early=True):
    """LZWDecode. early: EarlyChange, whether code lengths grow one code sooner than they must."""
    octets, over, ended = _run(LZW if early else LZW_LATE, data, 0, room)
    return octets, over, ended != 0


def run_length(data, Py_ssize_t room):
    """RunLengthDecode. A last run that is cut short yields what is there."""
    octets, over, ended = _run(RUN_LENGTH, data, 0, room)
    return octets, over, ended != 0


def ascii85(data, Py_ssize_t room):
    """ASCII85Decode. Octets that are no digits are passed over."""
    octets, over, ended = _run(ASCII85, data, 0, room)
    return octets, over, ended != 0


def ascii_hex(data, Py_ssize_t room):
    """ASCIIHexDecode. Octets that are no digits are passed over; a missing last digit is 0."""
    octets, over, ended = _run(ASCII_HEX, data, 0, room)
    return octets, over, ended != 0


def hex_string(data, Py_ssize_t start):
    """(octets, offset behind the closing bracket or -1) of the string whose opening bracket is at data[start - 1]."""
    octets, _, end = _run(ASCII_HEX, data, start, len(data))
    return octets, start + <Py_ssize_t>end if end else -1


def literal_string(data, Py_ssize_t start):
    """(octets, offset behind the closing parenthesis or -1) of the string whose opening one is at data[start - 1].

    Escapes are undone, nested parentheses kept.
    """
    octets, _, end = _run(LITERAL, data, start, len(data))
    return octets, start + <Py_ssize_t>end if end else -1


def unpredict(const uint8_t[::1] data, Py_ssize_t predictor, Py_ssize_t colors, Py_ssize_t bits, Py_ssize_t columns):
    """data without its prediction (ISO 32000-1 s7.4.4.4): 1 none, 2 TIFF, 10 and above PNG, where each row says how.

    A last row that is cut short yields what is there. Returns None for parameters that no reader takes: colors from 1
    to 64, bits 1, 2, 4, 8 or 16, columns from 1, rows of at most 64 MiB.
    """
    cdef size_t n = data.shape[0], row, unit, done
    cdef bytes out
    cdef uint8_t* to
    if predictor <= 1:
        return bytes(data)
    if 2 < predictor < 10 or not 1 <= colors <= MW_PDF_COLORS or bits not in (1, 2, 4, 8, 16):
        return None
    if not 1 <= columns <= MW_PDF_ROW:
        return None
    row = (<size_t>colors * <size_t>bits * <size_t>columns + 7) // 8
    if row > MW_PDF_ROW:
        return None
    if n == 0:
        return b""
    out = PyBytes_FromStringAndSize(NULL, n)
    to = <uint8_t*>PyBytes_AS_STRING(out)
    if predictor == 2:
        with nogil:
            memcpy(to, &data[0], n)
            mw_pdf_tiff(to, n, row, colors, bits)
        return out
    unit = max(1, colors * bits // 8)
    with nogil:
        done = mw_pdf_png(&data[0], n, row, unit, to)
    return out[:done]
