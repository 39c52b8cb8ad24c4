cimport cython
from cpython cimport array

cdef class Durations:
    cdef readonly tuple bounds
    cdef array.array _bounds_ns
    cdef array.array _counts
    cdef Py_ssize_t _width
    cdef int _keys

    cpdef bint observe(self, int key, long long duration_ns) except -1
