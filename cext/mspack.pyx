# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: libraries=mspack
"""What Microsoft's old programs packed, through libmspack: the LZX section of CHM files, and SZDD.

Input and output are in memory. No file is opened and no clock read. A decoder holds 4 MB at most.

KWAJ is left out: a header that is cut makes libmspack free it twice (0.11).
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t

from cext.octets cimport PyObject, mw_bytes_at, mw_bytes_cut, mw_bytes_new


cdef extern from "mspack_memory.h" nogil:
    ctypedef struct mw_file "struct mw_mspack_file":
        size_t at
        int full
    ctypedef struct mw_mspack "struct mw_mspack":
        mw_file output
    enum:
        MSPACK_ERR_OK
    void mw_mspack_init(mw_mspack* memory, const uint8_t* data, size_t data_len, uint8_t* out, size_t room)
    int mw_mspack_section(mw_mspack* memory)
    int mw_mspack_expand(mw_mspack* memory)


def chm_section(data, Py_ssize_t most):
    """(the first octets of the compressed section of a CHM file, at most `most`, whether they are all right).

    Fewer than asked for, and not all right, where it ends or breaks. Content never raises; a negative number does.
    """
    octets, right, _ = _unpacked(data, most, True)
    return octets, right


def expand(data, Py_ssize_t most):
    """(what a file of SZDD unpacks to, at most `most` octets; whether it is whole; whether it is cut)."""
    return _unpacked(data, most, False)


cdef tuple _unpacked(data, Py_ssize_t most, bint section):
    cdef Py_buffer view
    cdef PyObject* out
    cdef mw_mspack memory
    cdef int error
    if most < 0:
        raise ValueError("negative length")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        out = mw_bytes_new(most)
        mw_mspack_init(&memory, <const uint8_t*>view.buf, view.len, mw_bytes_at(out), most)
        with nogil:
            error = mw_mspack_section(&memory) if section else mw_mspack_expand(&memory)
        return mw_bytes_cut(out, memory.output.at), error == MSPACK_ERR_OK, memory.output.full != 0
    finally:
        PyBuffer_Release(&view)
