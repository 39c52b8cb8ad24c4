cimport cython
from capture_agent.clock cimport Clock
from capture_agent.records.datagram cimport WHOLE_MESSAGE, Datagram
from capture_agent.streams.connection_keys cimport key_of
from capture_agent.streams.counts cimport Counts
from capture_agent.streams.layer cimport Layer
from capture_agent.streams.outlet cimport Emitter, Outlet
from capture_agent.streams.reassembly cimport Reassembly
from capture_agent.streams.tcp cimport Stream

cdef class Streams:
    cdef readonly Counts counts
    cdef readonly object sctp
    cdef readonly Py_ssize_t buffered
    cdef Outlet _outlet
    cdef Clock _clock
    cdef object _make_layers
    cdef object _attendant
    cdef Py_ssize_t _max_streams
    cdef Py_ssize_t _max_bytes
    cdef dict _known
    cdef object _table
    cdef object _buffering
    cdef object _waiting
    cdef Stream _latest
    cdef dict _untold

    cdef bint _segment(self, Datagram segment, long long seen_ns) except -1
    cdef Stream _open(self, bytes key, Datagram first, long long now_ns)
    cdef bint _touch(self, bytes key, Stream stream, long long now_ns) except -1
    cdef bint _settle(self, bytes key, Stream stream) except -1
    cdef bint _tell_other(self, bytes key, object news) except -1
    cdef _look_after(self, long long now_ns)
    cdef _evict(self, bytes key)
    cdef _drop(self, bytes key)
    cdef _let_go(self)
