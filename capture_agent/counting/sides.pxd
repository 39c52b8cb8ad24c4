cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcpy

from capture_agent.counting.networks cimport NONE, Networks
from capture_agent.hashing cimport number_of
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram

cpdef enum:
    SLOTS = 4096

cdef class Sides:
    cdef readonly object peers
    cdef Networks _local
    cdef Networks _networks
    cdef bint _with_ports
    cdef unsigned long long _factor
    cdef unsigned long long _addresses[SLOTS]
    cdef unsigned long long _rest[SLOTS]
    cdef int _sides[SLOTS]

    cdef int of(self, CapturedMessage message) except -1
    cdef bint _forget(self) except -1
    cdef int _looked_up(self, CapturedMessage message) except -1
