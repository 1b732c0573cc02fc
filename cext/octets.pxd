# How every kernel's wrapper reads a buffer and makes a result; shared by cimport.
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t


cdef extern from "octets.h":
    PyObject* mw_bytes_new(Py_ssize_t capacity) except NULL
    uint8_t* mw_bytes_at(PyObject* string) nogil
    object mw_bytes_cut(PyObject* string, size_t n)


cdef extern from "cpu.h":
    int mw_has_avx2() nogil
    int mw_has_sse42() nogil
    int mw_vector_level() nogil
    enum:
        MW_SCALAR
        MW_AVX2
        MW_AVX512


# Work on fewer octets than this ends before another thread could make use of the interpreter.
cdef enum:
    RELEASE_LEN = 1 << 18
