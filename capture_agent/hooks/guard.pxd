cdef unsigned long long _forks

cdef class Guard:
    cdef readonly str name
    cdef readonly str effect
    cdef readonly bint answers
    cdef readonly object function
    cdef readonly unsigned long long seen
    cdef readonly unsigned long long passed
    cdef readonly unsigned long long dropped
    cdef readonly object failed
    cdef readonly bint off
    cdef object _limits
    cdef object _clock
    cdef double _slow

    cpdef object call(self, object message)
    cpdef void drops(self) except *
