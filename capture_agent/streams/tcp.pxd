cimport cython
from capture_agent.records cimport Datagram
from capture_agent.streams.content cimport Content
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.framing cimport start_line
from capture_agent.streams.outlet cimport Outlet
from capture_agent.streams.pieces cimport Piece, Pieces

cdef class Stream:
    cdef public Outlet outlet
    cdef public Content content
    cdef public Pieces held
    cdef public object joining
    cdef public bint started
    cdef public unsigned int first
    cdef public unsigned int next
    cdef public long long position
    cdef public long long end_at
    cdef public bint closed
    cdef public long long since_ns
    cdef public long long last_ns
    cdef public Py_ssize_t account
    cdef public bint in_line

    cpdef bint accept(self, Datagram segment) except -1
    cpdef bint give_up_waiting(self, long long now_ns) except -1
    cpdef bint flush(self) except -1
    cdef bint _count(self, int segments) except -1
    cdef bint _start(self, Datagram segment, unsigned int sequence, bint joined) except -1
    cdef bint _synchronise(self, Datagram segment, unsigned int first) except -1
    cdef bint _advance(self, bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t missing) except -1
    cdef bint _advance_joining(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef Datagram _bare(self, bytes data)
    cdef bint _sort(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _end(self, long long end_at) except -1
    cdef bint _close(self) except -1
    cdef bint _reopen(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _place(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef long long _jump(self, Datagram segment, long long ahead) except *
    cdef bint _place_early(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _next_in_order(self, Datagram segment, Py_ssize_t start) except -1
    cdef bint _drain(self, bint filled) except -1
    cdef bint _skip_gap(self) except -1
