cimport cython
from cpython.bytes cimport PyBytes_AS_STRING

from capture_agent.records.frames cimport (
    FRAME_INTERFACE, FRAME_LENGTH, FRAME_ROW, FRAME_START, FRAME_TIME_NS, FRAME_WIRE_LENGTH
)

cdef int INTERFACE_NUMBER, SNAPSHOT, SHIFT, MULTIPLY, DIVIDE, OFFSET

cdef class PcapWalker:
    cdef readonly object stopped
    cdef readonly Py_ssize_t at
    cdef readonly long long value
    cdef readonly bint big_endian
    cdef long long _unit
    cdef Py_ssize_t _header_size
    cdef bint _lengths_swapped
    cdef bint _lengths_mixed
    cdef object _header

    @cython.locals(rows="long long[::1]")
    cpdef Py_ssize_t walk(self, bytes data, Py_ssize_t at, object index, Py_ssize_t limit) except -1
    cdef Py_ssize_t _stop(self, object why, Py_ssize_t at, long long value, Py_ssize_t count)

cdef class PcapngWalker:
    cdef readonly object stopped
    cdef readonly Py_ssize_t at
    cdef readonly long long value
    cdef readonly bint big_endian
    cdef readonly object clocks
    cdef long long _kind
    cdef long long _length
    cdef long long _header_size
    cdef long long _captured
    cdef long long _wire
    cdef long long _time_ns
    cdef object _block
    cdef object _packet
    cdef object _word

    @cython.locals(rows="long long[::1]", clocks="long long[::1]")
    cpdef Py_ssize_t walk(self, bytes data, Py_ssize_t at, object index, Py_ssize_t limit) except -1
    cdef void _set_order(self, bint big_endian) except *
    cdef object _enter_block(self, bytes data, Py_ssize_t at)
    cdef void _read_header(self, bytes data, Py_ssize_t at) except *
    cdef Py_ssize_t _enter_packet(self, bytes data, Py_ssize_t at, long long[::1] clocks) except? -2
    cdef Py_ssize_t _stop(self, object why, long long value)

@cython.locals(rows="long long[::1]")
cpdef Py_ssize_t index_live_batch(bytes meta, Py_ssize_t data_size, object index) except -1
