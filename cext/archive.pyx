# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: libraries=archive
"""Members of an archive in memory, through libarchive: headers in order, contents in pieces of a bounded length.

One format is asked for by name, and only such as libarchive reads by itself: formats and filters for which it would
start a program are refused (ValueError), and so is one that this build of it lacks. No file is opened, no clock read.

xar is left out, since hard links that name each other keep its reader busy for ever, and lha, since it gives up at names
that it cannot convert (libarchive 3.6.2).

Of a name that it cannot convert it asks errno whether memory ran out, and then ends the process (3.6.2): what an earlier
call left there is cleared before.

Known gaps: how much memory a decoder takes is libarchive's to say (a 7z dictionary is allocated as its header asks):
who calls has to look at such headers first.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc cimport errno
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy, memset

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new


cdef extern from "archive.h":
    ctypedef struct c_archive "struct archive":
        pass
    ctypedef struct c_entry "struct archive_entry":
        pass
    enum:
        ARCHIVE_EOF
        ARCHIVE_OK
        ARCHIVE_RETRY
        ARCHIVE_WARN
        ARCHIVE_FAILED
        ARCHIVE_FATAL
    c_archive* archive_read_new()
    int archive_read_free(c_archive*)
    int archive_read_support_format_7zip(c_archive*)
    int archive_read_support_format_ar(c_archive*)
    int archive_read_support_format_cab(c_archive*)
    int archive_read_support_format_cpio(c_archive*)
    int archive_read_support_format_iso9660(c_archive*)
    int archive_read_support_format_rar(c_archive*)
    int archive_read_support_format_rar5(c_archive*)
    int archive_read_support_format_raw(c_archive*)
    int archive_read_support_filter_bzip2(c_archive*)
    int archive_read_support_filter_compress(c_archive*)
    int archive_read_support_filter_gzip(c_archive*)
    int archive_read_support_filter_lz4(c_archive*)
    int archive_read_support_filter_lzma(c_archive*)
    int archive_read_support_filter_rpm(c_archive*)
    int archive_read_support_filter_xz(c_archive*)
    int archive_read_support_filter_zstd(c_archive*)
    int archive_filter_count(c_archive*)
    int archive_read_set_options(c_archive*, const char*)
    int archive_read_open_memory2(c_archive*, const void*, size_t, size_t)
    int archive_read_next_header(c_archive*, c_entry**) nogil
    int archive_read_data_block(c_archive*, const void**, size_t*, int64_t*) nogil
    int archive_read_has_encrypted_entries(c_archive*)
    int64_t archive_filter_bytes(c_archive*, int)
    const char* archive_error_string(c_archive*)
    const char* archive_version_details()


cdef extern from "archive_entry.h":
    enum:
        AE_IFREG
    const char* archive_entry_pathname(c_entry*)
    const char* archive_entry_pathname_utf8(c_entry*)
    const char* archive_entry_hardlink(c_entry*)
    int archive_entry_filetype(c_entry*)
    int64_t archive_entry_size(c_entry*)
    int archive_entry_size_is_set(c_entry*)
    int archive_entry_is_data_encrypted(c_entry*)
    int archive_entry_is_metadata_encrypted(c_entry*)


cdef extern from *:
    """
    typedef int (*mw_support)(struct archive *);
    """
    ctypedef int (*mw_support)(c_archive*)


cdef enum:
    BLOCK_LEN = 1 << 16  # what libarchive is given at once
    IDLE_BLOCKS = 10_000  # empty blocks in a row: the decoder does not get on


OK = ARCHIVE_OK
END = ARCHIVE_EOF
WARN = ARCHIVE_WARN
FAILED = ARCHIVE_FAILED
FATAL = ARCHIVE_FATAL
VERSION = archive_version_details().decode()


cdef mw_support _format(str name):
    if name == "7z":
        return archive_read_support_format_7zip
    if name == "ar":
        return archive_read_support_format_ar
    if name == "cab":
        return archive_read_support_format_cab
    if name == "cpio":
        return archive_read_support_format_cpio
    if name == "iso":
        return archive_read_support_format_iso9660
    if name == "rar":
        return archive_read_support_format_rar
    if name == "rar5":
        return archive_read_support_format_rar5
    if name == "raw":
        return archive_read_support_format_raw
    return NULL


cdef mw_support _filter(str name):
    if name == "bzip2":
        return archive_read_support_filter_bzip2
    if name == "compress":
        return archive_read_support_filter_compress
    if name == "gzip":
        return archive_read_support_filter_gzip
    if name == "lz4":
        return archive_read_support_filter_lz4
    if name == "lzma":
        return archive_read_support_filter_lzma
    if name == "rpm":
        return archive_read_support_filter_rpm
    if name == "xz":
        return archive_read_support_filter_xz
    if name == "zstd":
        return archive_read_support_filter_zstd
    return NULL


# Clearing would drop the owner of the buffer without giving it back: the collector has others in a circle to clear.
@cython.no_gc_clear
@cython.final
cdef class Reader:
    """Reads data[start:], any contiguous buffer, which stays in use until the reader is gone.

    form: "7z", "ar", "cab", "cpio", "iso", "rar", "rar5", or "raw" for what lies under filters alone.
    filters: of "bzip2", "compress", "gzip", "lz4", "lzma", "rpm", "xz", "zstd". options: of libarchive, such as
    "iso9660:!joliet". Raises ValueError for others, and for a start outside of data. Content never raises.

    next() makes the next member the current one; read() gives its octets. After either, status says how it went: OK,
    WARN (the member is there, something about it was odd), FAILED (this member cannot be had), FATAL (neither can what
    follows) or END; error is libarchive's word on it. One caller at a time.
    """

    cdef Py_buffer _view
    cdef c_archive* _archive
    cdef c_entry* _entry
    cdef const uint8_t* _block  # of the current member, not yet handed out: valid until the next call of libarchive
    cdef size_t _block_len
    cdef int64_t _gap  # zeros before the block: a hole of a sparse file
    cdef int64_t _have  # octets of the member handed out
    cdef int _closed  # how the current member ended, 0 if it goes on
    cdef readonly int status

    def __cinit__(self, data, str form, *, Py_ssize_t start=0, tuple filters=(), str options=""):
        cdef mw_support support
        self._archive = NULL
        self._entry = NULL
        self._block = NULL
        self._block_len = 0
        self._closed = 0
        self.status = ARCHIVE_OK
        PyObject_GetBuffer(data, &self._view, PyBUF_SIMPLE)
        if not 0 <= start <= self._view.len:
            raise ValueError("start outside of data")
        self._archive = archive_read_new()
        if self._archive == NULL:
            raise MemoryError
        support = _format(form)
        if support == NULL or support(self._archive) != ARCHIVE_OK:
            raise ValueError(f"libarchive does not read {form} by itself")
        for name in filters:
            support = _filter(name)
            if support == NULL or support(self._archive) != ARCHIVE_OK:
                raise ValueError(f"libarchive does not read {name} by itself")
        if options and archive_read_set_options(self._archive, options.encode()) != ARCHIVE_OK:
            raise ValueError(f"libarchive does not know {options}")
        self.status = archive_read_open_memory2(
            self._archive, <const uint8_t*>self._view.buf + start, self._view.len - start, BLOCK_LEN
        )
        if self.status < ARCHIVE_WARN:
            self.status = ARCHIVE_FATAL

    def __dealloc__(self):
        if self._archive != NULL:
            archive_read_free(self._archive)
        PyBuffer_Release(&self._view)

    def next(self):
        """Go to the next member. Returns status; there is a member if that is OK or WARN."""
        cdef int result
        if self.status == ARCHIVE_FATAL or (self.status == ARCHIVE_EOF and self._entry == NULL):
            return self.status
        self._entry = NULL
        self._block_len = 0
        self._gap = 0
        self._have = 0
        self._closed = 0
        with nogil:
            errno.errno = 0
            result = archive_read_next_header(self._archive, &self._entry)
            if result == ARCHIVE_RETRY:
                errno.errno = 0
                result = archive_read_next_header(self._archive, &self._entry)
        self.status = ARCHIVE_FAILED if result == ARCHIVE_RETRY else result
        if result != ARCHIVE_OK and result != ARCHIVE_WARN:
            self._entry = NULL
        return self.status

    def read(self, Py_ssize_t most):
        """The next octets of the current member: at most `most`, fewer only if status is not OK afterwards.

        status END: the member is complete. Holes of sparse files are zeros. Raises ValueError without a member.
        O(most) but for what a decoder must do before its first octet.
        """
        cdef PyObject* out
        cdef uint8_t* at
        cdef size_t left
        if self._entry == NULL or most < 0:
            raise ValueError("no current member, or a negative length")
        out = mw_bytes_new(most)
        at = mw_bytes_at(out)
        self.status = ARCHIVE_OK
        with nogil:
            left = self._fill(at, most)
        if self._closed != 0 and self._gap == 0:
            self.status = self._closed
        return mw_bytes_cut(out, most - left)

    cdef size_t _fill(self, uint8_t* at, size_t room) noexcept nogil:
        """Write up to room octets; returns the room that is left. Each turn writes, ends, or is counted as idle."""
        cdef size_t n
        cdef int result, idle = 0
        cdef int64_t offset
        cdef const void* block
        while room != 0:
            if self._gap > 0:
                n = room if <int64_t>room < self._gap else <size_t>self._gap
                memset(at, 0, n)
                self._gap -= n
            elif self._block_len != 0:
                n = room if room < self._block_len else self._block_len
                memcpy(at, self._block, n)
                self._block += n
                self._block_len -= n
            elif self._closed != 0:
                break
            else:
                block = NULL
                n = 0
                offset = 0
                result = archive_read_data_block(self._archive, &block, &n, &offset)
                if result < ARCHIVE_WARN:
                    self._closed = result
                elif result == ARCHIVE_EOF:
                    self._closed = ARCHIVE_EOF
                    self._gap = offset - self._have if offset > self._have else 0  # a hole at the end
                elif n != 0 and block != NULL and result != ARCHIVE_RETRY:
                    self._block = <const uint8_t*>block
                    self._block_len = n
                    self._gap = offset - self._have if offset > self._have else 0
                    idle = 0
                else:
                    idle += 1
                    if idle > IDLE_BLOCKS:
                        self._closed = ARCHIVE_FATAL
                continue
            at += n
            room -= n
            self._have += n
        return room

    cdef bytes _text(self, const char* text):
        return b"" if text == NULL else text

    @property
    def error(self):
        """What libarchive says about the last status that was not OK."""
        return self._text(archive_error_string(self._archive)).decode("utf-8", "replace")

    @property
    def name(self):
        """Path of the current member: UTF-8 if libarchive can make it so, else the octets that are stored."""
        if self._entry == NULL:
            raise ValueError("no current member")
        errno.errno = 0
        name = self._text(archive_entry_pathname_utf8(self._entry))
        if not name:
            errno.errno = 0
            name = self._text(archive_entry_pathname(self._entry))
        return name

    @property
    def size(self):
        """Octets that the current member declares, -1 if it does not say."""
        if self._entry == NULL:
            raise ValueError("no current member")
        return archive_entry_size(self._entry) if archive_entry_size_is_set(self._entry) else -1

    @property
    def file(self):
        """Whether the current member may have octets of its own: no directory, link or device."""
        if self._entry == NULL:
            raise ValueError("no current member")
        return archive_entry_filetype(self._entry) in (0, AE_IFREG)

    @property
    def hard_link(self):
        """Whether the current member is another name of an earlier one; some formats give the octets here all the same."""
        if self._entry == NULL:
            raise ValueError("no current member")
        errno.errno = 0
        return archive_entry_hardlink(self._entry) != NULL

    @property
    def encrypted(self):
        """Whether the current member's content or header is encrypted."""
        if self._entry == NULL:
            raise ValueError("no current member")
        return bool(archive_entry_is_data_encrypted(self._entry) or archive_entry_is_metadata_encrypted(self._entry))

    @property
    def any_encrypted(self):
        """Whether anything encrypted was met so far."""
        return archive_read_has_encrypted_entries(self._archive) > 0

    @property
    def filtered(self):
        """How many filters libarchive found to apply, one upon the other; 0: it reads the octets as they are."""
        return archive_filter_count(self._archive) - 1

    @property
    def used(self):
        """Octets of the input, from start, that were consumed so far; a seeking format goes to and fro."""
        return archive_filter_bytes(self._archive, -1)
