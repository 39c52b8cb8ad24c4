cimport cython

from capture_agent.hashing cimport number_of
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.records.dialog cimport Transaction
from capture_agent.sip.lookup cimport MOST_VALUES, header_at, value_stop
from capture_agent.sip.message cimport SipMessage
from capture_agent.sip.parameters cimport branch_at, tag_at, value_end

cpdef unsigned long long call_of(SipMessage sip, unsigned long long number) except? 0
cpdef unsigned long long branch_of(SipMessage sip) except? 0
cpdef unsigned long long from_tag_of(CapturedMessage message) except? 0
cpdef unsigned long long to_tag_of(SipMessage sip) except? 0
cpdef int depth_of(SipMessage sip) except -1
