cimport cython
from cpython cimport array

from capture_agent.correlate.queues cimport Call
from capture_agent.correlate.marks cimport fetch

cdef class Index:
    cdef array.array _slots
    cdef size_t _mask
    cdef Py_ssize_t _count
    cdef dict _calls

    cdef Call find(self, unsigned long long key)
    cdef bint add(self, Call call) except -1
    cdef bint remove(self, Call call) except -1
    cdef bint clear(self) except -1
    cdef bint _resize(self, size_t capacity) except -1
    cdef void fetch_slot(self, unsigned long long key) noexcept
    cdef void *peek(self, unsigned long long key) noexcept
