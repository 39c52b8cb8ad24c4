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
    /* Of data[start:end]; within its caller, because a call costs as much. kinds, names: KIND_TABLE, NAME_TABLE. */
    static inline int kind_within(PyObject *data, Py_ssize_t start, Py_ssize_t end, const char *kinds, const char *names) {
        Py_ssize_t length = end - start;
        const char *text = PyBytes_AS_STRING(data) + start;
        int kind;
        if (start < 0 || end > PyBytes_GET_SIZE(data) || length <= 2 || length >= 16)
            return 0;
        kind = kinds[(text[0] & 31) * 16 + length];
        return kind && is_same(text, names + kind * 16, length) ? kind : 0;
    }
    """
    int kind_within(bytes data, Py_ssize_t start, Py_ssize_t end, const char *kinds, const char *names) noexcept

cdef const char *KIND_TABLE
cdef const char *NAME_TABLE

cpdef int kind_of(bytes data, Py_ssize_t start, Py_ssize_t end) noexcept
