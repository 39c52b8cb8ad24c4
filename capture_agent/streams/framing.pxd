cimport cython
from libc.string cimport memchr, memcmp

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

cpdef Py_ssize_t find(bytes data, unsigned char byte, Py_ssize_t start, Py_ssize_t end) noexcept
cpdef int start_line(bytes data, Py_ssize_t start, Py_ssize_t end) except -2
cpdef Py_ssize_t measure(bytes data, Py_ssize_t at, Py_ssize_t end) except -3
cpdef Py_ssize_t after_blank(bytes data, Py_ssize_t at, Py_ssize_t end, int trail) except -2
cpdef int trail_of(bytes data, Py_ssize_t at, Py_ssize_t end, int trail) except -2
cpdef Py_ssize_t find_start(bytes data, Py_ssize_t at, Py_ssize_t end) except -2
cpdef bint is_known(bytes data, Py_ssize_t at) except -1
