from capture_agent.hooks.guard cimport Guard
from capture_agent.hooks.message cimport Message
from capture_agent.records cimport CapturedMessage, Trace, TracedMessage

cdef class Hooks:
    cdef readonly tuple guards
    cdef readonly bint dropped
    cdef readonly bint bare
    cdef list _events
    cdef object _event
    cdef object _sinks

    cpdef tuple apply(self, CapturedMessage message, object direction, tuple traced)
