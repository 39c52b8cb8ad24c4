cimport cython

from capture_agent.hashing cimport number_of
from capture_agent.sip.lookup cimport header_values
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.parameters cimport locate, value_end

cpdef unsigned long long call_of(SipMessage sip) except? 0
cpdef unsigned long long branch_of(SipMessage sip) except? 0
cpdef unsigned long long from_tag_of(SipMessage sip) except? 0
cpdef unsigned long long to_tag_of(SipMessage sip) except? 0
cpdef int depth_of(SipMessage sip) except -1
