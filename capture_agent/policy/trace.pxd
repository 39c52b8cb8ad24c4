cimport cython
from capture_agent.policy.hooks cimport Hooks
from capture_agent.records cimport CapturedMessage, Datagram, Trace, TracedMessage

cdef class Policy:
    cdef public bint on
    cdef readonly Hooks hooks
    cdef readonly unsigned long long traced
    cdef readonly unsigned long long not_traced
    cdef object _side
    cdef frozenset _hosts
    cdef bint _simple
    cdef bytes _last_bytes
    cdef Trace _trace
    cdef object _in
    cdef object _out

    cdef object _direction(self, Datagram datagram)
    cdef bint _is_host(self, Datagram datagram, Py_ssize_t at, Py_ssize_t size) except -1
    cdef object _with_ports(self, Datagram datagram)
