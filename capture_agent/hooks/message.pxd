from capture_agent.records cimport CapturedMessage, Datagram, Trace, TracedMessage
from capture_agent.sip.message cimport SipMessage

cdef class Message:
    cdef CapturedMessage _captured
    cdef SipMessage _sip
    cdef Datagram _datagram
    cdef object _direction
    cdef object _sinks
    cdef str _by
    cdef tuple _traced
    cdef tuple _started
    cdef tuple _events
    cdef bint _bare
    cdef bint _dropped
    cdef bint _decided

    cdef void _writable(self) except *
