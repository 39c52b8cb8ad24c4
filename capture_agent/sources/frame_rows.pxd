cimport cython

@cython.locals(rows="long long[::1]", heads="long long[::1]", merged="long long[::1]")
cpdef Py_ssize_t merge_rows(object index, object pieces, object into) except -1
