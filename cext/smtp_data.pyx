# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""The octet stream after DATA and BDAT, and dot-stuffing for the way out (RFC 5321 s4.5.2, RFC 3030).

Where a message ends is decided here and nowhere else: at CRLF.CRLF, or at .CRLF directly behind DATA. A CR without LF,
an LF without CR and NUL are errors (SMTP-15, SMTP-16); the first one is remembered, output stops before it, and the
true end is still looked for, so that the rest of a refused message is never read as commands.

Known gaps: a field name with white space before its colon ("Received :", RFC 5322 s4.5) is not counted as a hop.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_CheckExact
from libc.stdint cimport int64_t, uint8_t

from cext.octets cimport PyObject, RELEASE_LEN, mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_has_avx2


cdef extern from "smtp_data.h":
    ctypedef struct mw_data:
        int64_t size
        int64_t limit
        int64_t hops
        int phase
        int error
        int error_in_header
        int done
    ctypedef struct mw_sink:
        uint8_t* at
        size_t len
    enum:
        MW_AFTER_CR
        MW_BARE_CR
        MW_BARE_LF
        MW_NUL
    void mw_data_init(mw_data* state, int64_t limit, int dots, int wide) nogil
    size_t mw_data_feed(mw_data* state, const uint8_t* data, size_t n, mw_sink* sink) nogil
    int mw_data_pass(mw_data* state, const uint8_t* data, size_t n) nogil
    void mw_data_fail(mw_data* state, int error) nogil
    size_t mw_dot_stuff(const uint8_t* data, size_t n, int at_line, uint8_t* out, int wide) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"
BARE_CR = MW_BARE_CR
BARE_LF = MW_BARE_LF
NUL = MW_NUL


@cython.final
cdef class DataDecoder:
    """The message out of the octets behind DATA (RFC 5321 s4.1.1.4).

    limit: octets of message that are put out at most, >= 0; reaching it is no error, passing it sets too_big.
    scalar: use the portable kernel whatever the processor offers.

    The outcome (output, attributes) does not depend on how the stream is cut. Never raises on content.
    State: a few integers; at most two octets are held back between chunks. One caller at a time.
    """

    cdef mw_data _state
    cdef readonly Py_ssize_t consumed
    """Octets of the last chunk that belong to this message; those behind are the session's."""

    def __cinit__(self, int64_t limit, *, bint scalar=False):
        if limit < 0:
            raise ValueError("limit must not be negative")
        mw_data_init(&self._state, limit, 1, _AVX2 and not scalar)
        self.consumed = 0

    def feed(self, chunk):
        """Decodes the next octets of the stream.

        chunk: any contiguous buffer, may be empty. Returns octets of the message in order, line ends kept, stuffed dots
        removed, possibly b""; a bytes chunk that needs no change is returned itself, not copied. All output together
        is the message up to its first error, cut at the limit. When done is already set nothing is consumed.
        O(len(chunk)); allocates the result only.
        """
        cdef Py_buffer view
        cdef mw_sink sink
        cdef PyObject* out
        cdef mw_data state = self._state  # worked on as a copy: a second caller would get nonsense, not a wild pointer
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        try:
            if PyBytes_CheckExact(chunk) and mw_data_pass(&state, <const uint8_t*>view.buf, view.len):
                self._state = state
                self.consumed = view.len
                return chunk
            if state.error != 0 or state.size >= state.limit:
                sink.at = NULL
                sink.len = 0
                self.consumed = mw_data_feed(&state, <const uint8_t*>view.buf, view.len, &sink)
                self._state = state
                return b""
            out = mw_bytes_new(view.len + 1)
            sink.at = mw_bytes_at(out)
            sink.len = 0
            if view.len < RELEASE_LEN:
                self.consumed = mw_data_feed(&state, <const uint8_t*>view.buf, view.len, &sink)
            else:
                with nogil:
                    self.consumed = mw_data_feed(&state, <const uint8_t*>view.buf, view.len, &sink)
            self._state = state
            return mw_bytes_cut(out, sink.len)
        finally:
            PyBuffer_Release(&view)

    @property
    def done(self):
        """Whether the end of data was seen."""
        return self._state.done != 0

    @property
    def error(self):
        """0, or the first of BARE_CR, BARE_LF, NUL in the order of the stream."""
        return self._state.error

    @property
    def in_header(self):
        """Whether that error stands before the first empty line (SMTP-15)."""
        return self._state.error_in_header != 0

    @property
    def too_big(self):
        """Whether the message has more octets than limit."""
        return self._state.size > self._state.limit

    @property
    def size(self):
        """Octets of the message so far as RFC 1870 counts them, also those behind an error or the limit."""
        return self._state.size

    @property
    def hops(self):
        """Received fields of the header section up to the first error, in any letter case (SMTP-18)."""
        return self._state.hops


