cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.sip.message cimport SipMessage

cdef class SeenMessage:
    cdef CapturedMessage _captured
    cdef SipMessage _sip
    cdef Datagram _datagram
    cdef object _direction
