cimport cython
from cpython cimport array

from capture_agent.records.dialog cimport Dialog, Transaction

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(list)

cdef extern from *:
    """
    static inline void *item(PyObject *items, Py_ssize_t place) {
        return ((PyListObject *)items)->ob_item[place];
    }
    static inline void fetch_item(PyObject *items, Py_ssize_t place) {
        __builtin_prefetch(((PyListObject *)items)->ob_item + place, 1);
    }
    """
    void *item(list items, Py_ssize_t place) noexcept
    void fetch_item(list items, Py_ssize_t place) noexcept

cdef class Call:
    cdef readonly unsigned long long key
    cdef Transaction transactions
    cdef Dialog dialogs
    cdef unsigned int place
    cdef unsigned short units
    cdef unsigned char resting

cdef class Queue:
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t units
    cdef list _ring
    cdef array.array _since
    cdef Py_ssize_t _head
    cdef Py_ssize_t _used

    cdef Call first(self)
    cdef bint is_due(self, Py_ssize_t ahead, long long period_ns, long long now_ns) noexcept
    cdef void *peek(self, Py_ssize_t ahead) noexcept
    cdef void fetch_place(self, Py_ssize_t place) noexcept
    cdef bint append(self, Call call, long long now_ns) except -1
    cdef bint remove(self, Call call) except -1
    cdef bint _resize(self, Py_ssize_t capacity) except -1
