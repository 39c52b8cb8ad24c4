cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.traced cimport Trace, TracedMessage
from capture_agent.sip.message cimport SipMessage

cdef class RowMaker:
    cdef readonly object message
    cdef readonly object time
    cdef readonly object text
    cdef readonly bint limited
    cdef public object cut
    cdef long long _second
    cdef object _time

    @cython.locals(trace=Trace)
    cpdef object rows(self, TracedMessage traced)
    cdef str _user(self, str user)
    @cython.locals(message=CapturedMessage, datagram=Datagram, sip=SipMessage, second=cython.longlong, nanoseconds=cython.longlong)
    cpdef object row(self, TracedMessage traced)
    cdef str _text(self, bytes value)
    cdef tuple _within_limits(self, tuple row)
