cimport cython
from capture_agent.records cimport Datagram
from capture_agent.streams.content cimport Content
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.framing cimport start_line
from capture_agent.streams.outlet cimport Outlet
from capture_agent.streams.pieces cimport Piece, Pieces
from capture_agent.streams.reassembly cimport Reassembly

cdef class Stream(Reassembly):
    cdef public bint started
    cdef public unsigned int first
    cdef public Py_ssize_t account
    cdef public bint in_line
    cdef public long long touched_ns
    cpdef bint accept(self, Datagram segment) except -1
    cdef bint _start(self, Datagram segment, unsigned int sequence, bint joined) except -1
    cdef bint _synchronise(self, Datagram segment, unsigned int first) except -1
    cdef bint _sort(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _end(self, long long end_at) except -1
    cdef bint _reopen(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
