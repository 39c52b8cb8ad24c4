cimport cython

from capture_agent.calls cimport Dialog, Transaction

cdef class Call:
    cdef bytes call_id
    cdef Transaction transactions
    cdef Dialog dialogs
    cdef Call before
    cdef Call after
    cdef long long since_ns
    cdef bint resting

cdef class Queue:
    cdef readonly Py_ssize_t count
    cdef Call first
    cdef Call last

    cdef bint append(self, Call call, long long now_ns) except -1
    cdef bint remove(self, Call call) except -1
