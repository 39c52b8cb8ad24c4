"""Decodes frames to UDP datagrams, TCP segments and SCTP packets. Hot: compiled with decoder.pxd, or plain Python.

Each step takes the offset where its header starts and returns the offset after it, or minus a Reject.
No step reads at or after `_end`, the end of the frame's captured bytes: another frame may follow there.
Rare cases - tunnels, odd link layers, fragments - are plain Python: tunnels.py and defrag.py. A tunnel is one more
step over the same bytes; only a reassembled datagram gets its own buffer.
"""

from __future__ import annotations

from array import array

import cython

from capture_agent.books import Ledger, OfFrames
from capture_agent.packet import plain_udp as plain
from capture_agent.packet import tunnels
from capture_agent.packet.defrag import Defragmenter
from capture_agent.packet.exported import ETHERNET_NAMES, IP_NAMES, TRANSPORT_NAMES, exported_pdu
from capture_agent.packet.exported import LINK_TYPE as EXPORTED_LINK_TYPE
from capture_agent.packet.inner import ETHERNET, IP, IP_PROTOCOL, Decoder
from capture_agent.packet.link_type_names import named
from capture_agent.packet.rejects import ACCOUNT, REASONS, WITHIN_A_DATAGRAM, Reject
from capture_agent.records.datagram import Datagram, new_datagram
from capture_agent.records.frames import HEP_LINK_TYPE, CapturedFrame, Frames, Interface

if not cython.compiled:  # the .pxd cimports them
    from capture_agent.records.datagram import FROM_HEP, NO_FRAME, NO_FRAME_END, NO_VLAN
    from capture_agent.records.frames import (
        FRAME_INTERFACE,
        FRAME_LENGTH,
        FRAME_ROW,
        FRAME_START,
        FRAME_TIME_NS,
        FRAME_WIRE_LENGTH,
    )

LINK_TYPE = cython.declare(cython.int, Reject.LINK_TYPE)
NOT_IP = cython.declare(cython.int, Reject.NOT_IP)
CUT = cython.declare(cython.int, Reject.CUT)
IP_HEADER = cython.declare(cython.int, Reject.IP_HEADER)
PROTOCOL = cython.declare(cython.int, Reject.PROTOCOL)
TRANSPORT_HEADER = cython.declare(cython.int, Reject.TRANSPORT_HEADER)
DEPTH = cython.declare(cython.int, Reject.DEPTH)
HEP_LINK = cython.declare(cython.int, HEP_LINK_TYPE)
EXPORTED = cython.declare(cython.int, EXPORTED_LINK_TYPE)
READ_ALREADY = cython.declare(cython.int, 0x200)  # added to the protocol if no transport header follows
HEP = cython.declare(cython.int, 0x7FFE)  # a HEP packet from a listener or a dump: intake opens it
HELD = cython.declare(cython.int, 0x7FFF)  # a fragment, which the defragmenter's account counts

BY_LENGTH = cython.declare(cython.int, 0)  # a length instead of an ethertype (IEEE 802.3)
UDP, TCP, SCTP = "udp", "tcp", "sctp"
LATEST = cython.declare(cython.longlong, (1 << 62) - 1)  # in 2116: the difference of two times must have 64 bits
MAX_DEPTH = cython.declare(cython.int, 8)  # tunnels in tunnels
MAX_EXTENSION_HEADERS = cython.declare(cython.int, 16)  # RFC 8200 needs 7; loops must end


@cython.cfunc
@cython.inline
@cython.exceptval(-1)
def be16(data: bytes, at: cython.Py_ssize_t) -> cython.int:
    if not cython.compiled:
        return data[at] << 8 | data[at + 1]
    if not 0 <= at < len(data) - 1:
        raise IndexError("a number outside of its buffer")
    text: cython.p_uchar = cython.cast(cython.p_uchar, PyBytes_AS_STRING(data)) + at  # type: ignore[name-defined]  # noqa: F821 - cimported
    return text[0] << 8 | text[1]  # type: ignore[no-any-return]


