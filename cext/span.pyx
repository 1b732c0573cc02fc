# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: extra_compile_args=-O3
"""A stretch of octets that somebody else holds, in the words of bytes: what lies as it is in a container need not be copied.

    span = Span(buf, 512, 1536)   # buf: any contiguous buffer, kept alive
    span[:4], span.find(b"PK\\3\\4", 4), memoryview(span), hashlib.sha256(span)

Slices are bytes, copied. A span of a span refers to the octets themselves, so spans in each other form no chain.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport size_t
from libc.string cimport memchr, memcmp


cdef extern from "Python.h":
    Py_hash_t _Py_HashBytes(const void* octets, Py_ssize_t n)


cdef extern from "string.h":
    void* memmem(const void* haystack, size_t n, const void* needle, size_t length) nogil
    void* memrchr(const void* s, int c, size_t n) nogil


# Clearing would drop the owner of the buffer without giving it back: the collector has others in a circle to clear.
@cython.no_gc_clear
@cython.final
cdef class Span:
    """Octets [start, end) of base. Raises ValueError if they are not in it. Read only; may be shared."""

    cdef Py_buffer _view
    cdef const unsigned char* _at
    cdef Py_ssize_t _len
    cdef object _base
    cdef Py_hash_t _hash
    cdef bint _held

    def __cinit__(self, base, Py_ssize_t start, Py_ssize_t end):
        cdef Span other
        self._held = False
        self._hash = -1
        if isinstance(base, Span):
            other = <Span>base
            if not 0 <= start <= end <= other._len:
                raise ValueError("a span ends outside of its octets")
            start += other._at - <const unsigned char*>other._view.buf
            end += other._at - <const unsigned char*>other._view.buf
            base = other._base
        PyObject_GetBuffer(base, &self._view, PyBUF_SIMPLE)
        self._held = True
        if not 0 <= start <= end <= self._view.len:
            raise ValueError("a span ends outside of its octets")
        self._base = base
        self._at = <const unsigned char*>self._view.buf + start
        self._len = end - start

    def __dealloc__(self):
        if self._held:
            PyBuffer_Release(&self._view)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, <void*>self._at, self._len, 1, flags)

    def __len__(self):
        return self._len

    def __bytes__(self):
        return PyBytes_FromStringAndSize(<const char*>self._at, self._len)

    def __eq__(self, other):
        """Whether other has the same octets; not for what is no buffer."""
        if not isinstance(other, (bytes, Span, memoryview)):
            return NotImplemented
        return memoryview(self) == other

    def __hash__(self):
        """That of the same bytes. Views of it ask for it, so it is found out once."""
        if self._hash == -1:
            self._hash = _Py_HashBytes(self._at, self._len)
        return self._hash

    def __contains__(self, bytes sub not None):
        return self.find(sub) >= 0

    def __getitem__(self, key):
        cdef Py_ssize_t start, stop
        if not isinstance(key, slice):
            start = key
            if start < 0:
                start += self._len
            if not 0 <= start < self._len:
                raise IndexError("index out of range")
            return self._at[start]
        if key.step is not None and key.step != 1:
            return bytes(memoryview(self)[key])
        start = self._place(0 if key.start is None else key.start)
        stop = self._place(self._len if key.stop is None else key.stop)
        return PyBytes_FromStringAndSize(<const char*>self._at + start, max(0, stop - start))

    cdef Py_ssize_t _place(self, Py_ssize_t at) noexcept:
        """As slices of bytes take it."""
        if at < 0:
            at += self._len
        return min(max(at, 0), self._len)

    def find(self, bytes sub not None, start=None, end=None):
        """As bytes.find; sub has one octet at least."""
        cdef Py_ssize_t first = 0 if start is None else self._place(start)
        cdef Py_ssize_t last = self._len if end is None else self._place(end)
        cdef const unsigned char* wanted = <const unsigned char*>PyBytes_AS_STRING(sub)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(sub)
        cdef const unsigned char* found
        if not length:
            raise ValueError("nothing to look for")
        if last - first < length:
            return -1
        if length == 1:
            found = <const unsigned char*>memchr(self._at + first, wanted[0], last - first)
        else:
            found = <const unsigned char*>memmem(self._at + first, last - first, wanted, length)
        return -1 if found == NULL else found - self._at

    def rfind(self, bytes sub not None, start=None, end=None):
        """As bytes.rfind; sub has one octet at least. Cost O(len(sub) * octets) at worst."""
        cdef Py_ssize_t first = 0 if start is None else self._place(start)
        cdef Py_ssize_t last = self._len if end is None else self._place(end)
        cdef const unsigned char* wanted = <const unsigned char*>PyBytes_AS_STRING(sub)
        cdef Py_ssize_t length = PyBytes_GET_SIZE(sub)
        cdef const unsigned char* found
        if not length:
            raise ValueError("nothing to look for")
        last -= length - 1  # behind the last place where it may begin
        while last > first:
            found = <const unsigned char*>memrchr(self._at + first, wanted[0], last - first)
            if found == NULL:
                break
            if memcmp(found, wanted, length) == 0:
                return found - self._at
            last = found - self._at
        return -1

    def startswith(self, prefix, start=None):
        """As bytes.startswith; prefix: bytes, or a tuple of them."""
        cdef Py_ssize_t at = 0 if start is None else self._place(start)
        if isinstance(prefix, tuple):
            return any([self[at : at + len(one)] == one for one in prefix])
        return self[at : at + len(prefix)] == prefix
