# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Base64 content-transfer-encoding, decoded as mail clients do (RFC 2045 s6.8).

What a client decodes has to be examined, so nothing here is refused: octets outside of the alphabet are passed over
(JUNK, if they are not white space), missing, single or superfluous padding is forgiven (PADDING), and text behind
padding is decoded as a further encoded text (CONCATENATED). A last single value of 6 bits holds no octet and is dropped.

Known gaps: clients that stop at the first padding read less than is given here; the URL-safe alphabet is junk, as it is
for mail clients.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t

from cext.octets cimport PyObject, RELEASE_LEN, mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_has_avx2


cdef extern from "base64.h":
    ctypedef struct mw_b64:
        int findings
    enum:
        MW_B64_JUNK
        MW_B64_PADDING
        MW_B64_CONCATENATED
        MW_B64_SLACK
    void mw_b64_init()
    void mw_b64_start(mw_b64* state) nogil
    uint8_t* mw_b64_feed(mw_b64* state, const uint8_t* data, size_t n, uint8_t* out, int wide) nogil
    uint8_t* mw_b64_finish(mw_b64* state, uint8_t* out) nogil


mw_b64_init()
cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"
JUNK = MW_B64_JUNK
PADDING = MW_B64_PADDING
CONCATENATED = MW_B64_CONCATENATED


cdef object _decoded(mw_b64* state, object data, bint wide, bint last):
    cdef Py_buffer view
    cdef PyObject* out
    cdef uint8_t* begin
    cdef uint8_t* end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(view.len // 4 * 3 + MW_B64_SLACK)
        begin = mw_bytes_at(out)
        if view.len < RELEASE_LEN:
            end = mw_b64_feed(state, <const uint8_t*>view.buf, view.len, begin, wide)
        else:
            with nogil:
                end = mw_b64_feed(state, <const uint8_t*>view.buf, view.len, begin, wide)
    finally:
        PyBuffer_Release(&view)
    if last:
        end = mw_b64_finish(state, end)
    return mw_bytes_cut(out, end - begin)


@cython.final
cdef class Base64Decoder:
    """Decodes a stream of encoded octets. scalar: use the portable kernel whatever the processor offers.

    feed(chunk) takes any contiguous buffer and returns the octets that are decided, at most
    len(chunk) * 3 / 4 + 3; finish() returns the rest, at most 2. All output together, and findings after finish(),
    do not depend on how the stream is cut. Content never raises; feed() after finish() is a RuntimeError.
    State: one open group. One caller at a time.
    """

    cdef mw_b64 _state
    cdef bint _wide
    cdef bint _finished

    def __cinit__(self, *, bint scalar=False):
        mw_b64_start(&self._state)
        self._wide = _AVX2 and not scalar
        self._finished = False

    def feed(self, chunk):
        """Decodes the next octets; O(len(chunk))."""
        cdef mw_b64 state = self._state
        if self._finished:
            raise RuntimeError("feed() after finish()")
        decoded = _decoded(&state, chunk, self._wide, False)
        self._state = state
        return decoded

    def finish(self):
        """Ends the stream and returns the octets of an unfinished group."""
        cdef uint8_t rest[2]
        cdef uint8_t* end = mw_b64_finish(&self._state, rest)
        self._finished = True
        return rest[: end - rest]

    @property
    def findings(self):
        """JUNK, PADDING, CONCATENATED: bits of what was wrong so far."""
        return self._state.findings


cdef tuple _whole(object data, bint wide):
    cdef mw_b64 state
    mw_b64_start(&state)
    decoded = _decoded(&state, data, wide, True)
    return decoded, state.findings


def decode(data):
    """(octets, findings) of a whole encoded text, any contiguous buffer. O(len(data)); never raises on content."""
    return _whole(data, _AVX2)


def decode_scalar(data):
    """decode by the portable kernel."""
    return _whole(data, False)
