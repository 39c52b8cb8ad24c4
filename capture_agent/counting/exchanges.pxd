cimport cython

from capture_agent.counting.bindings cimport Bindings
from capture_agent.counting.due_times cimport Deadlines, Timed
from capture_agent.counting.durations cimport Durations
from capture_agent.counting.ids cimport branch_of, call_of, from_tag_of
from capture_agent.counting.ordered_table cimport OrderedTable
from capture_agent.counting.side_counts cimport SideCounts
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.contacts cimport aor_of, asked_seconds, granted_seconds
from capture_agent.sip.message cimport SipMessage

cpdef enum:
    ASKED = 0
    REFUSED = 1
    DONE = 2

cdef class Exchange(Timed):
    cdef readonly int side
    cdef readonly bint registers
    cdef public long long cseq
    cdef public int state
    cdef public int status
    cdef public unsigned long long branch
    cdef public long long asked_ns
    cdef public long long seconds

    cdef bint begin(self, unsigned long long key, int side, bint registers) except -1

cdef class Exchanges:
    cdef readonly Py_ssize_t limit
    cdef readonly unsigned long long begun
    cdef readonly unsigned long long over
    cdef readonly unsigned long long evicted
    cdef readonly Durations registration_delay
    cdef readonly Durations round_trip
    cdef readonly SideCounts counts
    cdef readonly object refused
    cdef readonly Bindings bindings
    cdef OrderedTable _waiting
    cdef Deadlines _deadlines

    cdef bint request(self, CapturedMessage message, int side, bint registers, long long now_ns) except -1
    cdef bint response(self, CapturedMessage message, bint registers, long long now_ns) except -1
    cdef unsigned long long _key(self, CapturedMessage message, bint registers) except? 0
    cdef Exchange _find(self, unsigned long long key)
    cdef bint _registered(self, Exchange one, SipMessage sip, long long now_ns) except -1
    cdef bint _count_failure(self, Exchange one) except -1
    cdef bint _finish(self, Exchange one) except -1
    cdef Exchange _begin(self, unsigned long long key, int side, bint registers, long long now_ns)
    cpdef pass_time(self, long long now_ns)
