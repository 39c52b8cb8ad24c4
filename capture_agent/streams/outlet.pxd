cimport cython
from capture_agent.records.datagram cimport Datagram
from capture_agent.streams.counts cimport Counts

cdef class Outlet:
    cdef public Counts counts
    cdef public Datagram carrier
    cdef public list out

cdef class Emitter:
    cdef readonly bytes addresses
    cdef readonly Outlet outlet
    cdef public long long last_ns

    cpdef bint emit(self, bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t missing=*, str transport=*) except -1
    cpdef bint emit_own(self, object payload, Py_ssize_t missing=*, str transport=*) except -1
