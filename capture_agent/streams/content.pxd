cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.framing cimport after_blank, start_line, trail_of
from capture_agent.streams.layer cimport Layer
from capture_agent.streams.outlet cimport Emitter
from capture_agent.streams.sip_stream cimport FOREIGN, HTTP, SEEK, SIP, UNREAD, WEBSOCKET, SipStream

cdef class Content(Layer):
    cdef readonly SipStream sip
    cdef readonly int mode
    cdef readonly object websocket
    cdef bytearray head
    cdef int trail
    cdef Py_ssize_t strange

    cdef Py_ssize_t _leave_sip(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _become_foreign(self) except -1
    cdef Py_ssize_t _seek(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef bint _open_websocket(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _foreign(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _boundary(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -2
    cdef Py_ssize_t _http(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef Py_ssize_t _frames(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
