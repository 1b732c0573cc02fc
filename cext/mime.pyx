# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Where the parts of an entity lie: the end of its header section, and its boundary delimiters (RFC 2046 s5.1.1).

A line ends with CRLF, LF or CR here. Mail from the network has CRLF only, but an encoded message inside it, or a file
that is scanned, has what its author liked, and clients read it all the same. CR CR LF thus is two line ends.

A line that goes on after the boundary with more than white space is no delimiter, though RFC 2046 and a few clients
compare only the beginning: `delimiter_lines` counts such lines, and takes them too when it is asked to.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new, mw_has_avx2


cdef extern from "section.h":
    size_t mw_section_line(const uint8_t* p, size_t n, size_t i, int* flags, int wide) nogil
    int mw_trailing_blank(const uint8_t* p, size_t n, size_t start, int wide) nogil


cdef extern from "span.h":
    size_t mw_find_line(const uint8_t* p, size_t n, size_t at, const uint8_t* needle, size_t m, int wide) nogil
    size_t mw_line_end(const uint8_t* p, size_t n, size_t i, int wide) nogil
    size_t mw_next_line(const uint8_t* p, size_t n, size_t i) nogil


cdef bint _AVX2 = mw_has_avx2()

VARIANT = "avx2" if _AVX2 else "scalar"


cdef inline size_t _behind_white(const uint8_t* p, size_t n, size_t i) noexcept nogil:
    while i < n and (p[i] == c' ' or p[i] == c'\t'):
        i += 1
    return i


cdef bint _delimits(const uint8_t* p, size_t n, size_t i, size_t* line_end, bint* closes) noexcept nogil:
    """Whether what follows the boundary at i <= n leaves its line a delimiter; if so where that line ends, and its kind."""
    cdef size_t end = _behind_white(p, n, i)
    closes[0] = False
    if not _ends(p, n, end):
        if n - i < 2 or p[i] != c'-' or p[i + 1] != c'-':
            return False
        end = _behind_white(p, n, i + 2)
        if not _ends(p, n, end):
            return False
        closes[0] = True
    line_end[0] = end
    return True


cdef inline bint _ends(const uint8_t* p, size_t n, size_t i) noexcept nogil:
    return i == n or p[i] == c'\r' or p[i] == c'\n'


cdef inline bint _is_bare(const uint8_t* p, size_t border, size_t i) noexcept nogil:
    """Whether a bare CR ends the line before i. border: where a line begins or ends anyway."""
    return i != border and p[i - 1] != c'\n'


cdef tuple _delimiters(object data, Py_ssize_t start, Py_ssize_t end, bytes boundary, Py_ssize_t limit, bint wide,
                       bint prefix):
    cdef Py_buffer view
    cdef bytes dashed = b"--" + boundary
    cdef const uint8_t* needle = dashed
    cdef const uint8_t* p
    cdef size_t m = len(dashed), n, at, line_end = 0, behind, near = 0
    cdef bint closes = False, bare = False
    cdef list found = []
    if b"\r" in boundary or b"\n" in boundary:
        return found, 0, False  # can stand on no line
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        p = <const uint8_t*>view.buf
        n = end
        at = start
        while at < n and len(found) < limit:
            with nogil:
                at = mw_find_line(p, n, at, needle, m, wide)
            if at == n:
                break
            if _delimits(p, n, at + m, &line_end, &closes):
                behind = mw_next_line(p, n, line_end)
                found.append((at, behind, closes))
                bare = bare or _is_bare(p, start, at) or _is_bare(p, n, behind)
                at = behind
                continue
            near += 1
            behind = mw_next_line(p, n, mw_line_end(p, n, at + m, wide))
            if prefix:
                found.append((at, behind, n - at - m >= 2 and p[at + m] == c'-' and p[at + m + 1] == c'-'))
                bare = bare or _is_bare(p, start, at) or _is_bare(p, n, behind)
            at = behind
    finally:
        PyBuffer_Release(&view)
    return found, near, bare


def delimiters(data, Py_ssize_t start, Py_ssize_t end, bytes boundary not None, Py_ssize_t limit):
    """Boundary delimiter lines in data[start:end]: "--" boundary, perhaps "--", perhaps white space.

    data: any contiguous buffer; data[start] counts as the begin of a line. boundary: as the parameter gives it, may be
    empty; one that holds CR or LF finds nothing. Returns at most limit tuples, in order: offset of the line, offset
    behind its line end, whether it closes; offsets in data. Raises ValueError for a span outside of data.
    O(end - start) whatever the text.
    """
    return _delimiters(data, start, end, boundary, limit, _AVX2, False)[0]


