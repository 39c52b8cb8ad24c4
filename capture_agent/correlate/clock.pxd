cimport cython

cdef class Clock:
    cdef readonly bint started
    cdef readonly long long now_ns
    cdef readonly unsigned long long odd
    cdef readonly unsigned long long jumps
    cdef long long _other_ns
    cdef int _agreed

    cpdef long long tick(self, long long time_ns) noexcept
    cdef long long _odd(self, long long time_ns) noexcept
