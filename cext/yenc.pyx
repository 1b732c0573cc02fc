# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Files in yEnc (yEnc draft 1.3): where a block begins, where its body ends, and the octets of the body.

A block is a line "=ybegin ..." with its attributes, perhaps a line "=ypart ...", data lines, and a line "=yend ...". The
lines with attributes are the caller's to read; a body reaches to the line that ends it (the next begin line ends it too:
NO_END) or to the end of the data (NO_END). A line ends with CRLF, LF or CR. An escape that a line end cuts off stands for
nothing (ESCAPE). With dots, a dot at the begin of a line is one that a transport such as NNTP put there.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t

from cext.octets cimport MW_AVX2, MW_AVX512, PyObject, RELEASE_LEN
from cext.octets cimport mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_vector_level


cdef extern from "yenc.h":
    ctypedef struct mw_yenc:
        int64_t body_len
        int done
        int findings
    enum:
        MW_YENC_NO_END
        MW_YENC_ESCAPE
        MW_YENC_WORD
        MW_YENC_SLACK
    void mw_yenc_start(mw_yenc* state, int dots) nogil
    uint8_t* mw_yenc_feed(mw_yenc* s, const uint8_t* p, size_t n, int64_t base, uint8_t* out, int level) nogil
    uint8_t* mw_yenc_finish(mw_yenc* state, int64_t total, uint8_t* out) nogil
    size_t mw_yenc_body_end(const uint8_t* p, size_t n, size_t i, int wide) nogil
    size_t mw_find_line(const uint8_t* p, size_t n, size_t at, const uint8_t* needle, size_t m, int wide) nogil
    size_t mw_line_end(const uint8_t* p, size_t n, size_t i, int wide) nogil
    size_t mw_next_line(const uint8_t* p, size_t n, size_t i) nogil


cdef int _LEVEL = mw_vector_level()
cdef dict _LEVELS = {"scalar": 0, "avx2": MW_AVX2, "avx512": MW_AVX512}

VARIANTS = tuple(name for name, level in _LEVELS.items() if level <= _LEVEL)
VARIANT = VARIANTS[len(VARIANTS) - 1]
NO_END = MW_YENC_NO_END
ESCAPE = MW_YENC_ESCAPE


cdef object _decoded(mw_yenc* state, object data, int64_t base, int level, bint last):
    cdef Py_buffer view
    cdef PyObject* out
    cdef uint8_t* begin
    cdef uint8_t* end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(view.len + MW_YENC_SLACK)
        begin = mw_bytes_at(out)
        if view.len < RELEASE_LEN:
            end = mw_yenc_feed(state, <const uint8_t*>view.buf, view.len, base, begin, level)
        else:
            with nogil:
                end = mw_yenc_feed(state, <const uint8_t*>view.buf, view.len, base, begin, level)
        if last:
            end = mw_yenc_finish(state, view.len, end)
    finally:
        PyBuffer_Release(&view)
    return mw_bytes_cut(out, end - begin)


@cython.final
cdef class YEncDecoder:
    """Decodes the lines behind a begin line (and behind a "=ypart" line, where there is one).

    scalar: use the portable kernel whatever the processor offers. feed(chunk) takes any contiguous buffer and returns the
    octets that are decided; finish() returns the rest, at most 7. All output together is not longer than the input; like
    the attributes after finish() it does not depend on how the stream is cut. What follows the body is passed over.
    Content never raises; feed() after finish() is a RuntimeError. State: 8 octets. One caller at a time.
    """

    cdef mw_yenc _state
    cdef int64_t _fed
    cdef int _level
    cdef bint _finished

    def __cinit__(self, *, bint dots=False, bint scalar=False):
        mw_yenc_start(&self._state, dots)
        self._fed = 0
        self._level = 0 if scalar else _LEVEL
        self._finished = False

    def feed(self, chunk):
        """Decodes the next octets; O(len(chunk))."""
        cdef mw_yenc state = self._state
        if self._finished:
            raise RuntimeError("feed() after finish()")
        decoded = _decoded(&state, chunk, self._fed, self._level, False)
        self._state = state
        self._fed += memoryview(chunk).nbytes
        return decoded

    def finish(self):
        """Ends the stream and returns the octets that were held back, at most 7."""
        cdef uint8_t rest[8]
        cdef uint8_t* end = rest
        if not self._finished:
            end = mw_yenc_finish(&self._state, self._fed, rest)
        self._finished = True
        return rest[: end - rest]

    @property
    def done(self):
        """Whether the line that ends the body was seen."""
        return self._state.done != 0

    @property
    def body_len(self):
        """Octets of the stream before the line that ends the body; 0 until done."""
        return self._state.body_len

    @property
    def findings(self):
        """NO_END, ESCAPE: bits of what was wrong so far."""
        return self._state.findings


cdef tuple _whole(object data, bint dots, int level):
    cdef mw_yenc state
    mw_yenc_start(&state, dots)
    decoded = _decoded(&state, data, 0, level, True)
    return decoded, state.findings


def decode(data, *, bint dots=False):
    """(octets, findings) of the body at the begin of data, any contiguous buffer.

    What follows the body is passed over. O(len(data)); not longer than data; never raises on content.
    """
    return _whole(data, dots, _LEVEL)


def decode_as(data, str variant, *, bint dots=False):
    """decode by one of VARIANTS. Raises ValueError for another."""
    if variant not in VARIANTS:
        raise ValueError(f"no variant {variant} here")
    return _whole(data, dots, _LEVELS[variant])


def decode_scalar(data, *, bint dots=False):
    """decode by the portable kernel."""
    return _whole(data, dots, 0)


def find_begin(data, Py_ssize_t start):
    """The next line that begins with "=ybegin ": (its offset, the offset behind its line end), or None.

    data: any contiguous buffer; data[start] counts as the begin of a line. Raises ValueError for a start outside of data.
    O(len(data) - start).
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef size_t n, at, behind = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        p = <const uint8_t*>view.buf
        n = view.len
        with nogil:
            at = mw_find_line(p, n, start, b"=ybegin ", MW_YENC_WORD, _LEVEL)
            if at < n:
                behind = mw_next_line(p, n, mw_line_end(p, n, at, _LEVEL))
        return None if at == n else (at, behind)
    finally:
        PyBuffer_Release(&view)


def body_end(data, Py_ssize_t start, Py_ssize_t end):
    """Offset in data of the line that ends the body which begins at data[start], or end.

    decode() of data[start:end] reads exactly the octets up to there. Raises ValueError for a span outside of data.
    """
    cdef Py_buffer view
    cdef size_t at
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        with nogil:
            at = mw_yenc_body_end(<const uint8_t*>view.buf, end, start, _LEVEL)
        return at
    finally:
        PyBuffer_Release(&view)
