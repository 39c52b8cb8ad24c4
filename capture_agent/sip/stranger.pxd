cimport cython

cpdef int stranger(bytes data, Py_ssize_t start, Py_ssize_t end) except -1
