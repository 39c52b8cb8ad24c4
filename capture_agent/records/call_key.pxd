cimport cython
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.origin cimport Origin
from capture_agent.records.traced cimport TracedMessage
from capture_agent.sip.message cimport SipMessage

cpdef bytes call_key(TracedMessage traced, bint by_leg)
