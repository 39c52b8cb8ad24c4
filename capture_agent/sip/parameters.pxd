cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memchr, memcmp

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *one, const char *other, size_t size)

cpdef Py_ssize_t locate(bytes data, Py_ssize_t start, Py_ssize_t end, bytes name, bint first_value_only=*) except -2
cpdef Py_ssize_t value_end(bytes data, Py_ssize_t i, Py_ssize_t end) except -2
cpdef object parameter(bytes value, bytes name, bint first_value_only=*)
cpdef Py_ssize_t tag_at(bytes data, Py_ssize_t start, Py_ssize_t end) except -2
cpdef Py_ssize_t branch_at(bytes data, Py_ssize_t start, Py_ssize_t end) except -2
