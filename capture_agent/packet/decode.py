"""Frames to UDP datagrams. Hot: compiled with decode.pxd, or plain Python.

Each step takes the offset where its header starts and returns the offset behind it, or minus a Reject.
No step reads at or behind `end`, the end of what was captured of this frame: another frame may follow there.
"""

from __future__ import annotations

from array import array

import cython

from capture_agent.packet.rejects import Reject
from capture_agent.records import (
    FRAME_INTERFACE,
    FRAME_LENGTH,
    FRAME_ROW,
    FRAME_START,
    FRAME_TIME_NS,
    FRAME_WIRE_LENGTH,
    NO_VLAN,
    Datagram,
    Frames,
    Interface,
)

ROW = cython.declare(cython.int, FRAME_ROW)
START = cython.declare(cython.int, FRAME_START)
LENGTH = cython.declare(cython.int, FRAME_LENGTH)
WIRE_LENGTH = cython.declare(cython.int, FRAME_WIRE_LENGTH)
TIME_NS = cython.declare(cython.int, FRAME_TIME_NS)
INTERFACE = cython.declare(cython.int, FRAME_INTERFACE)

LINK_TYPE = cython.declare(cython.int, Reject.LINK_TYPE)
NOT_IP = cython.declare(cython.int, Reject.NOT_IP)
CUT = cython.declare(cython.int, Reject.CUT)
IP_HEADER = cython.declare(cython.int, Reject.IP_HEADER)
FRAGMENT = cython.declare(cython.int, Reject.FRAGMENT)
TCP = cython.declare(cython.int, Reject.TCP)
PROTOCOL = cython.declare(cython.int, Reject.PROTOCOL)
UDP_HEADER = cython.declare(cython.int, Reject.UDP_HEADER)

NONE = cython.declare(cython.int, NO_VLAN)
UDP = "udp"
MAX_EXTENSION_HEADERS = cython.declare(cython.int, 16)  # RFC 8200 needs 7; a loop must end


@cython.cfunc
@cython.inline
def be16(data: bytes, at: cython.Py_ssize_t) -> cython.int:
    return data[at] << 8 | data[at + 1]


