# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Quoted-printable content-transfer-encoding, decoded as mail clients do (RFC 2045 s6.7).

Escapes in either letter case; an "=" that begins neither an escape nor a soft line break stands for itself (ESCAPE).
White space at the end of a line is removed, also behind the "=" of a soft break. A line ends with CRLF, LF or CR, or
where the data ends. Line ends are kept as they are, and every other octet stands for itself.

Known gaps: white space at a line end that runs over more than WHITE_LEN octets is kept; no limit on the line length.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport MW_AVX2, MW_AVX512, PyObject, RELEASE_LEN
from cext.octets cimport mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_vector_level


cdef extern from "quoted_printable.h":
    ctypedef struct mw_qp:
        int findings
    enum:
        MW_QP_ESCAPE
        MW_QP_HELD
    void mw_qp_init()
    void mw_qp_start(mw_qp* state) nogil
    uint8_t* mw_qp_feed(mw_qp* state, const uint8_t* data, size_t n, uint8_t* out, int level) nogil
    uint8_t* mw_qp_finish(mw_qp* state, uint8_t* out) nogil


mw_qp_init()
cdef int _LEVEL = mw_vector_level()
cdef dict _LEVELS = {"scalar": 0, "avx2": MW_AVX2, "avx512": MW_AVX512}

VARIANTS = tuple(name for name, level in _LEVELS.items() if level <= _LEVEL)
VARIANT = VARIANTS[len(VARIANTS) - 1]
ESCAPE = MW_QP_ESCAPE
WHITE_LEN = MW_QP_HELD


cdef object _decoded(mw_qp* state, object data, int level, bint last):
    cdef Py_buffer view
    cdef PyObject* out
    cdef uint8_t* begin
    cdef uint8_t* end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(view.len + MW_QP_HELD + 4)
        begin = mw_bytes_at(out)
        if view.len < RELEASE_LEN:
            end = mw_qp_feed(state, <const uint8_t*>view.buf, view.len, begin, level)
        else:
            with nogil:
                end = mw_qp_feed(state, <const uint8_t*>view.buf, view.len, begin, level)
    finally:
        PyBuffer_Release(&view)
    if last:
        end = mw_qp_finish(state, end)
    return mw_bytes_cut(out, end - begin)


@cython.final
cdef class QuotedPrintableDecoder:
    """Decodes a stream of encoded octets. scalar: use the portable kernel whatever the processor offers.

    feed(chunk) takes any contiguous buffer and returns the octets that are decided, at most
    len(chunk) + WHITE_LEN + 2; finish() returns the rest, at most 2. All output together, and findings after finish(),
    do not depend on how the stream is cut. Content never raises; feed() after finish() is a RuntimeError.
    State: WHITE_LEN octets of white space at most. One caller at a time.
    """

    cdef mw_qp _state
    cdef int _level
    cdef bint _finished

    def __cinit__(self, *, bint scalar=False):
        mw_qp_start(&self._state)
        self._level = 0 if scalar else _LEVEL
        self._finished = False

    def feed(self, chunk):
        """Decodes the next octets; O(len(chunk))."""
        cdef mw_qp state = self._state
        if self._finished:
            raise RuntimeError("feed() after finish()")
        decoded = _decoded(&state, chunk, self._level, False)
        self._state = state
        return decoded

    def finish(self):
        """Ends the stream and returns the octets of an unfinished escape."""
        cdef uint8_t rest[2]
        cdef uint8_t* end = mw_qp_finish(&self._state, rest)
        self._finished = True
        return rest[: end - rest]

    @property
    def findings(self):
        """ESCAPE or 0: whether an "=" had to stand for itself so far."""
        return self._state.findings


cdef tuple _whole(object data, int level):
    cdef mw_qp state
    mw_qp_start(&state)
    decoded = _decoded(&state, data, level, True)
    return decoded, state.findings


def decode(data):
    """(octets, findings) of a whole encoded text, any contiguous buffer. O(len(data)); never raises on content."""
    return _whole(data, _LEVEL)


def decode_as(data, str variant):
    """decode by one of VARIANTS. Raises ValueError for another."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant} here")
    return _whole(data, _LEVELS[variant])


def decode_scalar(data):
    """decode by the portable kernel."""
    return _whole(data, 0)
