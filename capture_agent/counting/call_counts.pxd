cimport cython

from capture_agent.counting.call_record cimport ANSWERED, OVER, PENDING, RINGING, CallRecord
from capture_agent.counting.durations cimport Durations
from capture_agent.counting.side_counts cimport SideCounts

cdef class CallCounts:
    cdef readonly SideCounts counts
    cdef readonly object failed
    cdef readonly object causes
    cdef readonly Durations request_delay
    cdef readonly Durations answer_time
    cdef readonly Durations duration
    cdef readonly Durations disconnect_delay

    cdef bint began(self, CallRecord call) except -1
    cdef bint rings(self, CallRecord call) except -1
    cdef bint rings_no_more(self, CallRecord call) except -1
    cdef bint goes_on(self, CallRecord call) except -1
    cdef bint shows(self, CallRecord call, long long now_ns) except -1
    cdef bint refused(self, CallRecord call, long long now_ns) except -1
    cdef bint answered(self, CallRecord call, long long now_ns) except -1
    cdef bint settled(self, CallRecord call) except -1
    cdef bint ended(self, CallRecord call) except -1
    cdef bint evicted(self, CallRecord call) except -1
