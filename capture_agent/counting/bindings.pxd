cimport cython

from capture_agent.counting.due_times cimport Deadlines, Timed
from capture_agent.counting.ordered_table cimport OrderedTable
from capture_agent.counting.side_counts cimport SideCounts

cdef class Binding(Timed):
    cdef public int side

    cpdef bint begin(self, unsigned long long key, int side) except -1

cdef class Bindings:
    cdef readonly Py_ssize_t limit
    cdef readonly unsigned long long begun
    cdef readonly unsigned long long over
    cdef readonly unsigned long long evicted
    cdef readonly SideCounts by_side
    cdef OrderedTable _held
    cdef Deadlines _deadlines

    cpdef bint put(self, unsigned long long aor, int side, long long seconds, long long now_ns) except -1
    cpdef pass_time(self, long long now_ns)
    cdef bint _remove(self, Binding one) except -1
    cdef bint _evict(self) except -1
