# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Compressed RTF as TNEF and MAPI carry it (MS-OXRTFCP), and the checksum of TNEF attributes.

The octets behind the 16 of the header are decoded up to the reference that ends them, or to the end of the data (NO_END).
Output ends at a limit (OVER), wherever the header may say that it ends. The header and its CRC are the caller's business.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint32_t

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new


cdef extern from "lzfu.h":
    ctypedef struct mw_lzfu:
        int64_t left
        int done
        int findings
    enum:
        MW_LZFU_NO_END
        MW_LZFU_OVER
        MW_LZFU_EXPANSION
    void mw_lzfu_start(mw_lzfu* state, int64_t limit) nogil
    uint8_t* mw_lzfu_feed(mw_lzfu* state, const uint8_t* p, size_t n, uint8_t* out) nogil
    void mw_lzfu_finish(mw_lzfu* state) nogil
    uint32_t mw_octet_sum(const uint8_t* p, size_t n) nogil


VARIANT = "scalar"
NO_END = MW_LZFU_NO_END
OVER = MW_LZFU_OVER


cdef object _decoded(mw_lzfu* state, object data, bint last):
    cdef Py_buffer view
    cdef PyObject* out
    cdef uint8_t* begin
    cdef uint8_t* end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(<Py_ssize_t>min(<int64_t>(view.len + 1) * MW_LZFU_EXPANSION, state.left))
        begin = mw_bytes_at(out)
        with nogil:
            end = mw_lzfu_feed(state, <const uint8_t*>view.buf, view.len, begin)
    finally:
        PyBuffer_Release(&view)
    if last:
        mw_lzfu_finish(state)
    return mw_bytes_cut(out, end - begin)


@cython.final
cdef class LZFuDecoder:
    """Decodes the octets behind the header. limit: octets of all output together.

    feed(chunk) takes any contiguous buffer and returns the octets that it decides, at most 9 * (len(chunk) + 1) and never
    above the limit; finish() returns none. All output together, and the attributes after finish(), do not depend on how
    the stream is cut. What follows the end is passed over. Content never raises; feed() after finish() is a RuntimeError.
    State: a ring of 4096 octets. One caller at a time.
    """

    cdef mw_lzfu _state
    cdef bint _finished

    def __cinit__(self, int64_t limit):
        if limit < 0:
            raise ValueError("negative limit")
        mw_lzfu_start(&self._state, limit)
        self._finished = False

    def feed(self, chunk):
        """Decodes the next octets; O(len(chunk) + len(result))."""
        if self._finished:
            raise RuntimeError("feed() after finish()")
        return _decoded(&self._state, chunk, False)

    def finish(self):
        """Ends the stream. Nothing is ever held back, so the result is empty."""
        mw_lzfu_finish(&self._state)
        self._finished = True
        return b""

    @property
    def done(self):
        """Whether the end was seen."""
        return self._state.done != 0

    @property
    def findings(self):
        """NO_END, OVER: bits of what was wrong so far."""
        return self._state.findings


def decode(data, int64_t limit):
    """(octets, findings) of the octets behind the header, any contiguous buffer. limit: octets of the result at most.

    O(len(data) + len(result)); never raises on content, and ValueError for a negative limit.
    """
    cdef mw_lzfu state
    if limit < 0:
        raise ValueError("negative limit")
    mw_lzfu_start(&state, limit)
    decoded = _decoded(&state, data, True)
    return decoded, state.findings


def octet_sum(data):
    """Sum of all octets modulo 65536 (MS-OXTNEF s2.1.3.4), any contiguous buffer. O(len(data))."""
    cdef Py_buffer view
    cdef uint32_t total
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            total = mw_octet_sum(<const uint8_t*>view.buf, view.len)
        return total
    finally:
        PyBuffer_Release(&view)
