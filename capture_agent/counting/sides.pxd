cimport cython
from cpython.bytes cimport PyBytes_AS_STRING

from capture_agent.counting.networks cimport NONE, Networks, number_at
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram

cdef class Sides:
    cdef readonly object peers
    cdef Networks _local
    cdef Networks _networks

    cdef int of(self, CapturedMessage message) except -1
