# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Files in UUE: where one begins, where it ends, and its octets (uuencode of POSIX).

A file is a begin line ("begin", octal mode, name), data lines and a line "end". Space and backquote are both zero, lines
whose trailing spaces were cut off are filled with zeros (SHORT), octets behind a line's data are passed over, and so are
lines that cannot be data (JUNK). A file that lacks its end line reaches to the next begin line or to the end of the data
(NO_END). A line ends with CRLF, LF or CR.

Known gaps: zeros are filled in only as long as output is not more than CREDIT_LEN octets ahead of input; only the first
128 octets of a line are looked at; what follows begin-base64 (uuencode -m) is base64 and not read here.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t

from cext.octets cimport PyObject, RELEASE_LEN, mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_has_avx2


cdef extern from "uue.h":
    ctypedef struct mw_uue:
        int64_t body_len
        int done
        int findings
    enum:
        MW_UUE_NO_END
        MW_UUE_JUNK
        MW_UUE_SHORT
        MW_UUE_CREDIT
    void mw_uue_start(mw_uue* state) nogil
    size_t mw_uue_room(const mw_uue* state, size_t n) nogil
    uint8_t* mw_uue_feed(mw_uue* state, const uint8_t* p, size_t n, int64_t base, uint8_t* out, int wide) nogil
    uint8_t* mw_uue_finish(mw_uue* state, int64_t total, uint8_t* out) nogil
    size_t mw_uue_begins(const uint8_t* line, size_t n) nogil
    size_t mw_uue_body_end(const uint8_t* p, size_t n, size_t i, int* ended, int wide) nogil
    size_t mw_find_line(const uint8_t* p, size_t n, size_t at, const uint8_t* needle, size_t m, int wide) nogil
    size_t mw_line_end(const uint8_t* p, size_t n, size_t i, int wide) nogil
    size_t mw_next_line(const uint8_t* p, size_t n, size_t i) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"
NO_END = MW_UUE_NO_END
JUNK = MW_UUE_JUNK
SHORT = MW_UUE_SHORT
CREDIT_LEN = MW_UUE_CREDIT


cdef object _decoded(mw_uue* state, object data, int64_t base, bint wide, bint last):
    cdef Py_buffer view
    cdef PyObject* out
    cdef uint8_t* begin
    cdef uint8_t* end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(mw_uue_room(state, view.len))
        begin = mw_bytes_at(out)
        if view.len < RELEASE_LEN:
            end = mw_uue_feed(state, <const uint8_t*>view.buf, view.len, base, begin, wide)
        else:
            with nogil:
                end = mw_uue_feed(state, <const uint8_t*>view.buf, view.len, base, begin, wide)
        if last:
            end = mw_uue_finish(state, view.len, end)
    finally:
        PyBuffer_Release(&view)
    return mw_bytes_cut(out, end - begin)


@cython.final
cdef class UUDecoder:
    """Decodes the lines behind a begin line. scalar: use the portable kernel whatever the processor offers.

    feed(chunk) takes any contiguous buffer and returns the octets of the lines that ended in it; finish() returns those
    of a last line without line end. All output together is at most CREDIT_LEN longer than the input; like the attributes
    after finish() it does not depend on how the stream is cut. What follows the file is passed over. Content never raises;
    feed() after finish() is a RuntimeError. State: one line. One caller at a time.
    """

    cdef mw_uue _state
    cdef int64_t _fed
    cdef bint _wide
    cdef bint _finished

    def __cinit__(self, *, bint scalar=False):
        mw_uue_start(&self._state)
        self._fed = 0
        self._wide = _AVX2 and not scalar
        self._finished = False

    def feed(self, chunk):
        """Decodes the next octets; O(len(chunk)), allocates CREDIT_LEN octets more than that at most."""
        cdef mw_uue state = self._state
        if self._finished:
            raise RuntimeError("feed() after finish()")
        decoded = _decoded(&state, chunk, self._fed, self._wide, False)
        self._state = state
        self._fed += memoryview(chunk).nbytes
        return decoded

    def finish(self):
        """Ends the stream and returns the octets of a last line without line end, at most 63."""
        cdef uint8_t rest[64]
        cdef uint8_t* end = rest
        if not self._finished:
            end = mw_uue_finish(&self._state, self._fed, rest)
        self._finished = True
        return rest[: end - rest]

    @property
    def done(self):
        """Whether the end of the file was seen."""
        return self._state.done != 0

    @property
    def body_len(self):
        """Octets of the stream that belong to the file, its end line included; 0 until done."""
        return self._state.body_len

    @property
    def findings(self):
        """NO_END, JUNK, SHORT: bits of what was wrong so far."""
        return self._state.findings


