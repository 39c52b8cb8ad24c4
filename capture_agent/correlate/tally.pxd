cimport cython

cdef class Tally:
    cdef readonly Py_ssize_t held
    cdef readonly unsigned long long begun
    cdef readonly unsigned long long over
    cdef readonly unsigned long long crowded_out
    cdef readonly unsigned long long evicted