@cython.final
cdef class ChunkChecker:
    """The same checks for the octets of BDAT (RFC 3030), which are not dot-stuffed and end by their announced length.

    Attributes as DataDecoder's. finish() ends the message: a CR that is its last octet is bare.
    """

    cdef mw_data _state
    cdef bint _finished

    def __cinit__(self, int64_t limit, *, bint scalar=False):
        if limit < 0:
            raise ValueError("limit must not be negative")
        mw_data_init(&self._state, limit, 0, _AVX2 and not scalar)
        self._finished = False

    def feed(self, chunk):
        """Checks the next octets, any contiguous buffer. O(len(chunk)), allocates nothing."""
        cdef Py_buffer view
        cdef mw_sink sink
        cdef mw_data state = self._state
        if self._finished:
            raise RuntimeError("feed() after finish()")
        sink.at = NULL
        sink.len = 0
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        try:
            if view.len < RELEASE_LEN:
                mw_data_feed(&state, <const uint8_t*>view.buf, view.len, &sink)
            else:
                with nogil:
                    mw_data_feed(&state, <const uint8_t*>view.buf, view.len, &sink)
            self._state = state
        finally:
            PyBuffer_Release(&view)

    def finish(self):
        """Ends the message. May be called again; feed() afterwards is a programmer's mistake (RuntimeError)."""
        if not self._finished and self._state.phase == MW_AFTER_CR:
            mw_data_fail(&self._state, MW_BARE_CR)
            self._state.size += 1
        self._finished = True

    @property
    def error(self):
        """0, or the first of BARE_CR, BARE_LF, NUL in the order of the stream."""
        return self._state.error

    @property
    def in_header(self):
        """Whether that error stands before the first empty line (SMTP-15)."""
        return self._state.error_in_header != 0

    @property
    def too_big(self):
        """Whether the message has more octets than limit."""
        return self._state.size > self._state.limit

    @property
    def size(self):
        """Octets so far; a CR that ended the last chunk is counted with what follows it."""
        return self._state.size

    @property
    def hops(self):
        """Received fields of the header section up to the first error, in any letter case (SMTP-18)."""
        return self._state.hops


cdef object _stuffed(object data, bint at_line_start, bint wide):
    cdef Py_buffer view
    cdef PyObject* out
    cdef Py_ssize_t n
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        n = mw_dot_stuff(<const uint8_t*>view.buf, view.len, at_line_start, NULL, wide)
        if n == view.len and PyBytes_CheckExact(data):
            return data
        out = mw_bytes_new(n)
        mw_dot_stuff(<const uint8_t*>view.buf, view.len, at_line_start, mw_bytes_at(out), wide)
        return mw_bytes_cut(out, n)
    finally:
        PyBuffer_Release(&view)


def dot_stuff(data, bint at_line_start):
    """Octets as they are sent behind DATA: every dot that begins a line is doubled (RFC 5321 s4.5.2).

    at_line_start: whether data begins a line: at the start of the message, or when the octet before data was LF.
    A line begins behind any LF. Messages have no bare LF here, but if one ever did, no next hop could take
    LF.CRLF for the end of data. Returns data itself when it is bytes and holds nothing to stuff.
    O(len(data)); the result is at most twice as long.
    """
    return _stuffed(data, at_line_start, _AVX2)


def dot_stuff_scalar(data, bint at_line_start):
    """dot_stuff by the portable kernel."""
    return _stuffed(data, at_line_start, False)
