cimport cython

from capture_agent.clock cimport Clock
from capture_agent.counting.followed_calls cimport Calls
from capture_agent.counting.exchanges cimport Exchanges
from capture_agent.counting.sides cimport Sides
from capture_agent.counting.sip_counters cimport SipCounters
from capture_agent.records.captured cimport CapturedMessage

cdef class Counting:
    cdef readonly Sides sides
    cdef readonly SipCounters counters
    cdef readonly Calls calls
    cdef readonly Exchanges exchanges
    cdef readonly Clock clock
    cdef long long _second

    cdef bint _follow(self, Calls calls, Exchanges exchanges, CapturedMessage message, int seen) except -1
