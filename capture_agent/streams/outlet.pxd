cimport cython
from capture_agent.records.datagram cimport NO_FRAME, Datagram
from capture_agent.streams.counts cimport Counts

cdef class Outlet:
    cdef public Counts counts
    cdef public Datagram carrier
    cdef public list out

    cpdef long long put(
        self, bytes data, Py_ssize_t start, Py_ssize_t end, long long last_ns, Py_ssize_t missing, str transport=*
    ) except *
