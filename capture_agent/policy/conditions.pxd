cimport cython
from capture_agent.policy.facts cimport Facts
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.origin cimport Origin
from capture_agent.sip.message cimport SipMessage

cdef class Condition:
    cpdef bint holds(self, Facts facts) except -1

cdef class OneOf(Condition):
    cdef object _field
    cdef frozenset _values

cdef class DirectionIs(Condition):
    cdef object _direction

cdef class NumberIn(Condition):
    cdef int _which
    cdef tuple _ranges

cdef class CaptureIdIn(Condition):
    cdef tuple _ranges

cdef class AddressIn(Condition):
    cdef bint _source
    cdef bint _destination
    cdef frozenset _hosts
    cdef frozenset _with_ports
    cdef tuple _networks

    cdef bint _has(self, Datagram datagram, Py_ssize_t at, int port) except -1

cdef class AddressLike(Condition):
    cdef bint _source
    cdef bint _destination
    cdef tuple _regexes

    cdef bint _fits(self, str address) except -1

cdef class Network:
    cdef Py_ssize_t _size
    cdef bytes _whole
    cdef int _mask
    cdef int _last

    cdef bint has(self, bytes data, Py_ssize_t at, Py_ssize_t size) except -1

cdef class TextIs(Condition):
    cdef Py_ssize_t _slot
    cdef Py_ssize_t _raw
    cdef tuple _exact
    cdef frozenset _many
    cdef tuple _globs
    cdef tuple _regexes

    cdef bint _has(self, bytes value) except -1

cdef class Sampled(Condition):
    cdef unsigned long long _below

cdef class Present(Condition):
    cdef Py_ssize_t _slot

cdef class AnyOf(Condition):
    cdef tuple _conditions

cdef bint fits(bytes value, object parts) except -1
cpdef unsigned long long place_of(bytes call_id) except? 0xFFFFFFFFFFFFFFFF
