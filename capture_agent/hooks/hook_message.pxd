cimport cython
from capture_agent.hooks.seen_message cimport SeenMessage
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.traced cimport Trace, TracedMessage

cdef class Message(SeenMessage):
    cdef object _sinks
    cdef str _by
    cdef tuple _traced
    cdef tuple _started
    cdef tuple _events
    cdef bint _bare
    cdef bint _dropped
    cdef bint _decided

    cdef void _writable(self) except *
