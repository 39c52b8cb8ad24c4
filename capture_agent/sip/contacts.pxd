cimport cython

from capture_agent.hashing cimport number_of
from capture_agent.sip.lookup cimport MOST_VALUES, address, header_at, value_stop
from capture_agent.sip.message cimport SipMessage

cpdef long long longest(bytes value, Py_ssize_t i, Py_ssize_t end, long long otherwise) except? -3
cpdef unsigned long long aor_of(SipMessage sip) except? 0
cpdef long long asked_seconds(SipMessage sip) except? -3
cpdef bint unbinds(SipMessage sip) except -1
cpdef long long granted_seconds(SipMessage sip, long long asked) except? -3
