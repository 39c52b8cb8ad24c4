cimport cython
from cpython.bytes cimport PyBytes_AS_STRING

from capture_agent.records.datagram cimport FROM_HEP, NO_FRAME, NO_FRAME_END, NO_VLAN, Datagram, new_datagram
from capture_agent.records.frames cimport (
    FRAME_INTERFACE, FRAME_LENGTH, FRAME_ROW, FRAME_START, FRAME_TIME_NS, FRAME_WIRE_LENGTH,
    Frames,
)

cdef class PacketDecoder:
    cdef readonly unsigned long long seen
    cdef readonly unsigned long long carried
    cdef readonly object rejected
    cdef readonly object fragments
    cdef readonly dict unread
    cdef public bint keeps_frames
    cdef unsigned long long[::1] _rejected
    cdef bytes _data
    cdef long long _time_ns
    cdef int _vlan
    cdef int _depth
    cdef int _protocol
    cdef int _flags
    cdef unsigned int _sequence
    cdef Py_ssize_t _frame_at
    cdef Py_ssize_t _frame_end
    cdef Py_ssize_t _cut
    cdef tuple _frames
    cdef object _interface
    cdef Py_ssize_t _end
    cdef Py_ssize_t _missing
    cdef Py_ssize_t _payload_at
    cdef Py_ssize_t _address_at
    cdef Py_ssize_t _address_size
    cdef dict _link_types
    cdef dict _ethertypes
    cdef dict _protocols
    cdef dict _ports
    cdef bytes _tunnel_ports

    @cython.locals(rows="long long[::1]")
    cpdef list decode(self, Frames frames)
    cdef Datagram _datagram(self, Py_ssize_t header, unsigned long long number, object interface)
    cdef Datagram _hep_packet(self, unsigned long long number, object interface)
    cdef Py_ssize_t _network(self, bytes data, Py_ssize_t at, int link_type) except? 0
    cdef Py_ssize_t _other_link(self, bytes data, Py_ssize_t at, int link_type) except? 0
    cdef Py_ssize_t _exported(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _raw(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _behind_ethertype(self, bytes data, Py_ssize_t kind_at, Py_ssize_t at) except? 0
    cdef Py_ssize_t _ipv4(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _ipv6(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _fragment(
        self, bytes data, Py_ssize_t at, int offset, bint more, bytes identification
    ) except? 0
    cdef tuple _kept(self, bytes data)
    cdef Py_ssize_t _tunnel(self, dict table, int key, bytes data, Py_ssize_t at, Py_ssize_t otherwise) except? 0
    cdef Py_ssize_t _layer(self, bytes data, Py_ssize_t at, int kind) except? 0
    cdef Py_ssize_t _transport(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _udp(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _udp_tunnel(self, bytes data, Py_ssize_t at) except? 0
    cdef Py_ssize_t _tcp(self, bytes data, Py_ssize_t at) except? 0
    cdef void _bound(self, Py_ssize_t end) noexcept
