cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.framing cimport behind_blank, start_line, trail_of
from capture_agent.streams.outlet cimport Outlet
from capture_agent.streams.sip_stream cimport FOREIGN, HTTP, SEEK, SIP, WEBSOCKET, SipStream

cdef class Content(SipStream):
    cdef public object websocket
    cdef public Py_ssize_t strange

    cpdef Py_ssize_t buffered(self) except -1
    cpdef bint deliver(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cpdef bint lose(self, Py_ssize_t size, bint cut) except -1
    cpdef bint finish(self) except -1
    cdef Py_ssize_t _http(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _frames(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
