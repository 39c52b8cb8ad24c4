cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from capture_agent.records.datagram cimport FROM_HEP, NO_FRAME, NO_FRAME_END, NO_VLAN, Datagram
from capture_agent.records.origin cimport Envelope, envelope

cdef class Unwrapping:
    cdef readonly unsigned long long seen
    cdef readonly object kinds
    cdef readonly object rejected
    cdef unsigned long long[::1] _rejected
    cdef unsigned long long[::1] _kinds
    cdef dict _keys
    cdef bytes _own
    cdef bytes _own_path
    cdef list _others
    cdef bytes _last_node
    cdef bytes _last_chunks
    cdef object _last_id
    cdef long long _last_id_number
    cdef object _interface
    cdef bytes _key
    cdef int _family
    cdef int _protocol
    cdef int _kind
    cdef int _vlan
    cdef Py_ssize_t _source
    cdef Py_ssize_t _destination
    cdef Py_ssize_t _width
    cdef Py_ssize_t _width_to
    cdef int _port_from
    cdef int _port_to
    cdef long long _seconds
    cdef long long _micros
    cdef long long _capture_id
    cdef Py_ssize_t _payload_at
    cdef Py_ssize_t _payload_size
    cdef Py_ssize_t _deflated_at
    cdef Py_ssize_t _deflated_size
    cdef Py_ssize_t _key_at
    cdef Py_ssize_t _key_size
    cdef Py_ssize_t _node_at
    cdef Py_ssize_t _node_size
    cdef Py_ssize_t _path_at
    cdef Py_ssize_t _path_size
    cdef Py_ssize_t _correlation_id
    cdef Py_ssize_t _correlation_size
    cdef bytes _chunks
    cdef Envelope _last_envelope
    cdef bytes _room
    cdef Py_ssize_t _used

    cdef bint _is_old(self, Datagram datagram) except -1
    cdef Datagram _open(self, Datagram datagram, int version)
    cdef void _forget(self) except *
    cdef int _read3(self, bytes data, Py_ssize_t start, Py_ssize_t end) except -1
    cdef bint _take(self, bytes data, int kind, Py_ssize_t at, Py_ssize_t size) except -1
    cdef int _read12(self, bytes data, Py_ssize_t start, Py_ssize_t end, int version) except -1
    cdef bint _put(self, bytes data, Py_ssize_t at, Py_ssize_t size) except -1
    cdef int _check(self, Datagram datagram) except -1
    cdef Datagram _inflated(self, Datagram datagram)
    cdef Datagram _made(self, Datagram datagram, bytes data)
    cdef Envelope _envelope(self, bytes data, long long seen_ns)
