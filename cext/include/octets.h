/* Result strings that are written in place and then cut to what was made of them. */
#ifndef MW_OCTETS_H
#define MW_OCTETS_H

#include <Python.h>

static inline PyObject *mw_bytes_new(Py_ssize_t capacity)
{
    return PyBytes_FromStringAndSize(NULL, capacity);
}

static inline uint8_t *mw_bytes_at(PyObject *bytes)
{
    return (uint8_t *)PyBytes_AS_STRING(bytes);
}

/* Takes over the caller's reference; NULL with MemoryError set when the copy that shrinking may need fails. */
static inline PyObject *mw_bytes_cut(PyObject *bytes, size_t len)
{
    if ((size_t)PyBytes_GET_SIZE(bytes) != len)
        _PyBytes_Resize(&bytes, (Py_ssize_t)len);
    return bytes;
}

#endif
