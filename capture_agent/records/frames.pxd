cpdef enum:
    FRAME_START = 0
    FRAME_LENGTH = 1
    FRAME_WIRE_LENGTH = 2
    FRAME_TIME_NS = 3
    FRAME_INTERFACE = 4
    FRAME_ROW = 5

cdef class Frames:
    cdef readonly bytes data
    cdef readonly object index
    cdef readonly Py_ssize_t count
    cdef readonly list interfaces
    cdef readonly unsigned long long first_number
