cimport cython

from capture_agent.counting.due_times cimport Timed

cpdef enum:
    OPEN = 0
    RINGING = 1
    PENDING = 2
    OVER = 3
    ANSWERED = 4
    ENDED = 5

cdef class CallRecord(Timed):
    cdef public unsigned long long tag
    cdef public long long cseq
    cdef readonly int side
    cdef public int state
    cdef public int depth
    cdef public int status
    cdef public int ending
    cdef public int cause
    cdef public int cancel_cause
    cdef public bint cancelled
    cdef public bint shown
    cdef unsigned long long _branch
    cdef list _more_branches
    cdef unsigned long long _leg
    cdef list _more_legs
    cdef readonly unsigned long long bye_branch
    cdef unsigned long long _bye_leg
    cdef bint _bye_by_caller
    cdef long long _bye_sent_ns
    cdef list _more_byes
    cdef public long long begun_ns
    cdef public long long asked_ns
    cdef public long long accepted_ns
    cdef public long long answered_ns
    cdef readonly long long bye_ns

    cdef bint begin(self, unsigned long long key, unsigned long long tag, int side, long long now_ns) except -1
    cdef bint has_branch(self, unsigned long long branch) except -1
    cdef bint close_branches(self) except -1
    cdef bint _nearest(self, int depth, unsigned long long branch) except -1
    cdef bint ask(self, long long cseq, int depth, unsigned long long branch, long long now_ns) except -1
    cdef bint add_branch(self, int depth, unsigned long long branch) except -1
    cdef bint fail(self, unsigned long long branch, int status, int cause) except -1
    cdef bint add_leg(self, unsigned long long tag) except -1
    cdef bint add_bye(
        self, unsigned long long leg, bint by_caller, unsigned long long branch, long long now_ns
    ) except -1
    cdef bint waits_for(self, unsigned long long leg, bint by_caller) except -1
    cdef long long take_bye(self, unsigned long long branch) except *
    cdef bint end_unanswered(self) except -1
    cdef bint end_leg(self, unsigned long long tag) except -1
