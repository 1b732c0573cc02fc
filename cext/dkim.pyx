# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Bodies of messages as DKIM hashes them (RFC 6376 s3.4.3, s3.4.4).

A body is hashed without the empty lines at its end, and with one CRLF instead: body_end finds where that goes. The
relaxed form of what is before is made piece by piece, so that a large body needs no second copy. Only CRLF ends a line;
CR and LF alone are octets like any other.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport MW_AVX2, PyObject, RELEASE_LEN, mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_vector_level


cdef extern from "dkim.h":
    size_t mw_dkim_body_end(const uint8_t* p, size_t from_, size_t n, int relaxed) nogil
    size_t mw_dkim_relaxed(const uint8_t* p, size_t* at, size_t n, uint8_t* out, size_t room, int wide) nogil


cdef bint _WIDE = mw_vector_level() >= MW_AVX2

VARIANT = "avx2" if _WIDE else "scalar"


def body_end(data, Py_ssize_t start, Py_ssize_t end, bint relaxed):
    """Offset in data behind the last octet of the body data[start:end] that is hashed before its final CRLF.

    Start, if there is none: the body has only empty lines; relaxed counts lines of white space as empty, and leaves out
    white space at the end. data: any contiguous buffer. Raises ValueError for a span outside of data. O(end - start).
    """
    cdef Py_buffer view
    cdef size_t at
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        with nogil:
            at = mw_dkim_body_end(<const uint8_t*>view.buf, start, end, relaxed)
        return at
    finally:
        PyBuffer_Release(&view)


cdef object _relaxed(object data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t room, bint wide):
    cdef Py_buffer view
    cdef PyObject* out
    cdef uint8_t* begin
    cdef size_t at, made
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        if room < 1:
            raise ValueError("no room")
        at = start
        room = min(room, end - start)  # the relaxed form is never longer
        out = mw_bytes_new(room)
        begin = mw_bytes_at(out)
        if end - start < RELEASE_LEN:
            made = mw_dkim_relaxed(<const uint8_t*>view.buf, &at, end, begin, room, wide)
        else:
            with nogil:
                made = mw_dkim_relaxed(<const uint8_t*>view.buf, &at, end, begin, room, wide)
    finally:
        PyBuffer_Release(&view)
    return mw_bytes_cut(out, made), at


def relaxed(data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t room):
    """(octets, next): the relaxed form of data[start:end], at most room octets of it, and where to go on.

    next is end when all was read; it never lies inside white space, so pieces put together are the form of the whole.
    White space at a line's end goes, any other becomes one space. At end it counts as being inside a line: end should
    come from body_end. Raises ValueError for a span outside of data and for a room below 1. O(octets read).
    """
    return _relaxed(data, start, end, room, _WIDE)


def relaxed_scalar(data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t room):
    """relaxed by the portable kernel."""
    return _relaxed(data, start, end, room, False)
