cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.framing cimport start_line
from capture_agent.streams.layer cimport Layer
from capture_agent.streams.outlet cimport Emitter, Outlet
from capture_agent.streams.pieces cimport Piece, Pieces
from capture_agent.streams.reassembly cimport Reassembly

cdef class Stream:
    cdef readonly Emitter emitter
    cdef readonly Outlet outlet
    cdef readonly Reassembly order
    cdef readonly object contest
    cdef object make_layers
    cdef public Py_ssize_t account
    cdef public bint in_line
    cdef public long long last_ns
    cdef public long long line_ns
    cdef public long long touched_ns
    cpdef bint accept(self, Datagram segment, long long now_ns) except -1
    cdef Py_ssize_t buffered(self) except -1
    cdef bint waits(self) except -1
    cdef bint flush(self) except -1
    cdef bint give_up_waiting(self, long long now_ns) except -1
    cdef bint _start(self, unsigned int sequence, bint joined) except -1
    cdef Reassembly _ordered(self, unsigned int sequence, bint joined)
    cdef bint _synchronise(self, Datagram segment, unsigned int first, Py_ssize_t length) except -1
    cdef bint _compete(self, Datagram segment, unsigned int first, bint synchronised, Py_ssize_t length) except -1
    cdef bint _follow(self, object rival, Datagram segment) except -1
    cdef bint _is_rivals(self, Datagram segment, unsigned int sequence, Py_ssize_t length) except -1
    cdef bint _promote(self, object rival) except -1
    cdef bint _replay(self, object rival) except -1
    cdef bint _sort(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
    cdef bint _reset(self, long long ahead, Py_ssize_t length) except -1
    cdef bint _reopen(self, Datagram segment, long long ahead, Py_ssize_t length) except -1
