cimport cython

from capture_agent.records.frames cimport (
    FRAME_INTERFACE, FRAME_LENGTH, FRAME_ROW, FRAME_START, FRAME_TIME_NS, FRAME_WIRE_LENGTH
)

cdef class HepRows:
    cdef readonly object index
    cdef readonly Py_ssize_t count
    cdef readonly bint broken
    cdef long long[::1] _rows

    cpdef Py_ssize_t cut(self, bytes data, Py_ssize_t base, long long time_ns) except -1
    cdef object _grow(self)
