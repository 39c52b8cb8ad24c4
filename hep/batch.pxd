cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcpy

cdef class Encoder:
    cdef readonly int version
    cdef readonly object capture_id
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t used
    cdef bytearray _room
    cdef object _full
    cdef list _spare
    cdef object _ends
    cdef long long[::1] _end_at
    cdef bytes _template4
    cdef bytes _template6
    cdef bytes _tail
    cdef readonly bint with_vlan
    cdef int _vlan
    cdef int _name_at
    cdef long long _number
    cdef bytes _from_name
    cdef bytes _from_chunks
    cdef bytes _from_tail
    cdef int _from_vlan
    cdef dict _vlan_tails

    cpdef object set_vlan(self, int vlan)
    cpdef bint add(
        self,
        bytes data,
        Py_ssize_t address_at,
        Py_ssize_t address_size,
        int source_port,
        int destination_port,
        int protocol,
        long long time_ns,
        Py_ssize_t payload_start,
        Py_ssize_t payload_end,
        bytes correlation_id=*,
    ) except? False
    cpdef bint add_from(
        self,
        bytes data,
        Py_ssize_t address_at,
        Py_ssize_t address_size,
        int source_port,
        int destination_port,
        int protocol,
        long long time_ns,
        Py_ssize_t payload_start,
        Py_ssize_t payload_end,
        bytes correlation_id,
        long long capture_id,
        bytes node_name,
        int vlan,
        bytes chunks,
    ) except? False
    cdef object _set_sender(self, bytes node_name, int vlan, bytes chunks)
    cpdef bint append(self, bytes packet) except? False
    cdef Py_ssize_t _add_header_12(
        self,
        bytes data,
        Py_ssize_t address_at,
        Py_ssize_t address_size,
        int source_port,
        int destination_port,
        int protocol,
        long long time_ns,
        Py_ssize_t size,
    ) except -2
    cdef object _free(self, object needed)
    cdef object _grow(self, Py_ssize_t size)
    cdef Py_ssize_t _reserve(self, Py_ssize_t size) except -1
    cdef void _close(self, Py_ssize_t end) except *
