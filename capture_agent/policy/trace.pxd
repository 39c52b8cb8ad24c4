cimport cython
from capture_agent.records cimport CapturedMessage, Datagram, TracedMessage

cdef class Policy:
    cdef public bint on
    cdef readonly unsigned long long traced
    cdef readonly unsigned long long not_traced
    cdef object _side
    cdef bint _by_port
    cdef dict _known

    cdef object _direction(self, Datagram datagram)
