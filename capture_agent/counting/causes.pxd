from capture_agent.sip.lookup cimport header_values
from capture_agent.sip.message cimport SipMessage

cpdef int cause_of(SipMessage sip) except -1
