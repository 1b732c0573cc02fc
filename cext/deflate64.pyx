# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Inflate of Deflate64, method 9 of zip (APPNOTE 4.4.5) and a coder of 7z."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.stdlib cimport free


cdef extern from "deflate64.h":
    ctypedef struct mw_d64:
        size_t at
        uint8_t* out
        size_t len
    enum:
        MW_D64_OK
        MW_D64_OVER
        MW_D64_MEMORY
    int mw_d64_inflate(mw_d64* s, const uint8_t* data, size_t n, size_t room) nogil


def decode(data, Py_ssize_t room):
    """(octets, over, complete, used): at most room octets, whether there are more, whether the stream ended where it
    should, octets of data that belong to it.

    data: any contiguous buffer. What came before damage is kept. Raises ValueError for a negative room, MemoryError;
    never on content. O(len(data) + len(result)), memory at most twice the result.
    """
    cdef Py_buffer view
    cdef mw_d64 state
    cdef int result
    if room < 0:
        raise ValueError("negative room")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            result = mw_d64_inflate(&state, <const uint8_t*>view.buf, view.len, room)
        try:
            if result == MW_D64_MEMORY:
                raise MemoryError
            octets = state.out[: state.len] if state.out != NULL else b""
        finally:
            free(state.out)
    finally:
        PyBuffer_Release(&view)
    return octets, result == MW_D64_OVER, result == MW_D64_OK, state.at
