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
    cdef readonly unsigned long long key
    cdef public unsigned long long tag
    cdef public long long cseq
    cdef readonly int side
    cdef public int state
    cdef public int depth
    cdef public int status
    cdef public int ending
    cdef public int cause
    cdef public bint cancelled
    cdef public bint shown
    cdef public list branches
    cdef unsigned long long _leg
    cdef list _more_legs
    cdef public unsigned long long bye_branch
    cdef public long long begun_ns
    cdef public long long asked_ns
    cdef public long long accepted_ns
    cdef public long long answered_ns
    cdef public long long bye_ns

    cdef bint ask(self, long long cseq, int depth, unsigned long long branch, long long now_ns) except -1
    cdef bint add_branch(self, int depth, unsigned long long branch) except -1
    cdef bint fail(self, unsigned long long branch, int status, int cause) except -1
    cdef bint add_leg(self, unsigned long long tag) except -1
    cdef bint end_leg(self, unsigned long long tag) except -1
