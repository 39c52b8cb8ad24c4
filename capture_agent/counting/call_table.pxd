cimport cython

from capture_agent.counting.call_counts cimport CallCounts
from capture_agent.counting.call_record cimport CallRecord
from capture_agent.counting.due_times cimport Deadlines
from capture_agent.counting.ids cimport call_of
from capture_agent.counting.ordered_table cimport OrderedTable
from capture_agent.sip.message cimport SipMessage

cdef class CallTable:
    cdef readonly Py_ssize_t limit
    cdef readonly unsigned long long begun
    cdef readonly unsigned long long over
    cdef readonly unsigned long long evicted
    cdef CallCounts _counts
    cdef OrderedTable _calls
    cdef Deadlines _deadlines

    cdef CallRecord find(self, SipMessage sip)
    cdef bint add(self, CallRecord call, long long due_ns) except -1
    cdef bint due(self, CallRecord call, long long due_ns) except -1
    cdef bint activate(self, CallRecord call, bint active) except -1
    cdef bint remove(self, CallRecord call) except -1
    cdef list past(self, long long now_ns)
    cdef list all(self)
    cdef bint _evict(self) except -1
