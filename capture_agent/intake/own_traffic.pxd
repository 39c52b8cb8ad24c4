cimport cython
from capture_agent.records.datagram cimport Datagram

cdef class OwnTraffic:
    cdef object _sockets
    cdef frozenset _listeners
    cdef readonly Py_ssize_t left_out

    cdef bint _is_listener(self, Datagram datagram) except -1
