cimport cython

cdef class Durations:
    cdef readonly tuple bounds
    cdef readonly dict rows
    cdef long long[::1] _bounds_ns
    cdef Py_ssize_t _count

    cpdef bint observe(self, object key, long long duration_ns) except -1
