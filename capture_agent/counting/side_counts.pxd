cimport cython
from cpython cimport array

cdef class SideCounts:
    cdef int _width
    cdef array.array _counts

    cpdef bint add(self, int side, int which, int number) except -1
