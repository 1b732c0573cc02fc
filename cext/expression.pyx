# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
# distutils: libraries=pcre2-8
"""Regular expressions of definitions over short texts: names of files, hosts and links. Bounded, by PCRE2."""

from libc.stdint cimport uint8_t, uint32_t

cdef extern from "expression.h" nogil:
    ctypedef struct pcre2_code:
        pass
    enum:
        MW_EXPRESSION_LEN
    pcre2_code *mw_regex_compile(const uint8_t *text, size_t len, uint32_t flags, int *error, size_t *at)
    void mw_regex_message(int error, char *text, size_t room)
    void pcre2_code_free(pcre2_code *code)
    int mw_expression_search(const pcre2_code *code, const uint8_t *p, size_t n, size_t *start, size_t *end)

LONGEST = MW_EXPRESSION_LEN
_NOCASE, _DOTALL, _DOLLAR_END = 1, 2, 32


cdef class Expression:
    """One expression of octets: a dot is any octet, and a dollar the end only. Immutable, for many threads.

    Raises ValueError, which says what is wrong and where, and nothing else for whatever octets.
    """

    cdef pcre2_code *_code

    def __cinit__(self, bytes text not None, bint nocase=False):
        cdef int error
        cdef size_t at
        cdef char message[256]
        cdef uint32_t flags = _DOTALL | _DOLLAR_END | (_NOCASE if nocase else 0)
        self._code = mw_regex_compile(<const uint8_t *><char *>text, len(text), flags, &error, &at)
        if not self._code:
            if not error:
                raise MemoryError
            mw_regex_message(error, message, sizeof(message))
            raise ValueError(f"{message.decode('ascii', 'replace')} (octet {at})")

    def __dealloc__(self):
        pcre2_code_free(self._code)

    def search(self, bytes text not None):
        """(start, end) of the first occurrence, None if there is none. Of text the first LONGEST octets are seen.

        Raises TimeoutError if that takes more than a bounded number of steps, and MemoryError.
        """
        cdef size_t start = 0, end = 0, n = min(len(text), MW_EXPRESSION_LEN)
        cdef const uint8_t *p = <const uint8_t *><char *>text
        cdef int rc
        with nogil:
            rc = mw_expression_search(self._code, p, n, &start, &end)
        if rc > 0:
            return start, end
        if rc == 0:
            return None
        if rc == -2:
            raise MemoryError
        raise TimeoutError("a regular expression of the definitions took too long")
