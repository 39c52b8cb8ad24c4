cimport cython
from capture_agent.records cimport Datagram, Frames

cdef class PacketDecoder:
    cdef readonly unsigned long long seen
    cdef readonly unsigned long long carried
    cdef readonly object rejected
    cdef unsigned long long[::1] _rejected
    cdef long long[::1] _rows
    cdef int _vlan
    cdef int _protocol
    cdef Py_ssize_t _end
    cdef Py_ssize_t _missing
    cdef Py_ssize_t _address_at
    cdef Py_ssize_t _address_size

    cdef Datagram _datagram(
        self, bytes data, Py_ssize_t udp, long long time_ns, unsigned long long number, object interface
    )
    cdef Py_ssize_t _network(self, bytes data, Py_ssize_t at, int link_type) except? 0
    cdef Py_ssize_t _raw(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _behind_ethertype(self, bytes data, Py_ssize_t kind_at, Py_ssize_t at) except? 0
    cdef Py_ssize_t _ipv4(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _ipv6(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _transport(self, bytes data, Py_ssize_t at) except? 0
    cdef void _bound(self, Py_ssize_t end) noexcept
