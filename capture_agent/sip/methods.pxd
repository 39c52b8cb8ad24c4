cimport cython
from cpython.bytes cimport PyBytes_AS_STRING

cdef extern from *:
    """
    /* Of texts of 3 bytes or more, at most 16: a call of memcmp costs more. */
    static inline int is_same(const char *one, const char *other, Py_ssize_t length) {
        if (length >= 8)
            return memcmp(one, other, 8) == 0 && memcmp(one + length - 8, other + length - 8, 8) == 0;
        if (length >= 4)
            return memcmp(one, other, 4) == 0 && memcmp(one + length - 4, other + length - 4, 4) == 0;
        return memcmp(one, other, 2) == 0 && one[length - 1] == other[length - 1];
    }
    """
    bint is_same(const char *one, const char *other, Py_ssize_t length) noexcept

cpdef int kind_of(bytes data, Py_ssize_t start, Py_ssize_t end) noexcept