cdef tuple _whole(object data, bint wide):
    cdef mw_uue state
    mw_uue_start(&state)
    decoded = _decoded(&state, data, 0, wide, True)
    return decoded, state.findings


def decode(data):
    """(octets, findings) of the file whose lines behind the begin line are data, any contiguous buffer.

    What follows the file is passed over. O(len(data)); at most CREDIT_LEN octets longer than data; never raises on
    content.
    """
    return _whole(data, _AVX2)


def decode_scalar(data):
    """decode by the portable kernel."""
    return _whole(data, False)


cdef tuple _find_begin(object data, Py_ssize_t start, bint wide):
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef size_t n, at, line_end = 0, name = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        p = <const uint8_t*>view.buf
        n = view.len
        at = start
        with nogil:
            while at < n:
                at = mw_find_line(p, n, at, b"begin ", 6, wide)
                if at == n:
                    break
                line_end = mw_line_end(p, n, at, wide)
                name = mw_uue_begins(p + at, line_end - at)
                if name != 0:
                    break
                at = mw_next_line(p, n, line_end)
        if name == 0:
            return None
        return at, at + name, mw_next_line(p, n, line_end)
    finally:
        PyBuffer_Release(&view)


def find_begin(data, Py_ssize_t start):
    """The next begin line in data: (offset of the line, offset of the name, offset behind the line end), or None.

    data: any contiguous buffer; data[start] counts as the begin of a line. The name reaches to the line end, perhaps
    with white space behind it. Raises ValueError for a start outside of data. O(len(data) - start).
    """
    return _find_begin(data, start, _AVX2)


def find_begin_scalar(data, Py_ssize_t start):
    """find_begin by the portable kernel."""
    return _find_begin(data, start, False)


def find_line(data, Py_ssize_t start, bytes prefix):
    """Offset of the next line in data that begins with prefix, or -1. For what is spelled out in text in other ways.

    data: any contiguous buffer; data[start] counts as the begin of a line. prefix: not empty, without line ends. Raises
    ValueError for a start outside of data or such a prefix. O(len(data) - start).
    """
    cdef Py_buffer view
    cdef size_t at, n, m = len(prefix)
    cdef const uint8_t* needle = prefix
    if m == 0 or b"\r" in prefix or b"\n" in prefix:
        raise ValueError("no prefix of a line")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= view.len:
            raise ValueError("start outside of data")
        n = view.len
        with nogil:
            at = mw_find_line(<const uint8_t*>view.buf, n, start, needle, m, _AVX2)
        return -1 if at == n else <Py_ssize_t>at
    finally:
        PyBuffer_Release(&view)


def body_end(data, Py_ssize_t start, Py_ssize_t end):
    """(offset behind the file whose lines behind the begin line are at data[start:end], whether it has an end line).

    decode() of data[start:end] reads exactly the octets up to there. Raises ValueError for a span outside of data.
    """
    cdef Py_buffer view
    cdef size_t at
    cdef int ended = 0
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        with nogil:
            at = mw_uue_body_end(<const uint8_t*>view.buf, end, start, &ended, _AVX2)
    finally:
        PyBuffer_Release(&view)
    return at, ended != 0
