cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.framing cimport behind_blank, find, is_known, measure, start_line, trail_of
from capture_agent.streams.outlet cimport Outlet

cpdef enum:
    SIP = 0
    SEEK = 1
    HTTP = 2
    WEBSOCKET = 3
    FOREIGN = 4

cdef class SipStream:
    cdef public bytes addresses
    cdef public Outlet outlet
    cdef public int mode
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
    cdef public long long last_ns

    cdef Py_ssize_t _messages(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _begin_at(self, Py_ssize_t at, Py_ssize_t cut) except -1
    cdef bint _take_back(self, Py_ssize_t size) except -1
    cdef Py_ssize_t _last_line(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _keep(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _begun_before(self) except -1
    cdef Py_ssize_t _refuse(self, bytes data, Py_ssize_t at, Py_ssize_t end, Py_ssize_t why) except -1
    cdef Py_ssize_t _go_on(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _headers_ended(self) except -1
    cdef Py_ssize_t _verify(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _seek(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _boundary(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -2
    cdef bint _start_seeking(self) except -1
    cdef bint _drop_pending(self) except -1
    cdef bint _pass_by(self, Py_ssize_t size) except -1
    cdef bint _forget(self) except -1
    cdef bint _emit(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef bint _emit_pending(self, Py_ssize_t missing) except -1
    cdef bint _break(self) except -1
    cdef bint _lose_in_message(self, Py_ssize_t size, bint cut) except -1
    cdef bint _become_foreign(self) except -1
    cdef Py_ssize_t _foreign(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _open_websocket(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
