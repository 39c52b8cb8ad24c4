cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from capture_agent.clock cimport Clock
from capture_agent.media.rtp_stream cimport RtpStream, be32
from capture_agent.records.datagram cimport Datagram

cdef class RtpTable:
    cdef readonly dict streams
    cdef readonly Py_ssize_t held
    cdef readonly unsigned long long evicted
    cdef readonly unsigned long long measured
    cdef readonly unsigned long long not_sampled
    cdef readonly unsigned long long duplicate
    cdef readonly unsigned long long unannounced
    cdef readonly unsigned long long cut
    cdef readonly unsigned long long crowded
    cdef readonly unsigned long long header
    cdef Py_ssize_t _most
    cdef long long _report_ns
    cdef readonly dict places
    cdef Clock _clock
    cdef object _is_copy
    cdef object _watcher
    cdef RtpStream _line

    cpdef Py_ssize_t count(self, list[Datagram] datagrams, Py_ssize_t at, long long before_ns) except -1
    cdef bint _take(self, Datagram datagram) except -1
    cdef RtpStream _begin(self, Datagram datagram, bytes pair, unsigned int ssrc, long long now_ns)
    cdef bint _has_room(self, object call, bytes pair, long long now_ns) except -1
    cdef bint _tick(self, RtpStream stream, long long now_ns) except -1
    cdef bint _end(self, RtpStream stream) except -1
