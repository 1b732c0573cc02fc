# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
# distutils: libraries=pcre2-8
"""The matcher: a compiled definitions image, verified once, then run over octets.

The image's layout is in include/image.h, the tiers in include/match*.h. This file checks arguments, takes buffers,
releases the GIL and turns findings into names; it decides nothing.
"""

import hashlib
import re

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc

cdef extern from *:
    int __builtin_ctzll(unsigned long long) nogil


cdef extern from "image.h" nogil:
    enum:
        MW_IMAGE_OK
        MW_NOT_AN_IMAGE
        MW_WRONG_VERSION
        MW_DAMAGED_IMAGE
    ctypedef struct mw_string:
        uint32_t off
        uint32_t len
    ctypedef struct mw_signature:
        mw_string name
    ctypedef struct mw_annex:
        mw_string name
        uint64_t offset
        uint64_t length
    ctypedef struct mw_digest_size:
        uint64_t size
        uint32_t kinds
    ctypedef struct mw_image_header:
        uint8_t revision[16]
    ctypedef struct mw_image:
        const uint8_t *base
        const mw_string *targets
        const mw_signature *signatures
        const mw_digest_size *digest_sizes
        const mw_annex *annexes
        const uint8_t *section[1]
        size_t target_count
        size_t signature_count
        size_t pattern_count
        size_t digest_size_count
        size_t condition_count
        size_t annex_count
        size_t section_size_count
        size_t import_size_count
        int asks_versions
        size_t regex_count
        void **regexes
        int trusts
    int mw_image_open(mw_image *m, const uint8_t *base, size_t length)
    void mw_crc32c_init()
    int MW_SECTION_STRINGS
    int MW_AROUND
    int MW_SECTION_ANNEX_OCTETS
    int MW_DIGEST_MD5
    int MW_DIGEST_SHA1
    int MW_DIGEST_SHA256

cdef extern from "match.h" nogil:
    uint32_t MW_NO_TARGET
    ctypedef struct mw_scan:
        const mw_image *image
        uint32_t around[16]
        int done
        int trusted
        int failed
        int slow
        uint64_t size
        size_t found
        uint64_t *reported
    int mw_scan_open(mw_scan *s, const mw_image *image, uint32_t target, uint32_t families, int first)
    void mw_scan_close(mw_scan *s)

cdef extern from "match_name.h" nogil:
    void mw_match_name(mw_scan *s, const uint8_t *p, size_t n)

cdef extern from "match_digest.h" nogil:
    uint32_t mw_digest_kinds(const mw_image *m, uint64_t size)
    void mw_match_digest(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size)
    uint32_t mw_section_kinds(const mw_image *m, uint64_t size)
    void mw_match_section(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size)
    uint32_t mw_import_kinds(const mw_image *m, uint64_t size)
    void mw_match_imports(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size)

cdef extern from "match_filter.h" nogil:
    int mw_filter_best_level()

cdef extern from "match_executable.h" nogil:
    ctypedef struct mw_program_section:
        uint64_t address
        uint64_t offset
        uint64_t length
    ctypedef struct mw_program:
        int format
        uint64_t entry
        uint32_t count
        mw_program_section section[256]
        uint32_t versions
        uint64_t version[128]
    int MW_PE
    void mw_program_read(mw_program *x, const uint8_t *p, size_t n, int versions)

cdef extern from "match_imports.h" nogil:
    ctypedef struct mw_imports:
        uint8_t *out
        size_t len
    int MW_IMPORTS_LEN
    void mw_imports_read(mw_imports *t, const mw_program *x, const uint8_t *p, size_t n)

cdef extern from "match_condition.h" nogil:
    void mw_conditions_run(mw_scan *s, const mw_program *x, const uint8_t *p, size_t n)

cdef extern from "match_regex.h" nogil:
    ctypedef struct pcre2_code:
        pass
    pcre2_code *mw_regex_compile(const uint8_t *text, size_t len, uint32_t flags, int *error, size_t *at)
    void mw_regex_message(int error, char *text, size_t room)
    void mw_regexes_free(mw_image *m)
    void pcre2_code_free(pcre2_code *code)

