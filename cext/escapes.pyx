# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Octets that HTML and addresses spell: character references (as html.unescape reads them) and percent signs.

What HTML spells is told in Latin-1: a character that is not in it becomes a question mark.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcpy

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new

cdef enum:
    NAME_LEN = 32  # octets of a name, without its semicolon
    PREFIX_LEN = 6  # of a name that may lack its semicolon
    NONE = -1
    UNKNOWN = 63  # "?"


cdef inline int _digit(uint8_t c) noexcept nogil:
    """Value of a hexadecimal digit, or -1."""
    if c'0' <= c <= c'9':
        return c - c'0'
    c |= 0x20
    return c - c'a' + 10 if c'a' <= c <= c'f' else -1


cdef int _character(uint32_t number) noexcept nogil:
    """The octet for a character reference with this number, or NONE."""
    if number == 0 or number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        return UNKNOWN
    if number < 0x20:
        return <int>number if number in (9, 10, 12, 13) else NONE
    if number == 0x7F or 0xFDD0 <= number <= 0xFDEF or (number & 0xFFFE) == 0xFFFE:
        return NONE
    if 0x80 <= number < 0xA0:  # are read as of Windows-1252, which has nothing there for these
        return <int>number if number in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else UNKNOWN
    return <int>number if number < 256 else UNKNOWN


cdef size_t _number(const uint8_t* p, size_t n, int* octet) noexcept nogil:
    """How long the reference "&#..." at p[0..n) is, and what it stands for; 0 if it is none. 2 <= n."""
    cdef size_t i = 2, begin
    cdef uint32_t base = 10, number = 0
    cdef int digit
    if i < n and (p[i] | 0x20) == c'x':
        base = 16
        i += 1
    begin = i
    while i < n:
        digit = _digit(p[i])
        if digit < 0 or digit >= <int>base:
            break
        if number <= 0x10FFFF:
            number = number * base + digit
        i += 1
    if i == begin:
        return 0
    octet[0] = _character(number)
    return i + 1 if i < n and p[i] == c';' else i


cdef size_t _name(const uint8_t* p, size_t n) noexcept nogil:
    """Length of the name of a reference at p[0..n), which may be any octets, without a semicolon."""
    cdef size_t i = 0
    while i < n and i < NAME_LEN and p[i] not in (c'\t', c'\n', 12, c' ', c'<', c'&', c'#', c';'):
        i += 1
    return i


cdef uint8_t* _named(const uint8_t* p, size_t n, dict names, uint8_t* out) except NULL:
    """Write what the n octets behind an ampersand stand for, their semicolon among them."""
    cdef size_t known = n
    cdef str name = PyUnicode_DecodeLatin1(<const char*>p, n, NULL)
    cdef object found = names.get(name)
    if found is None:
        known = min(n - 1, <size_t>PREFIX_LEN)
        while known >= 2:
            found = names.get(name[:known])
            if found is not None:
                break
            known -= 1
    if found is None:
        known = 0
        out[0] = c'&'
        out += 1
    else:
        for character in <str>found:
            out[0] = <uint8_t>character if <Py_UCS4>character < 256 else <uint8_t>UNKNOWN
            out += 1
    memcpy(out, p + known, n - known)
    return out + (n - known)


def references(bytes value not None, dict names not None):
    """value with octets for its character references.

    names: html.entities.html5, of which none stands for more characters than it has. Never raises on content. O(len(value)).
    """
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(value)
    cdef size_t n = PyBytes_GET_SIZE(value), i = 0, length
    cdef const uint8_t* amp = <const uint8_t*>memchr(p, c'&', n)
    cdef PyObject* made
    cdef uint8_t* begin
    cdef uint8_t* out
    cdef int octet = NONE
    if amp == NULL:
        return value
    made = mw_bytes_new(n)
    begin = out = mw_bytes_at(made)
    try:
        while amp != NULL:
            length = (amp - p) - i
            memcpy(out, p + i, length)
            out += length
            i += length
            if n - i >= 2 and p[i + 1] == c'#':
                length = _number(p + i, n - i, &octet)
                if length != 0 and octet != NONE:
                    out[0] = <uint8_t>octet
                    out += 1
            else:
                length = _name(p + i + 1, n - i - 1)
                if length != 0:
                    length += i + 1 + length < n and p[i + 1 + length] == c';'
                    out = _named(p + i + 1, length, names, out)
                    length += 1
            if length == 0:
                out[0] = c'&'
                out += 1
                length = 1
            i += length
            amp = <const uint8_t*>memchr(p + i, c'&', n - i)
    except BaseException:  # no memory for a name
        mw_bytes_cut(made, 0)
        raise
    memcpy(out, p + i, n - i)
    out += n - i
    return mw_bytes_cut(made, out - begin)


def percents(bytes value not None):
    """value with octets for its percent signs and the two digits behind them, as urllib.parse.unquote_to_bytes."""
    cdef const uint8_t* p = <const uint8_t*>PyBytes_AS_STRING(value)
    cdef size_t n = PyBytes_GET_SIZE(value), i = 0, length
    cdef const uint8_t* sign = <const uint8_t*>memchr(p, c'%', n)
    cdef PyObject* made
    cdef uint8_t* begin
    cdef uint8_t* out
    if sign == NULL:
        return value
    made = mw_bytes_new(n)
    begin = out = mw_bytes_at(made)
    with nogil:
        while sign != NULL:
            length = (sign - p) - i
            memcpy(out, p + i, length)
            out += length
            i += length
            if n - i >= 3 and _digit(p[i + 1]) >= 0 and _digit(p[i + 2]) >= 0:
                out[0] = <uint8_t>(_digit(p[i + 1]) << 4 | _digit(p[i + 2]))
                i += 3
            else:
                out[0] = c'%'
                i += 1
            out += 1
            sign = <const uint8_t*>memchr(p + i, c'%', n - i)
        memcpy(out, p + i, n - i)
        out += n - i
    return mw_bytes_cut(made, out - begin)