@cython.final
@cython.cclass
class PacketDecoder:
    """Counts what it has seen: seen = carried + the sum of rejected."""

    __slots__ = (
        "_address_at",
        "_address_size",
        "_end",
        "_missing",
        "_protocol",
        "_rejected",
        "_rows",
        "_vlan",
        "carried",
        "rejected",
        "seen",
    )

    def __init__(self) -> None:
        self.seen = 0
        self.carried = 0
        self.rejected = array("Q", bytes(8 * (max(Reject) + 1)))  # by Reject
        self._rejected = self.rejected

    def decode(self, frames: Frames) -> list[Datagram]:
        """The datagrams in these frames, in their order."""
        datagrams: list[Datagram] = []
        data: bytes = frames.data
        self._rows = frames.index
        link_types: list[int] = [seen_on.link_type for seen_on in frames.interfaces]
        link_type: cython.int
        interface: cython.Py_ssize_t
        start: cython.Py_ssize_t
        length: cython.Py_ssize_t
        wire: cython.Py_ssize_t
        at: cython.Py_ssize_t
        row: cython.Py_ssize_t
        n: cython.Py_ssize_t
        for n in range(frames.count):
            row = n * ROW
            start = self._rows[row + START]
            length = self._rows[row + LENGTH]
            interface = self._rows[row + INTERFACE]
            # Written so that no sum can overflow, whatever the index says.
            if start < 0 or not 0 <= length <= len(data) - start or not 0 <= interface < len(link_types):
                raise ValueError(f"frame {n} lies outside of its batch")
            link_type = link_types[interface]
            self._end = start + length
            wire = self._rows[row + WIRE_LENGTH]
            self._missing = wire - length if wire > length else 0
            self._vlan = NONE
            at = self._network(data, start, link_type)
            if at >= 0:
                at = self._transport(data, at)
            if at < 0:
                self._rejected[-at] += 1
                continue
            datagrams.append(
                self._datagram(
                    data, at, self._rows[row + TIME_NS], frames.first_number + n, frames.interfaces[interface]
                )
            )
        self.seen += frames.count
        self.carried += len(datagrams)
        return datagrams

    def _datagram(
        self,
        data: bytes,
        udp: cython.Py_ssize_t,
        time_ns: cython.longlong,
        number: cython.ulonglong,
        interface: Interface,
    ) -> Datagram:
        datagram: Datagram = Datagram.__new__(Datagram)
        datagram.data = data
        datagram.start = udp + 8
        datagram.end = self._end
        datagram.address_at = self._address_at
        datagram.address_size = self._address_size
        datagram.source_port = be16(data, udp)
        datagram.destination_port = be16(data, udp + 2)
        datagram.time_ns = time_ns
        datagram.frame = number
        datagram.protocol = 17
        datagram.transport = UDP
        datagram.vlan = self._vlan
        datagram.interface = interface
        datagram.missing = self._missing
        return datagram

    def _network(self, data: bytes, at: cython.Py_ssize_t, link_type: cython.int) -> int:
        """Past the link layer, and past the IP header behind it."""
        if link_type == 1:  # Ethernet
            return self._behind_ethertype(data, at + 12, at + 14)
        if link_type == 113:  # Linux cooked v1
            return self._behind_ethertype(data, at + 14, at + 16)
        if link_type == 276:  # Linux cooked v2
            return self._behind_ethertype(data, at, at + 20)
        if link_type in (12, 14, 101):  # raw IP; 12 and 14 are DLT_RAW on other systems
            return self._raw(data, at)
        if link_type == 228:
            return self._ipv4(data, at)
        if link_type == 229:
            return self._ipv6(data, at)
        if link_type in (
            0,
            108,
        ):  # BSD loopback: an address family in the byte order of the host, or big endian
            return self._raw(data, at + 4)
        return -LINK_TYPE

    def _raw(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """IP, whose version the first four bits tell."""
        if at >= self._end:
            return -CUT
        if data[at] >> 4 == 4:
            return self._ipv4(data, at)
        return self._ipv6(data, at) if data[at] >> 4 == 6 else -NOT_IP

    def _behind_ethertype(self, data: bytes, kind_at: cython.Py_ssize_t, at: cython.Py_ssize_t) -> int:
        """What the ethertype at kind_at announces starts at `at`, behind any VLAN tags (802.1Q, 802.1ad)."""
        kind: cython.int
        while at <= self._end:
            kind = be16(data, kind_at)
            if kind == 0x0800:
                return self._ipv4(data, at)
            if kind == 0x86DD:
                return self._ipv6(data, at)
            if kind not in (0x8100, 0x88A8, 0x9100, 0x9200):
                return -NOT_IP
            if at + 4 > self._end:
                return -CUT
            self._vlan = be16(data, at) & 0x0FFF
            kind_at = at + 2
            at += 4
        return -CUT

    def _ipv4(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """RFC 791."""
        if at + 20 > self._end:
            return -CUT
        header: cython.Py_ssize_t = (data[at] & 0x0F) * 4
        total: cython.Py_ssize_t = be16(data, at + 2)
        if data[at] >> 4 != 4 or header < 20:
            return -IP_HEADER
        if total == 0:  # segmentation offload: the length was not known yet
            total = self._end - at
        if total < header:
            return -IP_HEADER
        if at + header > self._end:
            return -CUT
        self._bound(at + total)
        if be16(data, at + 6) & 0x3FFF:  # more fragments, or an offset
            return -FRAGMENT
        self._protocol = data[at + 9]
        self._address_at = at + 12
        self._address_size = 4
        return at + header

    def _ipv6(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """RFC 8200, and past the extension headers of its section 4."""
        if at + 40 > self._end:
            return -CUT
        if data[at] >> 4 != 6:
            return -IP_HEADER
        length: cython.Py_ssize_t = be16(data, at + 4)
        self._address_at = at + 8
        self._address_size = 16
        if length:  # 0: a jumbogram (RFC 2675), or segmentation offload
            self._bound(at + 40 + length)
        kind: cython.int = data[at + 6]
        at += 40
        for _ in range(MAX_EXTENSION_HEADERS):
            if kind not in (0, 43, 44, 51, 60, 135, 139, 140):
                self._protocol = kind
                return at
            if at + 8 > self._end:
                return -CUT if self._missing else -IP_HEADER
            if kind == 44:
                if be16(data, at + 2) & 0xFFF9:  # RFC 6946: neither offset nor more fragments is no fragment
                    return -FRAGMENT
                length = 8
            elif kind == 51:  # RFC 4302: in units of 4 bytes, less 2
                length = (data[at + 1] + 2) * 4
            else:
                length = (data[at + 1] + 1) * 8
            kind = data[at]
            at += length
        return -IP_HEADER

    def _bound(self, end: cython.Py_ssize_t) -> None:
        """The IP packet ends there: leave out what the link layer padded, count what the snap length cut."""
        if end <= self._end:
            self._end = end
            self._missing = 0
        else:
            self._missing = end - self._end

    def _transport(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """RFC 768: check the UDP header at this offset, and bound the payload. Gives the same offset."""
        if self._protocol != 17:
            return -TCP if self._protocol == 6 else -PROTOCOL
        if at + 8 > self._end:
            return -CUT if self._missing else -UDP_HEADER
        length: cython.Py_ssize_t = be16(data, at + 4)
        if length == 0:  # RFC 2675, or segmentation offload: to the end of the packet
            return at
        if length < 8 or at + length - self._end > self._missing:
            return -UDP_HEADER
        self._bound(at + length)
        return at
