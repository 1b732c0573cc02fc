# cython: boundscheck=False, wraparound=False, initializedcheck=False, language_level=3
# distutils: include_dirs=cext/include
# distutils: extra_compile_args=-O3
"""Object data of RTF documents: what \\objdata and \\datastore hold, decoded from hexadecimal (RTF 1.9.1)."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memset


cdef extern from "rtf.h":
    ctypedef struct mw_rtf_blob:
        size_t off
        size_t start "from"
        size_t len
    ctypedef struct mw_rtf:
        uint8_t* out
        size_t len
        size_t room
        mw_rtf_blob* blobs
        size_t count
        size_t most
        int over
        int unclear
        int failed
    enum:
        MW_RTF_GROUPS
        MW_RTF_FLAT
        MW_RTF_ESCAPES
        MW_RTF_NO_BIN
    void mw_rtf_read(mw_rtf* state, const uint8_t* p, size_t n, int reading) nogil


GROUPS = MW_RTF_GROUPS
FLAT = MW_RTF_FLAT
ESCAPES = MW_RTF_ESCAPES
NO_BIN = MW_RTF_NO_BIN


def objects(data, int reading, Py_ssize_t room, Py_ssize_t most):
    """([(offset of the control word, octets)], whether they were cut, whether other readings may give other octets).

    data: any contiguous buffer, the whole document. reading: 0 as Word reads it, else GROUPS, FLAT, ESCAPES, NO_BIN or
    several of them together. room: octets of all objects together; most: objects. Never raises on content; MemoryError,
    and ValueError for negative limits. O(len(data)); memory is twice the octets found at most.
    """
    cdef Py_buffer view
    cdef mw_rtf state
    if room < 0 or most < 0:
        raise ValueError("negative limit")
    memset(&state, 0, sizeof(state))
    state.room = room
    state.most = most
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            mw_rtf_read(&state, <const uint8_t*>view.buf, view.len, reading)
        if state.failed:
            raise MemoryError
        found = [
            (state.blobs[i].off, state.out[state.blobs[i].start : state.blobs[i].start + state.blobs[i].len])
            for i in range(state.count)
        ]
    finally:
        PyBuffer_Release(&view)
        free(state.out)
        free(state.blobs)
    return found, state.over != 0, state.unclear != 0