cdef extern from "match_stream.h" nogil:
    ctypedef struct mw_stream:
        mw_scan scan
    void mw_scan_all(mw_scan *s, const uint8_t *p, size_t n, int level)
    int mw_stream_open(mw_stream *t, const mw_image *image, uint32_t target, uint32_t families, int level)
    void mw_stream_close(mw_stream *t)
    void mw_stream_feed(mw_stream *t, const uint8_t *p, size_t n)
    void mw_stream_flush(mw_stream *t)


class ImageError(ValueError):
    """The octets cannot be used as a definitions image."""


class NotAnImage(ImageError):
    """The octets do not begin as an image does."""


class WrongVersion(ImageError):
    """An image of a layout, or with sections, that this matcher does not read."""


class DamagedImage(ImageError):
    """Length, checksum or an offset is wrong."""


LEVELS = ("scalar", "avx2", "avx512")
NAME_LEN = 4096  # characters of a declared file name that are looked at, from its end
_FAMILIES = {"malware": 1, "spam": 2, "any": 3}
_DIGESTS = ((MW_DIGEST_MD5, "md5"), (MW_DIGEST_SHA1, "sha1"), (MW_DIGEST_SHA256, "sha256"))
_ERRORS = {
    MW_NOT_AN_IMAGE: (NotAnImage, "not a definitions image"),
    MW_WRONG_VERSION: (WrongVersion, "definitions image of another layout version"),
    MW_DAMAGED_IMAGE: (DamagedImage, "definitions image is damaged"),
}
# Controls, and marks that no reader sees: they split an extension without changing what the user is shown.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
_AROUND_DOT = re.compile(r"\s*\.\s*")


mw_crc32c_init()
for _, _name in _DIGESTS:  # the library behind them opens files at first use, which a scanner's sandbox forbids
    hashlib.new(_name, b"", usedforsecurity=False).digest()


def dispatch() -> str:
    """The instruction set that the filter uses on this machine."""
    return LEVELS[mw_filter_best_level()]


def fold_name(str name) -> str:
    """A file name as suffixes and globs see it: what a user's system would make of it, in folded case.

    Unseen characters go, white space around dots goes, trailing dots and white space go (Windows drops them).
    """
    name = _UNSEEN.sub("", name[-NAME_LEN:]).casefold()
    return _AROUND_DOT.sub(".", name).rstrip(". \t\xa0\u3000")


REGEX_FLAGS = {"i": 1, "s": 2, "m": 4, "x": 8, "A": 16, "E": 32, "U": 64, "g": 128}


def regex_error(bytes text not None, int flags):
    """What is wrong with a regular expression (PCRE2, of octets), and at which octet; None if nothing is.

    flags: of REGEX_FLAGS, combined.
    """
    cdef int error
    cdef size_t at
    cdef char message[256]
    cdef pcre2_code *code = mw_regex_compile(<const uint8_t *><char *>text, len(text), flags, &error, &at)
    if code:
        pcre2_code_free(code)
        return None
    if not error:
        raise MemoryError
    mw_regex_message(error, message, sizeof(message))
    return message.decode("ascii", "replace"), at


cdef int _level(level) except -1:
    if level is None:
        return mw_filter_best_level()
    if level not in LEVELS:
        raise ValueError(f"unknown level {level!r}")
    cdef int index = LEVELS.index(level)
    if index > mw_filter_best_level():
        raise ValueError(f"this machine has no {level}")
    return index


cdef uint32_t _families(family) except 0:
    try:
        return _FAMILIES[family]
    except KeyError:
        raise ValueError(f"unknown family {family!r}") from None


cdef bytes _imports_of(const mw_program *program, const uint8_t *p, size_t n):
    cdef mw_imports found
    found.out = <uint8_t *>malloc(MW_IMPORTS_LEN)
    if not found.out:
        raise MemoryError
    try:
        with nogil:
            mw_imports_read(&found, program, p, n)
        return found.out[:found.len]
    finally:
        free(found.out)


