cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport Datagram
from capture_agent.records.traced cimport Trace, TracedMessage
from capture_agent.sip.message cimport SipMessage

cdef class BatchPacker:
    cdef dict _traces
    cdef dict _carriages
    cdef dict _origins
    cdef object _transport
    cdef object _interface
    cdef bytes _carriage

    cpdef bytes pack(self, TracedMessage traced)
    cdef bytes _packets(self, TracedMessage traced)
    cdef bytes _of_trace(self, Trace trace)
    cdef bytes _of_carriage(self, str transport, object interface)
