cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.outlet cimport Emitter

cdef class Piece:
    cdef readonly long long offset
    cdef readonly long long end
    cdef readonly Datagram segment
    cdef public int unit
    cdef public long long since_ns
    cdef public long long turn
    cdef public bint far

cdef class Pieces:
    cdef readonly Emitter emitter
    cdef public list parts
    cdef public Py_ssize_t size
    cdef public long long now_ns
    cdef public long long turn
    cdef public bint far

    cpdef Py_ssize_t insert(
        self, Datagram segment, Py_ssize_t start, Py_ssize_t end, long long offset, bint counted
    ) except -1
    cpdef Py_ssize_t cost(self) except -1
    cpdef bint is_doubtful(self, Py_ssize_t i) except -1
    cpdef bint covers(self, long long offset) except -1
    cpdef Piece take(self, Py_ssize_t i)
    cdef bint discard(self, Py_ssize_t i) except -1
    cdef bint discard_doubtful(self, long long turn) except -1
    cdef bint reject_all(self) except -1
    cdef bint _reject(self, Piece piece, int reason) except -1
    cdef Py_ssize_t cut_off(self, Py_ssize_t missing, long long offset, Py_ssize_t i) except -1
    cpdef bint ends_at(self, long long offset) except -1
    cdef Py_ssize_t _starting_until(self, long long offset) except -1
    cdef Piece _piece(self, Datagram segment, Py_ssize_t start, Py_ssize_t end, long long offset, bint first)
