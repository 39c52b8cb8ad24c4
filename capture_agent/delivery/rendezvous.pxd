from capture_agent.records.call_key cimport call_key
from capture_agent.records.traced cimport TracedMessage

cdef class MemberChoice:
    cdef readonly unsigned long long bit
    cdef readonly unsigned long long fixed
    cdef readonly bint by_leg
    cdef readonly bytes seed
    cdef readonly list weights
    cdef readonly list bits

cpdef unsigned long long score(unsigned long long call, unsigned long long member)
cpdef int best(unsigned long long call, MemberChoice choice) except -1
cpdef unsigned long long member_bit(MemberChoice choice, TracedMessage traced)
