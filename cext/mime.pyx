# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Where the parts of an entity lie: the end of its header section, and its boundary delimiters (RFC 2046 s5.1.1).

A line ends with CRLF, LF or CR here. Mail from the network has CRLF only, but an encoded message inside it, or a file
that is scanned, has what its author liked, and clients read it all the same. CR CR LF thus is two line ends.

Known gaps: a line that goes on after the boundary with more than white space is no delimiter, though a few clients
compare only the beginning.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport mw_has_avx2


cdef extern from "span.h":
    size_t mw_find_line(const uint8_t* p, size_t n, size_t at, const uint8_t* needle, size_t m, int wide) nogil
    size_t mw_line_end(const uint8_t* p, size_t n, size_t i, int wide) nogil
    size_t mw_next_line(const uint8_t* p, size_t n, size_t i) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"


cdef inline size_t _behind_white(const uint8_t* p, size_t n, size_t i) noexcept nogil:
    while i < n and (p[i] == c' ' or p[i] == c'\t'):
        i += 1
    return i


cdef bint _delimits(const uint8_t* p, size_t n, size_t i, size_t* line_end, bint* closes) noexcept nogil:
    """Whether what follows the boundary at i <= n leaves its line a delimiter; if so where that line ends, and its kind."""
    cdef size_t end = _behind_white(p, n, i)
    closes[0] = False
    if not _ends(p, n, end):
        if n - i < 2 or p[i] != c'-' or p[i + 1] != c'-':
            return False
        end = _behind_white(p, n, i + 2)
        if not _ends(p, n, end):
            return False
        closes[0] = True
    line_end[0] = end
    return True


cdef inline bint _ends(const uint8_t* p, size_t n, size_t i) noexcept nogil:
    return i == n or p[i] == c'\r' or p[i] == c'\n'


cdef list _delimiters(object data, Py_ssize_t start, Py_ssize_t end, bytes boundary, Py_ssize_t limit, bint wide):
    cdef Py_buffer view
    cdef bytes dashed = b"--" + boundary
    cdef const uint8_t* needle = dashed
    cdef const uint8_t* p
    cdef size_t m = len(dashed), n, at, line_end = 0, behind
    cdef bint closes = False
    cdef list found = []
    if b"\r" in boundary or b"\n" in boundary:
        return found  # can stand on no line
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        p = <const uint8_t*>view.buf
        n = end
        at = start
        while at < n and len(found) < limit:
            with nogil:
                at = mw_find_line(p, n, at, needle, m, wide)
            if at == n:
                break
            if _delimits(p, n, at + m, &line_end, &closes):
                behind = mw_next_line(p, n, line_end)
                found.append((at, behind, closes))
                at = behind
            else:
                at = mw_next_line(p, n, mw_line_end(p, n, at + m, wide))
    finally:
        PyBuffer_Release(&view)
    return found


def delimiters(data, Py_ssize_t start, Py_ssize_t end, bytes boundary not None, Py_ssize_t limit):
    """Boundary delimiter lines in data[start:end]: "--" boundary, perhaps "--", perhaps white space.

    data: any contiguous buffer; data[start] counts as the begin of a line. boundary: as the parameter gives it, may be
    empty; one that holds CR or LF finds nothing. Returns at most limit tuples, in order: offset of the line, offset
    behind its line end, whether it closes; offsets in data. Raises ValueError for a span outside of data.
    O(end - start) whatever the text.
    """
    return _delimiters(data, start, end, boundary, limit, _AVX2)


def delimiters_scalar(data, Py_ssize_t start, Py_ssize_t end, bytes boundary not None, Py_ssize_t limit):
    """delimiters by the portable kernel."""
    return _delimiters(data, start, end, boundary, limit, False)


cdef Py_ssize_t _header_end(object data, Py_ssize_t start, Py_ssize_t end, bint wide) except -1:
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef size_t n = end, at = start, line_end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        p = <const uint8_t*>view.buf
        with nogil:
            while at < n:
                line_end = mw_line_end(p, n, at, wide)
                if line_end == at:
                    at = mw_next_line(p, n, at)
                    break
                at = mw_next_line(p, n, line_end)
    finally:
        PyBuffer_Release(&view)
    return <Py_ssize_t>at


def header_end(data, Py_ssize_t start, Py_ssize_t end):
    """Offset in data of the body of the entity data[start:end]: behind its first empty line, or end if there is none.

    A line of white space is not empty: it continues the field before (RFC 5322 s2.2.3). Raises ValueError for a span
    outside of data. O(length of the header section).
    """
    return _header_end(data, start, end, _AVX2)


def header_end_scalar(data, Py_ssize_t start, Py_ssize_t end):
    """header_end by the portable kernel."""
    return _header_end(data, start, end, False)
