cimport cython

from capture_agent.counting.call_counts cimport CallCounts
from capture_agent.counting.call_record cimport ANSWERED, ENDED, OPEN, OVER, PENDING, RINGING, CallRecord
from capture_agent.counting.call_table cimport CallTable
from capture_agent.counting.causes cimport cause_of
from capture_agent.counting.ids cimport branch_of, call_of, depth_of, from_tag_of, to_tag_of
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.message cimport SipMessage

cdef class Calls:
    cdef readonly CallCounts counts
    cdef readonly CallTable table
    cdef long long _idle_ns
    cdef unsigned long long _from

    cdef bint request(self, CapturedMessage message, int side, int kind, long long now_ns) except -1
    cdef bint response(self, CapturedMessage message, int kind, long long now_ns) except -1
    cdef bint _invited(self, SipMessage sip, int side, long long now_ns) except -1
    cdef bint _begin(self, SipMessage sip, unsigned long long tag, int side, long long now_ns) except -1
    cdef bint _ask_again(self, CallRecord call, SipMessage sip, long long now_ns) except -1
    cdef bint _resume(self, CallRecord call, long long now_ns) except -1
    cdef bint _cancelled(self, SipMessage sip, long long now_ns) except -1
    cdef bint _hung_up(self, SipMessage sip, long long now_ns) except -1
    cdef bint _touched(self, SipMessage sip, long long now_ns) except -1
    cdef bint _invite_response(self, SipMessage sip, long long now_ns) except -1
    cdef bint _provisional(self, CallRecord call, SipMessage sip, long long now_ns) except -1
    cdef bint _success(self, CallRecord call, SipMessage sip, long long now_ns) except -1
    cdef bint _failure(self, CallRecord call, SipMessage sip, long long now_ns) except -1
    cdef bint _bye_response(self, SipMessage sip, long long now_ns) except -1
    cdef bint _go_on(self, CallRecord call, long long now_ns) except -1
    cdef bint _give_up(self, CallRecord call, long long now_ns) except -1
    cdef bint _answer(self, CallRecord call, long long now_ns) except -1
    cdef bint _settle(self, CallRecord call, long long now_ns) except -1
    cdef bint _end(self, CallRecord call, long long now_ns) except -1
    cdef bint _decide(self, CallRecord call, long long now_ns) except -1
    cdef bint _expire(self, CallRecord call, long long now_ns) except -1
    cpdef pass_time(self, long long now_ns)
