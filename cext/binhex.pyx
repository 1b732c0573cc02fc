# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""BinHex 4.0 (RFC 1741 appendix A): from the text between two colons to the octets of header, forks and checksums.

What the octets mean is the caller's business. White space is passed over, and so is every octet outside of the alphabet
(JUNK). A text without its closing colon ends with the data (NO_END). A run that repeats nothing, or lacks its count,
stands for nothing (RUN). Runs expand up to 64 times: output ends at a limit (OVER).
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_has_avx2


cdef extern from "binhex.h":
    ctypedef struct mw_binhex:
        int64_t body_len
        int64_t left
        int done
        int findings
    enum:
        MW_BINHEX_JUNK
        MW_BINHEX_NO_END
        MW_BINHEX_RUN
        MW_BINHEX_OVER
    void mw_binhex_init()
    void mw_binhex_start(mw_binhex* state, int64_t limit) nogil
    int mw_binhex_begins(const uint8_t* p, size_t n) nogil
    uint8_t* mw_binhex_text(mw_binhex* state, const uint8_t* p, size_t n, int64_t base, uint8_t* out) nogil
    size_t mw_binhex_count(const mw_binhex* state, const uint8_t* p, size_t n) nogil
    uint8_t* mw_binhex_expand(mw_binhex* state, const uint8_t* p, size_t n, uint8_t* out) nogil
    void mw_binhex_finish(mw_binhex* state, int64_t total) nogil
    size_t mw_find_line(const uint8_t* p, size_t n, size_t at, const uint8_t* needle, size_t m, int wide) nogil
    size_t mw_line_end(const uint8_t* p, size_t n, size_t i, int wide) nogil
    size_t mw_next_line(const uint8_t* p, size_t n, size_t i) nogil


mw_binhex_init()
cdef bint _AVX2 = mw_has_avx2()

VARIANT = "scalar"
JUNK = MW_BINHEX_JUNK
NO_END = MW_BINHEX_NO_END
RUN = MW_BINHEX_RUN
OVER = MW_BINHEX_OVER


cdef object _decoded(mw_binhex* state, object data, int64_t base, bint last):
    cdef Py_buffer view
    cdef PyObject* out
    cdef bytes packed
    cdef const uint8_t* p
    cdef uint8_t* begin
    cdef uint8_t* end
    cdef size_t n
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(view.len // 4 * 3 + 4)
        begin = mw_bytes_at(out)
        with nogil:
            end = mw_binhex_text(state, <const uint8_t*>view.buf, view.len, base, begin)
        packed = mw_bytes_cut(out, end - begin)
        p = packed
        n = len(packed)
        out = mw_bytes_new(<Py_ssize_t>min(<int64_t>mw_binhex_count(state, p, n), state.left))
        begin = mw_bytes_at(out)
        with nogil:
            end = mw_binhex_expand(state, p, n, begin)
        if last:
            mw_binhex_finish(state, view.len)
    finally:
        PyBuffer_Release(&view)
    return mw_bytes_cut(out, end - begin)


@cython.final
cdef class BinHexDecoder:
    """Decodes the text behind the opening colon. limit: octets of all output together.

    feed(chunk) takes any contiguous buffer and returns the octets that it decides, at most 64 * len(chunk) and never
    above the limit; finish() returns none. All output together, and the attributes after finish(), do not depend on how
    the stream is cut. What follows the closing colon is passed over. Content never raises; feed() after finish() is a
    RuntimeError. State: one open group and one octet. One caller at a time.
    """

    cdef mw_binhex _state
    cdef int64_t _fed
    cdef bint _finished

    def __cinit__(self, int64_t limit):
        if limit < 0:
            raise ValueError("negative limit")
        mw_binhex_start(&self._state, limit)
        self._fed = 0
        self._finished = False

    def feed(self, chunk):
        """Decodes the next octets; O(len(chunk) + len(result))."""
        cdef mw_binhex state = self._state
        if self._finished:
            raise RuntimeError("feed() after finish()")
        decoded = _decoded(&state, chunk, self._fed, False)
        self._state = state
        self._fed += memoryview(chunk).nbytes
        return decoded

    def finish(self):
        """Ends the stream. Nothing is ever held back, so the result is empty."""
        if not self._finished:
            mw_binhex_finish(&self._state, self._fed)
        self._finished = True
        return b""

    @property
    def done(self):
        """Whether the closing colon was seen."""
        return self._state.done != 0

    @property
    def body_len(self):
        """Octets of the stream up to and including the closing colon; 0 until done."""
        return self._state.body_len

    @property
    def findings(self):
        """JUNK, NO_END, RUN, OVER: bits of what was wrong so far."""
        return self._state.findings


def decode(data, int64_t limit):
    """(octets, findings, octets of data that were read) of the text behind an opening colon, any contiguous buffer.

    limit: octets of the result at most; more is cut (OVER). O(len(data) + len(result)); never raises on content, and
    ValueError for a negative limit.
    """
    cdef mw_binhex state
    if limit < 0:
        raise ValueError("negative limit")
    mw_binhex_start(&state, limit)
    decoded = _decoded(&state, data, 0, True)
    return decoded, state.findings, state.body_len


def find_begin(data, Py_ssize_t start):
    """Offset of the next colon in data that stands at the begin of a line, with values of the alphabet behind it, or -1.

    data: any contiguous buffer; data[start] counts as the begin of a line. Raises ValueError for a start outside of data.
    O(len(data) - start).
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef size_t n, at
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        p = <const uint8_t*>view.buf
        n = view.len
        at = start
        with nogil:
            at = mw_find_line(p, n, at, b":", 1, _AVX2)
            while at < n and not mw_binhex_begins(p + at, n - at):
                at = mw_next_line(p, n, mw_line_end(p, n, at, _AVX2))
                at = mw_find_line(p, n, at, b":", 1, _AVX2)
        return -1 if at == n else <Py_ssize_t>at
    finally:
        PyBuffer_Release(&view)
