# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""Records of an encrypted workbook: what in them is plain, and what a mask of 16 octets hides ([MS-XLS] s2.2.10).

Heads of records are plain, and so are the data of some kinds, or their first octets.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.string cimport memcpy


cdef enum:
    HEAD_LEN = 4
    BOUND_SHEET = 0x0085
    SHEET_PLAIN_LEN = 4
    MASK_LEN = 16


cdef inline Py_ssize_t _plain_len(int kind, Py_ssize_t length) noexcept nogil:
    """Octets of the data that are plain."""
    if kind == BOUND_SHEET:
        return SHEET_PLAIN_LEN if length > SHEET_PLAIN_LEN else length
    # BOF, FilePass, UsrExcl, FileLock, InterfaceHdr, RRDInfo, RRDHead
    if kind in (0x0809, 0x002F, 0x0194, 0x0195, 0x00E1, 0x0196, 0x0138):
        return length
    return 0


cdef void _records(const uint8_t* p, Py_ssize_t at, Py_ssize_t end, uint8_t* out, const uint8_t* mask) noexcept nogil:
    """p and out have end octets."""
    cdef Py_ssize_t data, length, plain, i
    cdef uint8_t octet
    while end - at >= HEAD_LEN:
        data = at + HEAD_LEN
        length = p[at + 2] | p[at + 3] << 8
        if length > end - data:
            length = end - data
        plain = _plain_len(p[at] | p[at + 1] << 8, length)
        memcpy(out + at, p + at, HEAD_LEN + plain)
        if mask != NULL:
            for i in range(plain, length):
                octet = p[data + i] ^ mask[(data + length + i) & (MASK_LEN - 1)]
                out[data + i] = octet >> 5 | (octet << 3) & 0xFF
        at = data + length


def restore(object stream, Py_ssize_t begin, uint8_t[::1] out not None, const uint8_t[::1] mask=None):
    """Into out, of as many octets as stream has, goes what is plain of the records of stream from begin on.

    mask: of 16 octets: what it hides goes there too. Raises ValueError for other lengths, never on content; O(n).
    """
    cdef Py_buffer view
    cdef const uint8_t* octets = NULL
    if mask is not None:
        if mask.shape[0] != MASK_LEN:
            raise ValueError("a mask has 16 octets")
        octets = &mask[0]
    PyObject_GetBuffer(stream, &view, PyBUF_SIMPLE)
    try:
        if out.shape[0] != view.len or begin < 0:
            raise ValueError("out has another length than stream, or begin is negative")
        if view.len > 0:
            with nogil:
                _records(<const uint8_t*>view.buf, begin, view.len, &out[0], octets)
    finally:
        PyBuffer_Release(&view)
