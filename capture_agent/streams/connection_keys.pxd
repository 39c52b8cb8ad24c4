cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memcpy

from capture_agent.records.datagram cimport Datagram

cpdef bytes key_of(Datagram datagram)
