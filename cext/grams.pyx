# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Trigrams of text, without regard to ASCII case: which blocks of a log can contain a term, and which cannot.

Theory of operation. A slab is a matrix of bits: BUCKETS rows of COLUMNS bits, a row for each bucket that trigrams are
hashed into, a column for each block of text. A block can contain a term only if its bit is set in the row of every
trigram of the term. Rows and not columns lie together, so that a question about 64 blocks reads eight octets a trigram.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t, uint64_t

BUCKETS = 16000
COLUMNS = 64  # the bits of one row, a native 64-bit integer
ROW_LEN = 8  # octets

cdef enum:
    N_BUCKETS = 16000


cdef inline uint32_t _lower(uint8_t octet) noexcept nogil:
    return octet + 32 if octet - <uint8_t>65 < <uint8_t>26 and octet >= 65 else octet


cdef inline uint32_t _bucket(uint32_t trigram) noexcept nogil:
    """Multiplicative hashing; the result is below N_BUCKETS."""
    cdef uint32_t mixed = trigram * <uint32_t>0x9E3779B1
    return <uint32_t>((<uint64_t>mixed * N_BUCKETS) >> 32)


cdef void _mark(const uint8_t* text, Py_ssize_t n, uint64_t* rows, uint64_t bit) noexcept nogil:
    """rows: N_BUCKETS of them. 2 <= i < n, and _bucket is below N_BUCKETS."""
    cdef Py_ssize_t i
    cdef uint32_t trigram
    if n < 3:
        return
    trigram = (_lower(text[0]) << 8) | _lower(text[1])
    for i in range(2, n):
        trigram = ((trigram << 8) | _lower(text[i])) & 0xFFFFFF
        rows[_bucket(trigram)] |= bit


def mark(text, slab, int column):
    """Set the bit of this column in the row of every trigram of text.

    text: any contiguous buffer. slab: writable, BUCKETS * ROW_LEN octets, of a bytearray (aligned). column: 0 to
    COLUMNS - 1. Raises ValueError for another slab or column. O(len(text)), allocates nothing.
    """
    cdef Py_buffer source, target
    if not 0 <= column < COLUMNS:
        raise ValueError("no such column")
    PyObject_GetBuffer(text, &source, PyBUF_SIMPLE)
    try:
        PyObject_GetBuffer(slab, &target, PyBUF_WRITABLE)
        try:
            if target.len != N_BUCKETS * <Py_ssize_t>sizeof(uint64_t) or <size_t>target.buf % sizeof(uint64_t):
                raise ValueError("a slab has BUCKETS rows")
            with nogil:
                _mark(<const uint8_t*>source.buf, source.len, <uint64_t*>target.buf, <uint64_t>1 << column)
        finally:
            PyBuffer_Release(&target)
    finally:
        PyBuffer_Release(&source)


def buckets(bytes term not None):
    """The buckets of the trigrams of a term: distinct, ascending; empty if it is shorter than three octets."""
    cdef const uint8_t* text = term
    cdef Py_ssize_t i
    found = set()
    for i in range(len(term) - 2):
        found.add(_bucket((_lower(text[i]) << 16) | (_lower(text[i + 1]) << 8) | _lower(text[i + 2])))
    return sorted(found)