def delimiters_scalar(data, Py_ssize_t start, Py_ssize_t end, bytes boundary not None, Py_ssize_t limit):
    """delimiters by the portable kernel."""
    return _delimiters(data, start, end, boundary, limit, False, False)[0]


def delimiter_lines(data, Py_ssize_t start, Py_ssize_t end, bytes boundary not None, Py_ssize_t limit,
                    bint prefix=False):
    """(what delimiters gives, number of lines that only begin like a delimiter, whether one that is given begins or ends
    at a bare CR). prefix: those that only begin like one are given too.
    """
    return _delimiters(data, start, end, boundary, limit, _AVX2, prefix)


cdef Py_ssize_t _header_end(object data, Py_ssize_t start, Py_ssize_t end, bint wide) except -1:
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef size_t n = end, at = start, line_end
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        p = <const uint8_t*>view.buf
        with nogil:
            while at < n:
                line_end = mw_line_end(p, n, at, wide)
                if line_end == at:
                    at = mw_next_line(p, n, at)
                    break
                at = mw_next_line(p, n, line_end)
    finally:
        PyBuffer_Release(&view)
    return <Py_ssize_t>at


def header_end(data, Py_ssize_t start, Py_ssize_t end):
    """Offset in data of the body of the entity data[start:end]: behind its first empty line, or end if there is none.

    A line of white space is not empty: it continues the field before (RFC 5322 s2.2.3). Raises ValueError for a span
    outside of data. O(length of the header section).
    """
    return _header_end(data, start, end, _AVX2)


def header_end_scalar(data, Py_ssize_t start, Py_ssize_t end):
    """header_end by the portable kernel."""
    return _header_end(data, start, end, False)


# --- header sections ----------------------------------------------------------------------------------------------

NUL = 1  # an octet 0
BARE_CR = 2  # a CR without LF behind it
NOT_FIELD = 4  # a line that is neither a field nor the continuation of one, or not by RFC 5322: blanks before its colon
BLANK = 8  # a line of nothing but white space
TRUNCATED = 16  # too many octets or fields: what is behind was not read
HEADLESS = 32  # the first line is no field

CONTENT_TYPE = 0
TRANSFER_ENCODING = 1
DISPOSITION = 2
SUBJECT = 3
# Of a whole message only:
FROM = 4
AUTO_SUBMITTED = 5
PRECEDENCE = 6
SUPPRESS = 7  # X-Auto-Response-Suppress
LIST = 8  # List-Id and whatever else begins with List-


cdef inline uint8_t _lower(uint8_t c) noexcept nogil:
    return c | 0x20 if c'A' <= c <= c'Z' else c


cdef bint _is(const uint8_t* p, size_t n, const char* word, size_t m) noexcept nogil:
    cdef size_t i
    if n != m:
        return False
    for i in range(m):
        if _lower(p[i]) != <uint8_t>word[i]:
            return False
    return True


cdef int _kind(const uint8_t* p, size_t n, bint whole) noexcept nogil:
    """Which of the wanted fields this name of n octets is, or -1. whole: of a whole message."""
    if _lower(p[0]) == c'c':
        if _is(p, n, b"content-type", 12):
            return 0
        if _is(p, n, b"content-transfer-encoding", 25):
            return 1
        if _is(p, n, b"content-disposition", 19):
            return 2
    elif n == 7 and _is(p, n, b"subject", 7):
        return 3
    return _kind_of_whole(p, n) if whole else -1


cdef int _kind_of_whole(const uint8_t* p, size_t n) noexcept nogil:
    cdef uint8_t first = _lower(p[0])
    if first == c'f':
        return 4 if _is(p, n, b"from", 4) else -1
    if first == c'l':
        return 8 if n > 5 and _is(p, 5, b"list-", 5) else -1
    if first == c'a':
        return 5 if _is(p, n, b"auto-submitted", 14) else -1
    if first == c'p':
        return 6 if _is(p, n, b"precedence", 10) else -1
    if first == c'x':
        return 7 if _is(p, n, b"x-auto-response-suppress", 24) else -1
    return -1


cdef size_t _colon(const uint8_t* p, size_t n, size_t at, size_t* name_end) noexcept nogil:
    """Offset of the colon of the field that begins at `at` in a line that ends at n, or n if the line is no field.

    name_end: where its name ends. White space and one comment are passed over before the colon, as some clients do.
    """
    cdef size_t i = at
    while i < n and 32 < p[i] < 127 and p[i] != c':' and p[i] != c'(':
        i += 1
    name_end[0] = i
    if i == at:
        return n
    i = _behind_white(p, n, i)
    if i < n and p[i] == c'(':
        while i < n and p[i] != c')':
            i += 1
        i = _behind_white(p, n, i + 1) if i < n else n
    return i if i < n and p[i] == c':' else n


