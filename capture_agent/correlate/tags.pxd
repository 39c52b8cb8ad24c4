cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcmp

from capture_agent.correlate.marks cimport cut, find, tag_key
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.parameters cimport locate, value_end

cpdef Py_ssize_t tag_at(bytes data, Py_ssize_t start, Py_ssize_t end) except -2

cdef class Tags:
    cdef readonly unsigned long long in_from
    cdef readonly unsigned long long in_to
    cdef bytes _data
    cdef Py_ssize_t _from_at
    cdef Py_ssize_t _from_end
    cdef Py_ssize_t _to_at
    cdef Py_ssize_t _to_end

    cdef bint forget(self) except -1
    cpdef bint read(self, SipMessage sip) except -1
    cdef bytes text_in_from(self)
    cdef bytes text_in_to(self)
