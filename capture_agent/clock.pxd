cimport cython

cdef class Clock:
    cdef readonly bint started
    cdef readonly long long now_ns
    cdef readonly unsigned long long odd
    cdef readonly unsigned long long jumps
    cdef long long _base_ns
    cdef long long _nearest_ns
    cdef bint _ahead
    cdef int _agreed

    cpdef long long tick(self, long long time_ns) noexcept
    cpdef bint is_ahead(self, long long since_ns, long long by_ns) noexcept
    cdef long long _doubted(self, long long time_ns, long long ahead) noexcept
    cdef void _go(self) noexcept