cdef bint _is_envelope_line(const uint8_t* p, size_t n) noexcept nogil:
    """A mailbox's "From " line, perhaps quoted."""
    return (n >= 5 and memcmp(p, b"From ", 5) == 0) or (n >= 6 and memcmp(p, b">From ", 6) == 0)


cdef inline bint _is_white(uint8_t c) noexcept nogil:
    """As bytes.strip() takes it."""
    return c == c' ' or 9 <= c <= 13


cdef bytes _unfolded(const uint8_t* p, size_t n):
    """A field-body without line ends (RFC 5322 s2.2.3: the white space stays) and without white space around it."""
    cdef size_t i = 0, made = 0
    cdef PyObject* out
    cdef uint8_t* to
    while n > 0 and _is_white(p[n - 1]):
        n -= 1
    while i < n and _is_white(p[i]):
        i += 1
    p += i
    n -= i
    if memchr(p, c'\n', n) == NULL and memchr(p, c'\r', n) == NULL:
        return PyBytes_FromStringAndSize(<const char*>p, n)
    out = mw_bytes_new(n)
    to = mw_bytes_at(out)
    for i in range(n):
        to[made] = p[i]
        made += p[i] != c'\r' and p[i] != c'\n'
    return mw_bytes_cut(out, made)


def section(data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t octets, Py_ssize_t fields, bint whole=False):
    """The header section of the entity data[start:end], in one pass.

    octets, fields: how many are looked at, at most; a field that begins in time is cut to as many octets. whole: FROM
    and the kinds behind it are wanted too. Returns (offset of the body as header_end gives it, flags, offset of the first
    line that is no field or -1, offset behind the first line of white space or -1, wanted fields), the last as (kind,
    unfolded body without white space around it), in order. Raises ValueError for a span outside of data. O(length of
    the header section).
    """
    cdef Py_buffer view
    cdef const uint8_t* p
    cdef size_t n, at, line_end = 0, colon = 0, name_end = 0, last, field_end = 0, value = 0
    cdef Py_ssize_t seen = 0, not_field = -1, blank = -1
    cdef int flags = 0, kind = -1, open_kind = -1
    cdef bint first = True, more = True
    cdef list found = []
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        p = <const uint8_t*>view.buf
        n = end
        at = start
        last = n if end - start <= octets else start + octets
        while more:
            kind = -1
            with nogil:
                while True:
                    if at >= n:
                        more = False
                        break
                    line_end = mw_section_line(p, n, at, &flags, _AVX2)
                    if line_end == at:
                        at = mw_next_line(p, n, at)
                        more = False
                        break
                    if p[at] == c' ' or p[at] == c'\t':
                        if _behind_white(p, line_end, at) == line_end:
                            flags |= 8
                            if blank < 0:
                                blank = mw_next_line(p, n, line_end)
                        if first:
                            flags |= 32
                        field_end = line_end
                    else:
                        if open_kind >= 0:
                            break
                        if at >= last or seen >= fields:
                            flags |= 16
                        else:
                            seen += 1
                            colon = _colon(p, line_end, at, &name_end)
                            if colon < line_end:
                                kind = _kind(p + at, name_end - at, whole)
                                if colon != name_end:
                                    flags |= 4
                                    if not_field < 0:
                                        not_field = at
                            elif not first or not _is_envelope_line(p + at, line_end - at):
                                flags |= 4
                                if first:
                                    flags |= 32
                                if not_field < 0:
                                    not_field = at
                        field_end = line_end
                    first = False
                    at = mw_next_line(p, n, line_end)
                    if kind >= 0:
                        open_kind = kind
                        value = colon + 1
                        kind = -1
            if open_kind >= 0:
                if field_end - value > <size_t>octets:
                    flags |= 16
                    field_end = value + octets
                found.append((open_kind, _unfolded(p + value, field_end - value)))
                open_kind = -1
    finally:
        PyBuffer_Release(&view)
    return <Py_ssize_t>at, flags, not_field, blank, found


def trailing_blank(data, Py_ssize_t start, Py_ssize_t end, bint wide=True):
    """Whether a line in data[start:end] ends with white space. Raises ValueError for a span outside of data."""
    cdef Py_buffer view
    cdef int found
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if not 0 <= start <= end <= view.len:
            raise ValueError("span outside of data")
        with nogil:
            found = mw_trailing_blank(<const uint8_t*>view.buf, end, start, wide and _AVX2)
    finally:
        PyBuffer_Release(&view)
    return found != 0
