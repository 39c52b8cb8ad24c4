cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.layer cimport Layer
from capture_agent.streams.outlet cimport Outlet
from capture_agent.streams.pieces cimport Piece, Pieces

cdef class Reassembly:
    cdef readonly Layer layer
    cdef readonly Outlet outlet
    cdef readonly Pieces held
    cdef readonly object joining
    cdef readonly unsigned int first
    cdef readonly unsigned int next
    cdef readonly long long position
    cdef readonly long long end_at
    cdef readonly bint closed
    cdef public long long since_ns
    cdef public long long last_ns
    cdef public long long turn
    cpdef Py_ssize_t buffered(self) except -1
    cdef bint waits(self) except -1
    cpdef bint go_on_from(self, Reassembly other) except -1
    cdef bint take(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef bint place(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint end(self, long long end_at) except -1
    cpdef bint give_up_waiting(self, long long now_ns) except -1
    cpdef bint flush(self) except -1
    cdef bint _count(self, int segments) except -1
    cdef bint _advance(self, bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t missing) except -1
    cdef bint _advance_joining(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef bint _lose(self, long long size, bint cut) except -1
    cdef bint _close(self) except -1
    cdef bint _finish_joining(self) except -1
    cdef long long _jump(self, Datagram segment, long long ahead) except *
    cdef bint _place_early(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _next_in_order(self, Datagram segment, Py_ssize_t start) except -1
    cdef bint _drain(self, bint filled) except -1
    cdef bint _skip_gap(self) except -1
