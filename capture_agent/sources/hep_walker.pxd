cimport cython

from capture_agent.records.frames cimport (
    FRAME_INTERFACE, FRAME_LENGTH, FRAME_ROW, FRAME_START, FRAME_TIME_NS, FRAME_WIRE_LENGTH
)

cdef class HepWalker:
    cdef readonly object stopped
    cdef readonly Py_ssize_t at
    cdef readonly long long value

    cpdef Py_ssize_t walk(self, bytes data, Py_ssize_t at, object index, Py_ssize_t limit) except -1
    @cython.locals(rows="long long[::1]", text="const unsigned char[::1]")
    cpdef Py_ssize_t walk_part(
        self,
        object data,
        Py_ssize_t at,
        Py_ssize_t end,
        object index,
        Py_ssize_t first,
        Py_ssize_t limit,
        long long time_ns,
    ) except -1

cdef bint may_begin(const unsigned char[::1] text, Py_ssize_t at, Py_ssize_t end) except -1
