cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcmp

from capture_agent.correlate.reading cimport cut, equals, find
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.parameters cimport locate, value_end

cpdef Py_ssize_t tag_at(bytes data, Py_ssize_t start, Py_ssize_t end) except -2

cdef class Tags:
    cdef bytes data
    cdef Py_ssize_t from_at
    cdef Py_ssize_t from_end
    cdef Py_ssize_t to_at
    cdef Py_ssize_t to_end

    cdef bint read(self, SipMessage sip) except -1
    cdef bytes in_from(self)
    cdef bytes in_to(self)
    cdef bint to_is_tagged(self) noexcept
    cdef bint has_in_from(self, bytes tag) noexcept
    cdef bint has_in_to(self, bytes tag) noexcept
