cimport cython
from capture_agent.records.dialog cimport Dialog, Transaction
from capture_agent.hooks.guard cimport Guard
from capture_agent.hooks.hook_message cimport Message
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.traced cimport Trace, TracedMessage

from capture_agent.policy.rules cimport is_confirming_ack

cdef class Hooks:
    cdef readonly tuple guards
    cdef readonly bint dropped
    cdef readonly bint bare
    cdef public list grown
    cdef list _events
    cdef object _sinks
    cdef bint _dialog_acks

    cpdef tuple apply(self, CapturedMessage message, object direction, tuple traced, bint follow=*)
    cpdef list take_events(self)
    cdef tuple _continued(self, CapturedMessage message, object direction, tuple traced)
