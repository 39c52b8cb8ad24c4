cdef class Trace:
    cdef readonly unsigned long long sinks
    cdef readonly bytes correlation_id
    cdef readonly tuple users
    cdef readonly str table
    cdef readonly bint plain_row
    cdef readonly str rule
    cdef readonly tuple masks

cdef class TracedMessage:
    cdef readonly object message
    cdef readonly object direction
    cdef readonly Trace trace
    cdef readonly unsigned long long sinks

cpdef TracedMessage traced(object message, object direction, Trace trace, unsigned long long sinks)
