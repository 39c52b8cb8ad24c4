cimport cython
from capture_agent.records cimport CapturedMessage, Datagram
from capture_agent.sip.message cimport SipMessage

cdef class SeenMessage:
    cdef CapturedMessage _captured
    cdef SipMessage _sip
    cdef Datagram _datagram
    cdef object _direction
