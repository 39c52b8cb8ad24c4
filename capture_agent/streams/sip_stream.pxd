cimport cython
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.framing cimport after_blank, find, is_known, measure, start_line, trail_of
from capture_agent.streams.outlet cimport Emitter, Outlet

cpdef enum:
    SIP = 0
    SEEK = 1
    HTTP = 2
    WEBSOCKET = 3
    FOREIGN = 4
    UNREAD = 5

cdef class SipStream:
    cdef readonly Emitter emitter
    cdef public int found
    cdef public bytearray pending
    cdef public bint verified
    cdef public bint doubtful
    cdef public int trail
    cdef public Py_ssize_t size
    cdef public Py_ssize_t skip
    cdef public bint proven
    cdef public Py_ssize_t sought
    cdef public long long passed
    cdef public bytes tail

    cdef Py_ssize_t read(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint lose(self, Py_ssize_t size, bint cut) except -1
    cdef bint pass_by(self, Py_ssize_t size) except -1
    cdef Py_ssize_t last_line(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint forget(self) except -1
    cdef bint finish(self) except -1
    cdef Py_ssize_t _begin_at(self, Py_ssize_t at, Py_ssize_t cut) except -1
    cdef bint _take_back(self, Py_ssize_t size) except -1
    cdef Py_ssize_t _keep(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _begun_before(self) except -1
    cdef Py_ssize_t _refuse(self, bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t why) except -1
    cdef Py_ssize_t _go_on(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _headers_ended(self) except -1
    cdef Py_ssize_t _verify(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _abandon(self) except -1
    cdef bint _start_seeking(self) except -1
    cdef bint _drop_pending(self) except -1
    cdef bint _emit(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef bint _emit_pending(self, Py_ssize_t missing) except -1
