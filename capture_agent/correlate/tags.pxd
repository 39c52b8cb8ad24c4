cimport cython

from capture_agent.correlate.marks cimport cut, tag_key
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.parameters cimport tag_at, value_end

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
