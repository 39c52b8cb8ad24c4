cimport cython
from cpython cimport array

from capture_agent.counting.due_times cimport Timed

cdef class OrderedTable:
    cdef readonly Py_ssize_t count
    cdef list _queues
    cdef list _things
    cdef array.array _keys
    cdef array.array _links
    cdef array.array _slots
    cdef array.array _lengths
    cdef size_t _mask
    cdef int _free

    cpdef Timed find(self, unsigned long long key)
    cpdef bint add(self, Timed one, int queue) except -1
    cpdef bint shift(self, Timed one, int queue) except -1
    cpdef bint remove(self, Timed one) except -1
    cpdef Timed first(self, int queue)
    cpdef int length(self, int queue) except -1
    cdef bint _append(self, Timed one, int queue) except -1
    cdef bint _unlink(self, Timed one) except -1
    cdef bint _enter(self, int place) except -1
    cdef bint _leave(self, int place) except -1
    cdef bint _grow(self, Py_ssize_t places) except -1
