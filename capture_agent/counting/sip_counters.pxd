cimport cython
from cpython cimport array

from capture_agent.counting.sides cimport Sides
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.methods cimport KIND_TABLE, NAME_TABLE, kind_of, kind_within

cdef class SipCounters:
    cdef readonly Sides sides
    cdef readonly Py_ssize_t series
    cdef int _count
    cdef array.array _requests
    cdef array.array _again
    cdef array.array _rows
    cdef array.array _responses
    cdef list _of_rows
    # Where the arrays have their items: reached without counting references.
    cdef unsigned long long *_request_counts
    cdef unsigned long long *_response_counts
    cdef int *_row_numbers

    cpdef int count(self, CapturedMessage message) except -1
    cdef bint _grow(self) except -1
    cdef int _new_row(self, Py_ssize_t place) except -1
    cdef bint _first(self, Py_ssize_t cell, int row) except -1
    cdef bint _count_response(self, Py_ssize_t place, int status) except -1
