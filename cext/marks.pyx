# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Where an archive may begin in other content: the next mark of one, in one pass for all of them.

A mark is only four or five octets: whoever asks looks at the header that has to follow. Reads each octet once, allocates
nothing.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t


cdef extern from "marks.h":
    enum:
        MW_MARK_ZIP
        MW_MARK_7Z
        MW_MARK_RAR
        MW_MARK_CAB
        MW_MARK_LHA
        MW_MARK_GZIP
        MW_MARK_BZIP2
        MW_MARK_XZ
    int mw_has_avx2()
    size_t mw_find_mark(const uint8_t* p, size_t n, size_t at, unsigned wanted, int wide) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"
ZIP = MW_MARK_ZIP
SEVEN_ZIP = MW_MARK_7Z
RAR = MW_MARK_RAR
CAB = MW_MARK_CAB
LHA = MW_MARK_LHA
GZIP = MW_MARK_GZIP
BZIP2 = MW_MARK_BZIP2
XZ = MW_MARK_XZ
ALL = ZIP | SEVEN_ZIP | RAR | CAB | LHA | GZIP | BZIP2 | XZ


cdef Py_ssize_t _find(object data, Py_ssize_t start, unsigned wanted, bint wide) except -2:
    cdef Py_buffer view
    cdef size_t at
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        with nogil:
            at = mw_find_mark(<const uint8_t*>view.buf, view.len, start, wanted, wide)
        return -1 if at == <size_t>view.len else <Py_ssize_t>at
    finally:
        PyBuffer_Release(&view)


def find_mark(data, Py_ssize_t start, unsigned wanted):
    """Offset of the next mark in data[start:], or -1. wanted: which ones, of the bits in ALL.

    data: any contiguous buffer. That of lha is the name of a method, which stands two octets behind the begin.
    """
    return _find(data, start, wanted, _AVX2)


def find_mark_scalar(data, Py_ssize_t start, unsigned wanted):
    """As find_mark, by the portable kernel."""
    return _find(data, start, wanted, False)
