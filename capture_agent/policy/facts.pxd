cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.origin cimport Origin
from capture_agent.sip.lookup cimport address, addresses, header_values, host_of, user_of
from capture_agent.sip.message cimport SipMessage

cdef class Facts:
    cdef readonly CapturedMessage message
    cdef readonly object direction
    cdef list _kinds
    cdef list _places
    cdef list _names
    cdef list _compacts
    cdef list _values
    cdef list _blank
    cdef bint _asked
    cdef dict _slots

    cpdef bint begin(self, CapturedMessage message, object direction) except -1
    cpdef list values(self, Py_ssize_t slot)
    cdef list _look_up(self, Py_ssize_t slot)
