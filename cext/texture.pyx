# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""What octets look like from afar: how random they are, and what a text is made of. One pass, nothing allocated."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport log2
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from cext.octets cimport RELEASE_LEN

cdef enum:
    LETTER = 1
    DIGIT = 2
    HEX = 4
    RUN = 8  # of base64
    QUOTE = 16
    BLANK = 32
    JOINS = 64  # puts strings together

cdef struct Texture:
    Py_ssize_t line  # the longest, in octets
    Py_ssize_t run  # the longest of base64 characters
    Py_ssize_t letters
    Py_ssize_t digits
    Py_ssize_t escapes  # \x \u \0 %41 %u &#
    Py_ssize_t joints  # "..." + "...", with &, + or .
    Py_ssize_t broken  # ^ or ` within a word
    Py_ssize_t slices  # %name:~

cdef uint8_t _CLASS[256]


cdef void _classes() noexcept:
    cdef int octet
    memset(_CLASS, 0, 256)
    for octet in range(256):
        if 65 <= octet <= 90 or 97 <= octet <= 122:
            _CLASS[octet] = LETTER | RUN
        if 65 <= octet <= 70 or 97 <= octet <= 102:
            _CLASS[octet] |= HEX
        if 48 <= octet <= 57:
            _CLASS[octet] = DIGIT | HEX | RUN
    for octet in (43, 47, 61):
        _CLASS[octet] |= RUN
    for octet in (34, 39, 96):
        _CLASS[octet] |= QUOTE
    for octet in (9, 10, 13, 32):
        _CLASS[octet] |= BLANK
    for octet in (38, 43, 46):
        _CLASS[octet] |= JOINS


_classes()


cdef double _entropy(const uint8_t* p, Py_ssize_t n) noexcept nogil:
    """Bits for each octet. Four tables, so that equal octets in a row do not wait for each other."""
    cdef uint64_t table[4][256]
    cdef uint64_t count
    cdef Py_ssize_t i, whole = n & ~<Py_ssize_t>3
    cdef double bits = 0
    memset(table, 0, sizeof(table))
    for i in range(0, whole, 4):  # i + 3 < n
        table[0][p[i]] += 1
        table[1][p[i + 1]] += 1
        table[2][p[i + 2]] += 1
        table[3][p[i + 3]] += 1
    for i in range(whole, n):
        table[0][p[i]] += 1
    for i in range(256):
        count = table[0][i] + table[1][i] + table[2][i] + table[3][i]
        if count:
            bits -= <double>count * log2(<double>count / <double>n)
    return bits / <double>n if n else 0


cdef void _texture(const uint8_t* p, Py_ssize_t n, Texture* t) noexcept nogil:
    """0 <= i < n; looks ahead only where i + k < n."""
    cdef Py_ssize_t i, line = 0, run = 0
    cdef uint8_t octet, kind, follows
    cdef int state = 0  # of a joint: 1 behind a quote, 2 behind what joins
    memset(t, 0, sizeof(Texture))
    for i in range(n):
        octet = p[i]
        kind = _CLASS[octet]
        if octet == 10 or octet == 13:
            line = 0
        else:
            line += 1
            if line > t.line:
                t.line = line
        if kind & RUN:
            run += 1
            if run > t.run:
                t.run = run
        else:
            run = 0
        if kind & LETTER:
            t.letters += 1
        elif kind & DIGIT:
            t.digits += 1
        elif octet == 92 and n - i > 1:
            follows = p[i + 1]
            if follows == 120 or follows == 117 or _CLASS[follows] & DIGIT:
                t.escapes += 1
        elif octet == 37 and n - i > 2:
            if p[i + 1] == 117 or (_CLASS[p[i + 1]] & HEX and _CLASS[p[i + 2]] & HEX):
                t.escapes += 1
        elif octet == 38 and n - i > 1 and p[i + 1] == 35:
            t.escapes += 1
        elif (octet == 94 or octet == 96) and 0 < i < n - 1:
            if _CLASS[p[i - 1]] & LETTER and _CLASS[p[i + 1]] & LETTER:
                t.broken += 1
        elif octet == 126 and i > 0 and p[i - 1] == 58:
            t.slices += 1
        if kind & QUOTE:
            if state == 2:
                t.joints += 1
            state = 1
        elif kind & JOINS:
            state = 2 if state == 1 else 0
        elif not kind & BLANK:
            state = 0


cdef _bounds(Py_ssize_t length, Py_ssize_t start, Py_ssize_t end):
    if not 0 <= start <= end <= length:
        raise ValueError("offsets outside of the octets")


def entropy(data, Py_ssize_t start, Py_ssize_t end):
    """Entropy of data[start:end] in thousandths of a bit for each octet: 0 to 8000; 0 of nothing.

    data: any contiguous buffer. Raises ValueError for offsets outside of it. O(end - start), allocates nothing.
    """
    cdef Py_buffer view
    cdef double bits
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        _bounds(view.len, start, end)
        if end - start < RELEASE_LEN:
            bits = _entropy(<const uint8_t*>view.buf + start, end - start)
        else:
            with nogil:
                bits = _entropy(<const uint8_t*>view.buf + start, end - start)
    finally:
        PyBuffer_Release(&view)
    return int(bits * 1000 + 0.5)


def texture(data, Py_ssize_t start, Py_ssize_t end):
    """(longest line, longest run of base64 characters, letters, digits, escapes, joints, broken words, slices) of the
    text data[start:end].

    escapes: octets spelled as \\x, \\u, \\1, %41, %u or &#. joints: places where strings in quotes are put together by
    +, & or a dot. broken: a caret or grave accent between letters. slices: substrings as cmd writes them, :~ with what
    follows. data, ValueError, cost: as of entropy.
    """
    cdef Py_buffer view
    cdef Texture t
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        _bounds(view.len, start, end)
        if end - start < RELEASE_LEN:
            _texture(<const uint8_t*>view.buf + start, end - start, &t)
        else:
            with nogil:
                _texture(<const uint8_t*>view.buf + start, end - start, &t)
    finally:
        PyBuffer_Release(&view)
    return t.line, t.run, t.letters, t.digits, t.escapes, t.joints, t.broken, t.slices
