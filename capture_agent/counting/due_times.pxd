cimport cython

cdef class Timed:
    cdef readonly unsigned long long key
    cdef int place
    cdef int queue
    cdef public long long due_ns
    cdef long long _second

    cdef bint start(self, unsigned long long key) except -1

cdef class Deadlines:
    cdef readonly Py_ssize_t entries
    cdef readonly Py_ssize_t held
    cdef dict _seconds
    cdef long long _done

    cpdef add(self, Timed one, long long due_ns)
    cpdef move(self, Timed one, long long due_ns)
    cpdef remove(self, Timed one)
    cpdef list over(self, long long now_ns)
    cpdef list all(self)
    cdef list _due(self, list[Timed] waiting, long long second, long long now_ns)
    cdef bint _enter(self, Timed one, long long second) except -1
    cdef bint _tidy(self) except -1
