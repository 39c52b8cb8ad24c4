from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from capture_agent.records.origin cimport Envelope

cpdef enum:
    NO_VLAN = -1
    NO_FRAME = -1
    FROM_HEP = 0x300
    NO_FRAME_END = 0
    WHOLE_MESSAGE = 0x100

cdef class Datagram:
    cdef readonly bytes data
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t address_at
    cdef readonly Py_ssize_t address_size
    cdef readonly int source_port
    cdef readonly int destination_port
    cdef readonly long long time_ns
    cdef readonly unsigned long long frame
    cdef readonly int protocol
    cdef readonly str transport
    cdef readonly int vlan
    cdef readonly object interface
    cdef readonly Py_ssize_t missing
    cdef readonly unsigned int sequence
    cdef readonly int flags
    cdef readonly Py_ssize_t frame_at
    cdef readonly Py_ssize_t frame_end
    cdef readonly Py_ssize_t frame_cut
    cdef readonly tuple frames
    cdef readonly Envelope envelope

    cdef bytes _address(self, int number)
    cpdef bytes cut(self, Py_ssize_t start, Py_ssize_t end)
    cpdef Datagram carrying(self, bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t missing=*)

cpdef Datagram new_datagram()
