cimport cython
from capture_agent.records.captured cimport CapturedMessage, captured
from capture_agent.records.datagram cimport Datagram
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.scan cimport scan
from capture_agent.sip.stranger cimport stranger

cdef class Intake:
    cdef readonly unsigned long long seen
    cdef readonly unsigned long long accepted
    cdef readonly object rejected
    cdef readonly object problems
    cdef unsigned long long[::1] _rejected
