# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Where HTML or script may spell out a file: marks before one, and long runs of base64.

Both searches take any contiguous buffer, never raise on content, and cost O(len(data) - start) over a whole walk.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport mw_has_avx2


cdef extern from "html.h":
    enum:
        MW_MARK_DATA
        MW_MARK_BASE64
        MW_MARK_ATOB
    size_t mw_next_mark(const uint8_t* p, size_t n, size_t at, int* kind, int wide) nogil
    size_t mw_next_run(const uint8_t* p, size_t n, size_t at, size_t least, size_t* end) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"
DATA = MW_MARK_DATA
BASE64 = MW_MARK_BASE64
ATOB = MW_MARK_ATOB


cdef tuple _next_mark(object data, Py_ssize_t start, bint wide):
    cdef Py_buffer view
    cdef size_t at
    cdef int kind = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        with nogil:
            at = mw_next_mark(<const uint8_t*>view.buf, view.len, start, &kind, wide)
    finally:
        PyBuffer_Release(&view)
    return (at, kind) if kind else None


def next_mark(data, Py_ssize_t start):
    """The next mark that ends behind start + 1: (offset behind it, which), or None. Case does not matter.

    DATA is "data:", ATOB "atob(", BASE64 "base64" with a comma or space to follow, which is not counted. Go on with the
    offset. Raises ValueError for a start outside of data.
    """
    return _next_mark(data, start, _AVX2)


def next_mark_scalar(data, Py_ssize_t start):
    """next_mark by the portable kernel."""
    return _next_mark(data, start, False)


def next_run(data, Py_ssize_t start, Py_ssize_t least):
    """The next run of least or more octets of base64: (its offset, offset behind it), or None.

    Letters, digits, `+/-_=`, CR, LF and backslash count. Raises ValueError for a start outside of data or least below 1.
    """
    cdef Py_buffer view
    cdef size_t at, end = 0
    if least < 1:
        raise ValueError("least below 1")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        with nogil:
            at = mw_next_run(<const uint8_t*>view.buf, view.len, start, least, &end)
    finally:
        PyBuffer_Release(&view)
    return (at, end) if end else None