@cython.final
@cython.cclass
class PacketDecoder:
    """Counts what it has seen: seen = carried + the sum of rejected + what `fragments` accounts for."""

    __slots__ = (
        "_address_at", "_address_size", "_cut", "_data", "_depth", "_end", "_ethertypes", "_flags", "_frame_at",
        "_frame_end", "_frames", "_interface", "_link_types", "_missing", "_payload_at", "_ports", "_protocol",
        "_protocols", "_rejected", "_sequence", "_time_ns", "_tunnel_ports", "_vlan", "carried", "fragments",
        "keeps_frames", "rejected", "seen", "unread",
    )  # fmt: skip

    def __init__(self, esp_null: bool = False) -> None:
        """esp_null: look into ESP for packets that are not encrypted (RFC 2410)."""
        self.seen = 0
        self.carried = 0
        self.rejected = array("Q", bytes(8 * (max(Reject) + 1)))  # by Reject
        self._rejected = self.rejected
        self.unread: dict[int, int] = {}  # frames by unsupported link type; LINKTYPE_ values have 16 bits
        self.fragments = Defragmenter()
        self.keeps_frames = False  # copies of the frames whose payloads get a buffer of their own
        self._frames: tuple[CapturedFrame, ...] | None = None
        self._link_types = tunnels.BY_LINK_TYPE
        self._ethertypes = tunnels.BY_ETHERTYPE | {BY_LENGTH: tunnels.BEHIND_LENGTH}
        self._protocols = tunnels.BY_IP_PROTOCOL | (tunnels.ESP_BY_IP_PROTOCOL if esp_null else {})
        self._sequence = self._flags = 0
        self._ports = tunnels.BY_UDP_PORT | (tunnels.ESP_BY_UDP_PORT if esp_null else {})
        marks = bytearray(65536)
        for port in self._ports:
            marks[port] = 1
        self._tunnel_ports = bytes(marks)

    def ledgers(self) -> list[Ledger]:
        parts = dict(self.fragments.accounts())
        outcomes: dict[str, int] = {OfFrames.CARRIED: self.carried}
        outcomes |= {name: parts[name] for name in WITHIN_A_DATAGRAM if parts[name]}
        rejected = {name: self.rejected[reason] for reason, name in REASONS.items()}
        rejected |= {f"fragment_{name}": count for name, count in parts.items()}
        return [ACCOUNT.ledger(self.seen, outcomes, rejected)]

    def notes(self) -> list[str]:
        """A line for each unsupported link type."""
        unread = sorted(self.unread.items())  # asked for while others count
        return [f"{named(number)} is not supported: {count} frames rejected" for number, count in unread]

    def decode(self, frames: Frames) -> list[Datagram]:
        """The datagrams in these frames, in their order."""
        datagrams: list[Datagram] = []
        data: bytes = frames.data
        rows = frames.index  # typed in the .pxd
        link_types: list[int] = [seen_on.link_type for seen_on in frames.interfaces]
        interface: cython.Py_ssize_t
        link_type: cython.int = 0
        known: cython.Py_ssize_t = -1  # the interface that has this link type
        start: cython.Py_ssize_t
        length: cython.Py_ssize_t
        wire: cython.Py_ssize_t
        time_ns: cython.longlong
        at: cython.Py_ssize_t
        row: cython.Py_ssize_t
        n: cython.Py_ssize_t
        for n in range(frames.count):
            if not cython.compiled and (usual := plain.usual_datagram(frames, n, self._tunnel_ports)):
                datagrams.append(usual)
                continue
            row = n * FRAME_ROW
            start = rows[row + FRAME_START]
            length = rows[row + FRAME_LENGTH]
            interface = rows[row + FRAME_INTERFACE]
            # Written so that no sum can overflow, whatever the index says.
            if start < 0 or not 0 <= length <= len(data) - start or not 0 <= interface < len(link_types):
                raise ValueError(f"frame {n} lies outside of its batch")
            if interface != known:
                link_type = link_types[interface]
                known = interface
                self._interface = frames.interfaces[interface]
            self._data = data
            self._frame_at = start
            self._end = self._frame_end = start + length
            wire = rows[row + FRAME_WIRE_LENGTH]
            self._missing = self._cut = wire - length if wire > length else 0
            self._frames = None
            time_ns = rows[row + FRAME_TIME_NS]
            self._time_ns = LATEST if time_ns > LATEST else -LATEST if time_ns < -LATEST else time_ns
            self._vlan = NO_VLAN
            self._depth = 0
            at = self._network(data, start, link_type)
            if at >= 0:
                at = self._transport(self._data, at)
            if at < 0:
                if at == -HEP:
                    datagrams.append(self._hep_packet(frames.first_number + n, frames.interfaces[interface]))
                elif at != -HELD:
                    self._rejected[-at] += 1
                continue
            datagrams.append(self._datagram(at, frames.first_number + n, frames.interfaces[interface]))
        self.seen += frames.count
        self.carried += len(datagrams)
        return datagrams

    def _datagram(self, header: cython.Py_ssize_t, number: cython.ulonglong, interface: Interface) -> Datagram:
        datagram: Datagram = new_datagram()
        datagram.data = self._data
        datagram.start = self._payload_at
        datagram.end = self._end
        datagram.address_at = self._address_at
        datagram.address_size = self._address_size
        datagram.source_port = be16(self._data, header)
        datagram.destination_port = be16(self._data, header + 2)
        datagram.time_ns = self._time_ns
        datagram.frame = number
        datagram.protocol = self._protocol
        datagram.transport = UDP if self._protocol == 17 else TCP if self._protocol == 6 else SCTP
        datagram.vlan = self._vlan
        datagram.interface = interface
        datagram.missing = self._missing
        datagram.frame_at = self._frame_at
        datagram.frame_end = self._frame_end
        datagram.frame_cut = self._cut
        datagram.frames = self._frames
        datagram.sequence = self._sequence if self._protocol == 6 else 0
        datagram.flags = self._flags if self._protocol != 17 else 0
        if not cython.compiled:
            datagram.envelope = None
        return datagram

    def _hep_packet(self, number: cython.ulonglong, interface: Interface) -> Datagram:
        """The whole frame as a payload without addresses."""
        datagram: Datagram = new_datagram()
        datagram.data = self._data
        datagram.start = self._frame_at
        datagram.end = self._end
        datagram.address_at = datagram.address_size = 0
        datagram.source_port = datagram.destination_port = 0
        datagram.time_ns = self._time_ns
        datagram.frame = number
        datagram.protocol = 17
        datagram.transport = UDP
        datagram.vlan = NO_VLAN
        datagram.interface = interface
        datagram.missing = self._missing
        datagram.frame_at = NO_FRAME
        datagram.frame_end = NO_FRAME_END
        datagram.frame_cut = 0
        datagram.sequence = 0
        datagram.flags = FROM_HEP
        if not cython.compiled:
            datagram.envelope = datagram.frames = None
        return datagram

    def _network(self, data: bytes, at: cython.Py_ssize_t, link_type: cython.int) -> int:
        """Past the link layer, and past the IP header after it."""
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
        return self._other_link(data, at, link_type)

    def _other_link(self, data: bytes, at: cython.Py_ssize_t, link_type: cython.int) -> int:
        """Rare link types: kept apart, so that they do not slow down the usual ones."""
        if link_type == HEP_LINK:
            return -HEP
        if link_type == EXPORTED:
            return self._exported(data, at)
        if link_type not in self._link_types:
            self.unread[link_type & 0xFFFF] = self.unread.get(link_type & 0xFFFF, 0) + 1
        return self._tunnel(self._link_types, link_type, data, at, -LINK_TYPE)

    def _exported(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """A PDU exported by Wireshark. Its endpoints are in no header, so they get a buffer, with the payload."""
        pdu = exported_pdu(data, at, self._end)
        if pdu is None:
            return -CUT if self._missing else -LINK_TYPE
        at = pdu.payload_at
        if pdu.dissector in IP_NAMES:
            return self._raw(data, at)
        if pdu.dissector in ETHERNET_NAMES:
            return self._behind_ethertype(data, at + 12, at + 14)
        transport: cython.int = TRANSPORT_NAMES.get(pdu.dissector, 0)
        if not transport and not pdu.protocol:
            return -PROTOCOL
        self._frames = self._kept(data)
        self._frame_end = NO_FRAME_END
        self._data = pdu.endpoints + data[at : self._end]
        self._end = len(self._data)
        self._frame_at = NO_FRAME
        self._address_at = 0
        self._address_size = len(pdu.source)
        at = 2 * self._address_size
        self._payload_at = at + 4
        if transport:  # its header follows
            self._protocol = transport
            return at + 4
        self._sequence = pdu.sequence
        self._flags = pdu.flags
        self._protocol = READ_ALREADY + pdu.protocol
        return at

    def _raw(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """IP, with its version in the first four bits."""
        if at >= self._end:
            return -CUT
        if data[at] >> 4 == 4:
            return self._ipv4(data, at)
        return self._ipv6(data, at) if data[at] >> 4 == 6 else -NOT_IP

    def _behind_ethertype(self, data: bytes, kind_at: cython.Py_ssize_t, at: cython.Py_ssize_t) -> int:
        """Past any VLAN tags (802.1Q, 802.1ad). The ethertype is at kind_at, its payload starts at `at`."""
        kind: cython.int
        while at <= self._end:
            kind = be16(data, kind_at)
            if kind == 0x0800:
                return self._ipv4(data, at)
            if kind == 0x86DD:
                return self._ipv6(data, at)
            if kind not in (0x8100, 0x88A8, 0x9100, 0x9200):
                return self._tunnel(self._ethertypes, kind if kind >= 0x0600 else BY_LENGTH, data, at, -NOT_IP)
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
        self._protocol = data[at + 9]
        self._address_at = at + 12
        self._address_size = 4
        fragment: cython.int = be16(data, at + 6)
        if fragment & 0x3FFF:  # more fragments, or an offset
            return self._fragment(
                data, at + header, fragment << 3 & 0xFFF8, (fragment & 0x2000) != 0, data[at + 4 : at + 6]
            )
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
        fragment: cython.int
        at += 40
        for _ in range(MAX_EXTENSION_HEADERS):
            if kind not in (0, 43, 44, 51, 60, 135, 139, 140):
                self._protocol = kind
                return at
            if at + 8 > self._end:
                return -CUT if self._missing else -IP_HEADER
            if kind == 44:
                fragment = be16(data, at + 2)
                if fragment & 0xFFF9:  # RFC 6946: without offset and more fragments it is not a fragment
                    self._protocol = data[at]
                    return self._fragment(data, at + 8, fragment & 0xFFF8, (fragment & 1) != 0, data[at + 4 : at + 8])
                length = 8
            elif kind == 51:  # RFC 4302: in units of 4 bytes, less 2
                length = (data[at + 1] + 2) * 4
            else:
                length = (data[at + 1] + 1) * 8
            kind = data[at]
            at += length
        return -IP_HEADER

    def _bound(self, end: cython.Py_ssize_t) -> None:
        """The IP packet ends there: leave out the link layer's padding, count packets cut by the snap length."""
        if end <= self._end:
            self._end = end
            self._missing = 0
        else:
            self._missing = end - self._end

    def _fragment(
        self, data: bytes, at: cython.Py_ssize_t, offset: cython.int, more: cython.bint, identification: bytes
    ) -> int:
        """The last missing fragment completes the datagram, in a new buffer, after that fragment's headers."""
        if self._missing:
            return -CUT
        addresses: bytes = data[self._address_at : self._address_at + 2 * self._address_size]
        key = addresses + identification + bytes((self._protocol,))
        whole = self.fragments.add(key, offset, more, data[at : self._end], self._time_ns, self._kept(data) or ())
        if whole is None:
            return -HELD
        self._frames = self.fragments.carriers or None
        self._frame_end = NO_FRAME_END
        self._data = data[self._frame_at : at] + whole
        self._end = len(self._data)
        self._address_at -= self._frame_at
        at -= self._frame_at
        self._frame_at = 0
        return at

    def _kept(self, data: bytes) -> tuple[CapturedFrame, ...] | None:
        """Copies of the frames that have carried this buffer, if they are wanted."""
        if self._frames is not None or not self.keeps_frames:
            return self._frames
        frame = data[self._frame_at : self._frame_end]
        return (CapturedFrame(frame, self._time_ns, self._cut, self._interface),)

    def _tunnel(
        self,
        table: dict[int, Decoder],
        key: cython.int,
        data: bytes,
        at: cython.Py_ssize_t,
        otherwise: cython.Py_ssize_t,
    ) -> int:
        """The payload of a header of this kind, up to its transport layer; `otherwise` if it is not a tunnel."""
        decoder = table.get(key)
        if decoder is None:
            return otherwise
        inner = decoder(data, at, self._end)
        if inner is None:
            return otherwise
        if self._depth == MAX_DEPTH:
            return -DEPTH
        self._depth += 1
        if inner.end < self._end:  # a trailer
            self._bound(inner.end)
        return self._layer(data, inner.at, inner.kind)

    def _layer(self, data: bytes, at: cython.Py_ssize_t, kind: cython.int) -> int:
        """A layer, by its name in tunnels.py."""
        if kind == ETHERNET:
            return self._behind_ethertype(data, at + 12, at + 14)
        if kind == IP:
            return self._raw(data, at)
        if IP_PROTOCOL <= kind < 0x0600:
            self._protocol = kind - IP_PROTOCOL
            return at
        if kind in (0x0800, 0x86DD):
            return self._raw(data, at)
        if kind in (0x8100, 0x88A8, 0x9100, 0x9200):
            if at + 4 > self._end:
                return -CUT
            self._vlan = be16(data, at) & 0x0FFF
            return self._behind_ethertype(data, at + 2, at + 4)
        return self._tunnel(self._ethertypes, kind, data, at, -NOT_IP)

    def _transport(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """Check the transport header at this offset, find and bound its payload. Returns the innermost one's offset."""
        if self._protocol == 17:
            return self._udp(data, at)
        if self._protocol == 6:
            return self._tcp(data, at)
        if self._protocol == 132:  # RFC 9260: ports, verification tag, checksum
            self._payload_at = at + 12
            self._flags = 0
            return at if at + 12 <= self._end else -CUT if self._missing else -TRANSPORT_HEADER
        if self._protocol >= READ_ALREADY:
            self._protocol -= READ_ALREADY
            return at
        at = self._tunnel(self._protocols, self._protocol, data, at, -PROTOCOL)
        return self._transport(self._data, at) if at >= 0 else at

    def _udp(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """RFC 768."""
        if at + 8 > self._end:
            return -CUT if self._missing else -TRANSPORT_HEADER
        length: cython.Py_ssize_t = be16(data, at + 4)
        if length:  # 0: RFC 2675, or segmentation offload, to the end of the packet
            if length < 8 or at + length - self._end > self._missing:
                return -TRANSPORT_HEADER
            self._bound(at + length)
        self._payload_at = at + 8
        if self._tunnel_ports[be16(data, at + 2)] or self._tunnel_ports[be16(data, at)]:
            return self._udp_tunnel(data, at)
        return at

    def _udp_tunnel(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """A payload that is not this tunnel, or that we cannot read, is a payload like any other."""
        before = (
            self._data, self._end, self._missing, self._vlan, self._protocol, self._address_at, self._address_size,
            self._depth, self._frame_at, self._frame_end, self._frames,
        )  # fmt: skip
        port = be16(data, at + 2)
        if port not in self._ports:
            port = be16(data, at)
        inner: cython.Py_ssize_t = self._tunnel(self._ports, port, data, at + 8, -PROTOCOL)
        if inner >= 0:
            inner = self._transport(self._data, inner)
        if inner >= 0 or inner in (-HELD, -DEPTH):
            return inner
        (
            self._data, self._end, self._missing, self._vlan, self._protocol, self._address_at, self._address_size,
            self._depth, self._frame_at, self._frame_end, self._frames,
        ) = before  # fmt: skip
        self._payload_at = at + 8
        return at

    def _tcp(self, data: bytes, at: cython.Py_ssize_t) -> int:
        """RFC 9293."""
        if at + 20 > self._end:
            return -CUT if self._missing else -TRANSPORT_HEADER
        header: cython.Py_ssize_t = (data[at + 12] >> 4) * 4
        if header < 20 or at + header - self._end > self._missing:
            return -TRANSPORT_HEADER
        if at + header > self._end:
            return -CUT
        self._sequence = cython.cast(cython.uint, be16(data, at + 4)) << 16 | be16(data, at + 6)
        self._flags = data[at + 13]
        self._payload_at = at + header
        return at
