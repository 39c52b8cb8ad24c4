cimport cython

from capture_agent.records.frames cimport (
    FRAME_INTERFACE, FRAME_LENGTH, FRAME_ROW, FRAME_START, FRAME_TIME_NS, FRAME_WIRE_LENGTH
)

@cython.locals(rows="long long[::1]", heads="long long[::1]", merged="long long[::1]")
cpdef Py_ssize_t merge_rows(object index, object pieces, object into) except -1
