# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
"""The cipher that zip archives began with (APPNOTE 6.3.10 s6.1): three words of state, an octet of key stream at a time.

It is a toy, and still what most archives with a password use.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t

from cext.octets cimport PyObject, RELEASE_LEN, mw_bytes_at, mw_bytes_cut, mw_bytes_new


cdef uint32_t[256] _CRC
cdef uint32_t _number, _value
cdef int _bit
for _number in range(256):
    _value = _number
    for _bit in range(8):
        _value = (_value >> 1) ^ (<uint32_t>0xEDB88320 if _value & 1 else <uint32_t>0)
    _CRC[_number] = _value


ctypedef struct State:
    uint32_t a
    uint32_t b
    uint32_t c


cdef inline void _take(State* state, uint8_t octet) noexcept nogil:
    """Octet of plain text goes into the state."""
    state.a = _CRC[(state.a ^ octet) & 0xFF] ^ (state.a >> 8)
    state.b = (state.b + (state.a & 0xFF)) * <uint32_t>134775813 + 1
    state.c = _CRC[(state.c ^ (state.b >> 24)) & 0xFF] ^ (state.c >> 8)


cdef inline uint8_t _key(const State* state) noexcept nogil:
    cdef uint32_t two = (state.c | 2) & 0xFFFF
    return <uint8_t>((two * (two ^ 1)) >> 8)


cdef void _plain(const State* state, const uint8_t* p, Py_ssize_t n, uint8_t* out) noexcept nogil:
    """out has room for n octets. 0 <= i < n always."""
    cdef Py_ssize_t i
    cdef uint8_t octet
    cdef State own = state[0]  # where no octet of out can lie: else each would be read again after each
    for i in range(n):
        octet = p[i] ^ _key(&own)
        out[i] = octet
        _take(&own, octet)


def decrypt(const uint8_t[::1] password not None, object data not None):
    """data as this password makes it plain; as many octets, the header of 12 among them. Both may be empty.

    Whether the password was the right one, who knows the header's last octet can guess. Never raises on content; O(n).
    """
    cdef State state
    cdef Py_ssize_t i
    cdef Py_buffer view
    cdef PyObject* out
    state.a, state.b, state.c = 0x12345678, 0x23456789, 0x34567890
    for i in range(password.shape[0]):
        _take(&state, password[i])
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(view.len)
        if view.len < RELEASE_LEN:
            _plain(&state, <const uint8_t*>view.buf, view.len, mw_bytes_at(out))
        else:
            with nogil:
                _plain(&state, <const uint8_t*>view.buf, view.len, mw_bytes_at(out))
        return mw_bytes_cut(out, view.len)
    finally:
        PyBuffer_Release(&view)
