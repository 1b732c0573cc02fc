# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""CRC-32C (Castagnoli): the checksum of queue records and of compiled definitions."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t

from cext.octets cimport RELEASE_LEN, mw_has_sse42


cdef extern from "crc32c.h":
    void mw_crc32c_init()
    uint32_t mw_crc32c(uint32_t value, const uint8_t* data, size_t n, int wide) nogil


mw_crc32c_init()
cdef bint _SSE42 = mw_has_sse42()

VARIANT = "sse4.2" if _SSE42 else "scalar"


cdef object _checksum(object data, uint32_t value, bint wide):
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len < RELEASE_LEN:
            value = mw_crc32c(value, <const uint8_t*>view.buf, view.len, wide)
        else:
            with nogil:
                value = mw_crc32c(value, <const uint8_t*>view.buf, view.len, wide)
    finally:
        PyBuffer_Release(&view)
    return value


def crc32c(data, uint32_t value=0):
    """CRC-32C of data, 0 to 2**32 - 1 (RFC 3720 appendix B.4).

    data: any contiguous buffer, may be empty. value: the checksum of what came before, so that
    crc32c(b, crc32c(a)) == crc32c(a + b). O(len(data)), allocates nothing.
    """
    return _checksum(data, value, _SSE42)


def crc32c_scalar(data, uint32_t value=0):
    """crc32c by the portable kernel."""
    return _checksum(data, value, False)
