cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport NO_FRAME, NO_FRAME_END, Datagram, new_datagram
from capture_agent.records.traced cimport Trace, TracedMessage, traced
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.scan cimport scan

cdef class BatchUnpacker:
    cdef dict _traces
    cdef dict _carriages
    cdef dict _origins
    cdef Py_ssize_t _at

    cpdef list unpack(self, bytes data)
    cdef TracedMessage _message(self, bytes data)
    cdef Trace _trace(self, bytes data, int plain_row, unsigned long long sinks)
    cdef tuple _carriage(self, bytes data)
    cdef object _origin(self, bytes data, int marks)
