# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""The compressed containers of VBA projects (MS-OVBA s2.4.1)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new


cdef extern from "vba.h":
    size_t mw_vba_bound(const uint8_t* p, size_t n) nogil
    size_t mw_vba_decompress(
        const uint8_t* p, size_t n, uint8_t* out, size_t room, size_t* used, int* broken
    ) nogil


def decompress(data, Py_ssize_t start, Py_ssize_t room):
    """(octets, whether they were cut at room, whether the container holds together, offset behind it), or None.

    data: any contiguous buffer; the container begins at data[start]. None: there is none at start. A chunk copies within
    itself only, so a broken one spoils no other. Allocates at most 4096 octets for each chunk header, and never more than
    room. Raises ValueError for a start outside of data or a negative room; never on content. O(octets in and out).
    """
    cdef Py_buffer view
    cdef PyObject* out
    cdef const uint8_t* p
    cdef size_t n, bound, made, used = 0
    cdef size_t most = room
    cdef int broken = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len or room < 0:
            raise ValueError("start outside of data, or room less than nothing")
        p = <const uint8_t*>view.buf + start
        n = view.len - start
        with nogil:
            bound = mw_vba_bound(p, n)
        if bound == 0:
            return None
        if bound > most:
            bound = most + 1  # one more tells whether it was cut
        out = mw_bytes_new(bound)
        with nogil:
            made = mw_vba_decompress(p, n, mw_bytes_at(out), bound, &used, &broken)
    finally:
        PyBuffer_Release(&view)
    over = made > most
    return mw_bytes_cut(out, most if over else made), over, broken == 0, start + <Py_ssize_t>used
