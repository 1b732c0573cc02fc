# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: libraries=lhasa
"""Members of an LHA archive in memory, through liblhasa: every method of LHarc, LHA, LArc and PMarc.

No file is opened and no clock read. Decoders hold some hundred KiB, whatever a header says.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new


cdef extern from "<liblhasa-1.0/lhasa.h>" nogil:
    ctypedef struct LHAInputStream:
        pass
    ctypedef struct LHAReader:
        pass
    ctypedef struct LHAInputStreamType:
        int (*read)(void* handle, void* buf, size_t buf_len) noexcept nogil
        int (*skip)(void* handle, size_t octets) noexcept nogil
        void (*close)(void* handle) noexcept nogil
    ctypedef struct LHAFileHeader:
        char* path
        char* filename
        char* symlink_target
        char* compress_method
        size_t length
    enum LHAReaderDirPolicy:
        LHA_READER_DIR_PLAIN
    LHAInputStream* lha_input_stream_new(const LHAInputStreamType* kind, void* handle)
    void lha_input_stream_free(LHAInputStream* stream)
    LHAReader* lha_reader_new(LHAInputStream* stream)
    void lha_reader_free(LHAReader* reader)
    void lha_reader_set_dir_policy(LHAReader* reader, LHAReaderDirPolicy policy)
    LHAFileHeader* lha_reader_next_file(LHAReader* reader)
    size_t lha_reader_read(LHAReader* reader, void* buf, size_t buf_len)


cdef struct Memory:
    const uint8_t* data
    size_t len
    size_t at


cdef int _take(void* handle, void* buf, size_t n) noexcept nogil:
    cdef Memory* memory = <Memory*>handle
    if n > memory.len - memory.at:
        n = memory.len - memory.at
    memcpy(buf, memory.data + memory.at, n)
    memory.at += n
    return <int>n


cdef int _skip(void* handle, size_t n) noexcept nogil:
    cdef Memory* memory = <Memory*>handle
    if n > memory.len - memory.at:
        memory.at = memory.len
        return 0
    memory.at += n
    return 1


cdef LHAInputStreamType _MEMORY = LHAInputStreamType(read=_take, skip=_skip, close=NULL)


# Clearing would drop the owner of the buffer without giving it back: the collector has others in a circle to clear.
@cython.no_gc_clear
@cython.final
cdef class Reader:
    """Reads data[start:], any contiguous buffer, which stays in use until the reader is gone.

    next() makes the next member the current one, read() gives its octets. Raises ValueError for a start outside of
    data; content never raises. One caller at a time.
    """

    cdef Py_buffer _view
    cdef Memory _memory
    cdef LHAInputStream* _stream
    cdef LHAReader* _reader
    cdef LHAFileHeader* _header

    def __cinit__(self, data, *, Py_ssize_t start=0):
        PyObject_GetBuffer(data, &self._view, PyBUF_SIMPLE)
        if not 0 <= start <= self._view.len:
            raise ValueError("start outside of data")
        self._memory = Memory(<const uint8_t*>self._view.buf + start, self._view.len - start, 0)
        self._stream = lha_input_stream_new(&_MEMORY, &self._memory)
        if self._stream == NULL:
            raise MemoryError
        self._reader = lha_reader_new(self._stream)
        if self._reader == NULL:
            raise MemoryError
        lha_reader_set_dir_policy(self._reader, LHA_READER_DIR_PLAIN)

    def __dealloc__(self):
        if self._reader != NULL:
            lha_reader_free(self._reader)
        if self._stream != NULL:
            lha_input_stream_free(self._stream)
        PyBuffer_Release(&self._view)

    def next(self):
        """Go to the next member. False: there is none, or nothing that can be read as one."""
        with nogil:
            self._header = lha_reader_next_file(self._reader)
        return self._header != NULL

    def read(self, Py_ssize_t most):
        """The next octets of the current member, at most `most`; fewer at its end, and where its data breaks."""
        cdef PyObject* out
        cdef uint8_t* at
        cdef size_t n, have = 0
        if self._header == NULL or most < 0:
            raise ValueError("no current member, or a negative length")
        out = mw_bytes_new(most)
        at = mw_bytes_at(out)
        with nogil:
            while have < <size_t>most:
                n = lha_reader_read(self._reader, at + have, most - have)
                if n == 0:
                    break
                have += n
        return mw_bytes_cut(out, have)

    @property
    def name(self):
        """Path of the current member as stored, with slashes."""
        if self._header == NULL:
            raise ValueError("no current member")
        path = b"" if self._header.path == NULL else <bytes>self._header.path
        return path + (b"" if self._header.filename == NULL else <bytes>self._header.filename)

    @property
    def method(self):
        """Such as b"-lh5-"; b"-lhd-" for directories and links."""
        if self._header == NULL:
            raise ValueError("no current member")
        return <bytes>self._header.compress_method

    @property
    def size(self):
        """Octets that the current member declares."""
        if self._header == NULL:
            raise ValueError("no current member")
        return self._header.length

    @property
    def used(self):
        """Octets of the input, from start, that were read so far."""
        return self._memory.at
