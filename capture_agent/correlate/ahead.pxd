cimport cython

from capture_agent.records.dialog cimport DIALOG_ENDED, Dialog, Transaction
from capture_agent.correlate.index cimport Index
from capture_agent.correlate.queues cimport Call, Queue
from capture_agent.correlate.marks cimport call_key, fetch
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.message cimport SipMessage

cpdef enum:
    AT_ONCE = 128

cdef class Ahead:
    cdef unsigned long long _keys[AT_ONCE]
    cdef unsigned long long _different[AT_ONCE]
    cdef void *_calls[AT_ONCE]

    cdef unsigned long long key(self, int number) noexcept
    cdef bint group(
        self, Index index, Queue resting, list[CapturedMessage] messages, Py_ssize_t first, int count
    ) except -1
    cdef bint queue(self, Index index, Queue queue, long long period_ns, long long now_ns) except -1
    cdef bint _parts(self, int count, int transaction) except -1
