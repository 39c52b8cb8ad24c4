cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.content cimport Content
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.outlet cimport Outlet
from capture_agent.streams.pieces cimport Piece, Pieces
from capture_agent.streams.sip_stream cimport FOREIGN

cdef class Reassembly:
    cdef public Outlet outlet
    cdef public Content content
    cdef public Pieces held
    cdef public object joining
    cdef public unsigned int next
    cdef public long long position
    cdef public long long end_at
    cdef public bint closed
    cdef public long long since_ns
    cdef public long long last_ns
    cdef public long long turn
    cpdef Py_ssize_t buffered(self) except -1
    cpdef bint give_up_waiting(self, long long now_ns) except -1
    cpdef bint flush(self) except -1
    cdef bint _count(self, int segments) except -1
    cdef bint _advance(self, bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t missing) except -1
    cdef bint _advance_joining(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef Datagram _bare(self, bytes data)
    cdef bint _close(self) except -1
    cdef bint _place(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef long long _jump(self, Datagram segment, long long ahead) except *
    cdef bint _place_early(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _next_in_order(self, Datagram segment, Py_ssize_t start) except -1
    cdef Py_ssize_t _cut_off(self, Datagram segment, long long offset, Py_ssize_t i) except -1
    cdef bint _discard_doubtful(self) except -1
    cdef bint _discard(self, Py_ssize_t i) except -1
    cdef bint _covers(self, Py_ssize_t size) except -1
    cdef bint _drain(self, bint filled) except -1
    cdef bint _skip_gap(self) except -1
