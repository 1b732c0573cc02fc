# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Whether a text may spell out a file, and in what: one pass instead of one for each kind, since hardly any text does.

A bit that is not set is certain: who looks for that kind finds nothing. One that is set says that it is worth looking.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport RELEASE_LEN, mw_has_avx2


cdef extern from "spelled.h":
    enum:
        MW_SPELLED_YENC
        MW_SPELLED_BINHEX
        MW_SPELLED_BEGIN
        MW_SPELLED_HTML
        MW_SPELLED_OFFICE
        MW_SPELLED_OPENPGP
    int mw_spelled(const uint8_t* p, size_t n, size_t least, int wide) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"
YENC = MW_SPELLED_YENC  # a line that begins with "=ybegin "
BINHEX = MW_SPELLED_BINHEX  # a line that begins with a colon and values, or with the words that tell people what follows
BEGIN = MW_SPELLED_BEGIN  # a line that begins with "begin"
HTML = MW_SPELLED_HTML  # a mark of cext.html, a run of base64, an octet 0 or a mark of UTF-16 in front
OFFICE = MW_SPELLED_OFFICE  # the word Data, or a first line of SYLK or a mark of UTF-16 in front
OPENPGP = MW_SPELLED_OPENPGP  # a line that begins with "-----BEGIN PGP MESSAGE"


cdef int _spelled(object data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t least, bint wide) except -1:
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef int found
    if least < 1:
        raise ValueError("least below 1")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        p = <const uint8_t*>view.buf + start
        if end - start < RELEASE_LEN:
            found = mw_spelled(p, end - start, least, wide)
        else:
            with nogil:
                found = mw_spelled(p, end - start, least, wide)
    finally:
        PyBuffer_Release(&view)
    return found


def spelled(data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t least):
    """YENC, BINHEX, BEGIN, HTML, OFFICE, OPENPGP: bits of what may be spelled out in data[start:end].

    data: any contiguous buffer; data[start] counts as the begin of a line. least: octets that a run of base64 has.
    Raises ValueError for a span outside of data or least below 1. O(end - start).
    """
    return _spelled(data, start, end, least, _AVX2)


def spelled_scalar(data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t least):
    """spelled by the portable kernel."""
    return _spelled(data, start, end, least, False)
