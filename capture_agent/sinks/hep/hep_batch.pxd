cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.datagram cimport FROM_HEP, Datagram
from capture_agent.records.origin cimport Origin
from capture_agent.records.traced cimport Trace, TracedMessage
from capture_agent.sip.message cimport SipMessage
from hep.batch cimport Encoder

cpdef bint fill_from(Encoder encoder, TracedMessage traced, CapturedMessage message) except? False
