cimport cython

from capture_agent.records.dialog cimport Dialog, Transaction
from capture_agent.correlate.index cimport Index
from capture_agent.correlate.queues cimport Call, Queue
from capture_agent.correlate.marks cimport call_key, fetch
from capture_agent.records.captured cimport CapturedMessage
from capture_agent.sip.message cimport SipMessage

cdef class Ahead:
    cdef unsigned long long _keys[128]  # AT_ONCE
    cdef unsigned long long _different[128]
    cdef void *_calls[128]

    cdef unsigned long long key(self, int number) noexcept
    cdef bint group(
        self, Index index, Queue resting, list[CapturedMessage] messages, Py_ssize_t first, int count
    ) except -1
    cdef bint queue(self, Index index, Queue queue, long long period_ns, long long now_ns) except -1
    cdef bint _parts(self, int count, int transaction) except -1