def program_of(const uint8_t[::1] data not None):
    """What signatures may ask of a program, for authors: (format, entry, sections, versions, imports).

    format: "pe", "elf" or "macho"; None instead of all if it is no program. entry: offset in the file, None if outside.
    sections: (address, offset, length) each; versions: offsets of the names of version information; imports: as their
    digest sees them, empty if there are none.
    """
    cdef mw_program x
    if not data.shape[0]:
        return None
    with nogil:
        mw_program_read(&x, &data[0], data.shape[0], True)
    if not x.format:
        return None
    sections = tuple((x.section[i].address, x.section[i].offset, x.section[i].length) for i in range(x.count))
    entry = None if x.entry == <uint64_t>-1 else x.entry
    versions = tuple(x.version[i] for i in range(x.versions))
    return ("pe", "elf", "macho")[x.format - 1], entry, sections, versions, _imports_of(&x, &data[0], data.shape[0])


# Clearing would drop the owner of the buffer without giving it back: the collector has others in a circle to clear.
@cython.no_gc_clear
cdef class Image:
    """A verified, immutable definitions image. Many threads may scan with one at the same time.

    buffer: C-contiguous octets, kept (not copied, unless not aligned to 8) for the life of the object; nobody may
    change them. level: forces an instruction set, one of LEVELS.
    Raises NotAnImage, WrongVersion, DamagedImage (all ValueError) and nothing else for whatever octets.
    """

    cdef mw_image m
    cdef Py_buffer _view
    cdef bint _held
    cdef int _level
    cdef readonly str revision
    cdef dict _targets
    cdef uint32_t _all_digests
    cdef uint64_t _longest_digested

    def __cinit__(self, buffer, *, level=None):
        cdef int status
        self._level = _level(level)
        PyObject_GetBuffer(buffer, &self._view, PyBUF_SIMPLE)
        self._held = True
        if <uintptr_t>self._view.buf % 8:
            PyBuffer_Release(&self._view)
            self._held = False
            PyObject_GetBuffer(bytes(buffer), &self._view, PyBUF_SIMPLE)
            self._held = True
        with nogil:
            status = mw_image_open(&self.m, <const uint8_t *>self._view.buf, self._view.len)
        if status < 0:
            raise MemoryError
        if status != MW_IMAGE_OK:
            kind, text = _ERRORS[status]
            raise kind(text)
        if self.m.regex_count:
            self.m.regexes = <void **>calloc(self.m.regex_count, sizeof(void *))
            if not self.m.regexes:
                raise MemoryError
        revision = (<mw_image_header *>self.m.base).revision
        self.revision = bytes(revision[:16]).rstrip(b"\0").decode("ascii", "replace")
        self._targets = {self._string(self.m.targets[i]): i for i in range(self.m.target_count)}
        for i in range(self.m.digest_size_count):
            self._all_digests |= self.m.digest_sizes[i].kinds
            self._longest_digested = self.m.digest_sizes[i].size

    def __dealloc__(self):
        mw_regexes_free(&self.m)
        if self._held:
            PyBuffer_Release(&self._view)

    cdef str _string(self, mw_string s):
        cdef const uint8_t *p = self.m.section[MW_SECTION_STRINGS]
        return p[s.off:s.off + s.len].decode("utf-8", "replace") if s.len else ""

    cdef uint32_t _target(self, str target):
        return self._targets.get(target, MW_NO_TARGET)

    cdef tuple _names(self, mw_scan *s):
        cdef size_t word, left = s.found
        cdef list names = []
        cdef uint64_t bits
        for word in range(self.m.signature_count // 64 + 1):
            if not left:
                break
            bits = s.reported[word]
            while bits:
                names.append(self._string(self.m.signatures[word * 64 + __builtin_ctzll(bits)].name))
                bits &= bits - 1
                left -= 1
        return tuple(names)

    @property
    def signatures(self) -> int:
        """Number of signatures."""
        return self.m.signature_count

    @property
    def targets(self) -> tuple:
        """Types that signatures ask for, "any" first."""
        return tuple(self._targets)

    @property
    def annexes(self) -> tuple:
        """Names of the annexes: octets that travel with the signatures and mean nothing to the matcher."""
        return tuple(self._string(self.m.annexes[i].name) for i in range(self.m.annex_count))

    def annex(self, str name):
        """A view of the octets of an annex, not a copy; None if there is none of this name."""
        cdef size_t i, start
        for i in range(self.m.annex_count):
            if self._string(self.m.annexes[i].name) == name:
                start = self.m.section[MW_SECTION_ANNEX_OCTETS] - self.m.base + self.m.annexes[i].offset
                return memoryview(<object>self._view.obj).cast("B")[start:start + self.m.annexes[i].length].toreadonly()
        return None

    @property
    def level(self) -> str:
        """The instruction set in use."""
        return LEVELS[self._level]

    def scan(self, data, str target="any", bint first=False, str family="malware", str container="") -> tuple:
        """Names of the signatures that content matches, in the image's order, each once.

        data: C-contiguous octets, may be empty; the whole content of one file or part.
        target: type of the content; signatures for another type are not reported. "any": the type is not known, so
        only signatures for any type are. first: stop at the first match and return at most that.
        family: "malware", "spam", or "any". container: types of what the content was taken out of, outermost first,
        joined by ">"; empty: of nothing.
        O(len(data)) whatever the octets; digests are computed only if a signature asks for one at this size. Regular
        expressions are bounded by processor time instead, and TimeoutError is raised when they take too long; nothing
        else is raised on content. The GIL is released.
        """
        cdef Py_buffer view
        cdef mw_scan s
        cdef mw_program program
        cdef uint32_t kinds, wanted = _families(family)
        if not mw_scan_open(&s, &self.m, self._target(target), wanted, first):
            raise MemoryError
        try:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
            try:
                s.size = view.len
                for at, name in enumerate(container.split(">")[:-MW_AROUND - 1:-1] if container else ()):
                    s.around[at] = self._target(name)
                kinds = mw_digest_kinds(&self.m, view.len)
                if self.m.trusts:
                    self._digest(&s, data, kinds, view.len)
                    if s.trusted:
                        return ()
                with nogil:
                    mw_scan_all(&s, <const uint8_t *>view.buf, view.len, self._level)
                    program.format = 0
                    if (self.m.condition_count or self.m.section_size_count or self.m.import_size_count) and not s.done:
                        mw_program_read(&program, <const uint8_t *>view.buf, view.len, self.m.asks_versions)
                        mw_conditions_run(&s, &program, <const uint8_t *>view.buf, view.len)
                if s.failed:
                    raise MemoryError
                if s.slow:
                    raise TimeoutError("regular expressions of the definitions took too long on it")
                if not self.m.trusts and not s.done:
                    self._digest(&s, data, kinds, view.len)
                if program.format == MW_PE and not s.done:
                    if self.m.section_size_count:
                        self._sections(&s, data, &program)
                    if self.m.import_size_count:
                        self._imports(&s, &program, <const uint8_t *>view.buf, view.len)
            finally:
                PyBuffer_Release(&view)
            return self._names(&s)
        finally:
            mw_scan_close(&s)

    def trusts(self, data) -> bool:
        """Whether the digest of data is one of known good content: then nothing is reported of it."""
        cdef mw_scan s
        if not self.m.trusts:
            return False
        if not mw_scan_open(&s, &self.m, MW_NO_TARGET, 0, False):
            raise MemoryError
        try:
            size = memoryview(data).nbytes
            self._digest(&s, data, mw_digest_kinds(&self.m, size), size)
            return s.trusted != 0
        finally:
            mw_scan_close(&s)

    cdef _digest(self, mw_scan *s, data, uint32_t kinds, uint64_t size):
        for kind, name in _DIGESTS:
            if kinds & kind and not s.done:
                _check_digest(s, kind, hashlib.new(name, data, usedforsecurity=False).digest(), size)

    cdef _sections(self, mw_scan *s, data, mw_program *program):
        """Digests of the sections of a PE file, of those whose size some signature asks for."""
        cdef uint32_t kinds, i
        cdef uint64_t start, size
        cdef bytes digest
        octets = memoryview(data).cast("B")
        for i in range(program.count):
            start, size = program.section[i].offset, program.section[i].length
            kinds = mw_section_kinds(&self.m, size) if size else 0
            for kind, name in _DIGESTS:
                if kinds & kind and not s.done:
                    digest = hashlib.new(name, octets[start:start + size], usedforsecurity=False).digest()
                    mw_match_section(s, kind, digest, len(digest), size)

    cdef _imports(self, mw_scan *s, mw_program *program, const uint8_t *p, size_t n):
        """Digests of what a PE file imports, if some signature asks for one of this length."""
        cdef bytes imports = _imports_of(program, p, n), digest
        cdef uint32_t kinds = mw_import_kinds(&self.m, len(imports)) if imports else 0
        for kind, name in _DIGESTS:
            if kinds & kind and not s.done:
                digest = hashlib.new(name, imports, usedforsecurity=False).digest()
                mw_match_imports(s, kind, digest, len(digest), len(imports))

    def match_name(self, str filename, str family="malware") -> tuple:
        """Names of the signatures whose file name pattern the declared name satisfies, in the image's order.

        filename is folded first (fold_name); of one that holds NUL, what stands before it is tried too, as some
        clients cut there. Never raises on content.
        """
        cdef mw_scan s
        cdef bytes name
        cdef const uint8_t *p
        cdef uint32_t wanted = _families(family)
        if not mw_scan_open(&s, &self.m, 0, wanted, False):
            raise MemoryError
        try:
            for reading in {filename, filename.partition("\0")[0]}:
                name = fold_name(reading).encode("utf-8", "surrogatepass")
                p = name
                mw_match_name(&s, p, len(name))
            return self._names(&s)
        finally:
            mw_scan_close(&s)

    def stream(self, str target="any", *, str family="malware", size=None):
        """A scan that takes its octets in pieces. size: length of the content if known, saves needless digests."""
        return Stream(self, target, family, size)


cdef void _check_digest(mw_scan *s, uint32_t kind, bytes digest, uint64_t size):
    cdef const uint8_t *p = digest
    mw_match_digest(s, kind, p, len(digest), size)


cdef class Stream:
    """One scan in pieces: feed() until the end, then finish(). Owned by one thread.

    Literals and digests only: conditions (wildcards, offsets, several sub-patterns) need the whole content and are left
    to Image.scan. What is found does not depend on how the octets were cut. Memory: at most 72 KB and two bits a pattern.
    """

    cdef mw_stream t
    cdef Image _image
    cdef dict _digests
    cdef uint64_t _size
    cdef bint _ended

    def __cinit__(self, Image image not None, str target="any", str family="malware", size=None):
        cdef uint32_t wanted = _families(family)
        self._image = image
        if not mw_stream_open(&self.t, &image.m, image._target(target), wanted, image._level):
            raise MemoryError
        cdef uint32_t kinds = image._all_digests if size is None else mw_digest_kinds(&image.m, size)
        self._digests = {kind: hashlib.new(name, usedforsecurity=False) for kind, name in _DIGESTS if kinds & kind}

    def __dealloc__(self):
        mw_stream_close(&self.t)

    def feed(self, chunk) -> None:
        """Take the next octets; any length, also none. Raises RuntimeError after finish()."""
        cdef Py_buffer view
        if self._ended:
            raise RuntimeError("feed() after finish()")
        PyObject_GetBuffer(chunk, &view, PyBUF_SIMPLE)
        try:
            self._size += view.len
            with nogil:
                mw_stream_feed(&self.t, <const uint8_t *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)
        if self._size > self._image._longest_digested:
            self._digests.clear()  # longer than any content that a digest is known of
        for digest in self._digests.values():
            digest.update(chunk)

    def finish(self) -> tuple:
        """Names of all signatures that matched, in the image's order. May be called again."""
        if not self._ended:
            self._ended = True
            with nogil:
                mw_stream_flush(&self.t)
            for kind, digest in self._digests.items():
                _check_digest(&self.t.scan, kind, digest.digest(), self._size)
        if self.t.scan.trusted:
            return ()
        return self._image._names(&self.t.scan)
