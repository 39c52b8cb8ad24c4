cimport cython
from capture_agent.records cimport Datagram

cdef class Piece:
    cdef readonly long long offset
    cdef readonly long long end
    cdef readonly Datagram segment
    cdef public int unit

cdef class Pieces:
    cdef readonly bytes addresses
    cdef public list parts
    cdef public Py_ssize_t size

    cpdef Py_ssize_t insert(
        self, Datagram segment, Py_ssize_t start, Py_ssize_t end, long long offset, bint counted
    ) except -1
    cdef Py_ssize_t _behind(self, long long offset) except -1
    cdef Piece _piece(self, Datagram segment, Py_ssize_t start, Py_ssize_t end, long long offset, bint first)
