cdef class Frames:
    cdef readonly bytes data
    cdef readonly object index
    cdef readonly Py_ssize_t count
    cdef readonly list interfaces
    cdef readonly unsigned long long first_number
