cimport cython
from cpython cimport array
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcpy

cpdef enum:
    NONE = -1
    WORDS = 7

cdef extern from *:
    """
    static inline unsigned long long in_order_of_host(unsigned long long word) {
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return __builtin_bswap64(word);
    #else
        return word;
    #endif
    }
    """
    unsigned long long in_order_of_host(unsigned long long word) nogil

cdef class Networks:
    cdef readonly Py_ssize_t count
    cdef array.array _table
    cdef array.array _short
    cdef Py_ssize_t _short_count

    cdef int find(self, bytes data, Py_ssize_t at, Py_ssize_t size, int port) except -2
    cdef int _find_short(self, bytes data, Py_ssize_t at, int port) except -2
