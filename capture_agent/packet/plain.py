"""What nearly all frames are - UDP in IPv4 in Ethernet, whole, without options - for the plain build: read in one go.

All others go the way of decode.py, and these would come to the same there: tests/builds compares both.
"""

from struct import Struct

from capture_agent.records import NO_VLAN, Datagram, Interface, new_datagram

# Ethertype; IP version and header length, total length, fragment, protocol; UDP ports and length.
HEADERS = Struct("!12xHBxHxxHxB10xHHHxx")
ROW = Struct("qqqqq")  # of Frames.index
ROW_SIZE = ROW.size


def usual_datagram(
    data: bytes, start: int, length: int, time_ns: int, number: int, interface: Interface, tunnel_ports: bytes
) -> Datagram | None:
    """The datagram of the frame data[start : start + length], or None where that is anything else."""
    if length < HEADERS.size:
        return None
    kind, version, total, fragment, protocol, source_port, destination_port, size = HEADERS.unpack_from(data, start)
    if kind != 0x0800 or version != 0x45 or protocol != 17 or fragment & 0x3FFF:
        return None
    if not 8 <= size <= total - 20 or total > length - 14:
        return None
    if tunnel_ports[source_port] or tunnel_ports[destination_port]:
        return None
    datagram: Datagram = new_datagram()
    datagram.data = data
    datagram.start = start + 42
    datagram.end = start + 34 + size
    datagram.address_at = start + 26
    datagram.address_size = 4
    datagram.source_port = source_port
    datagram.destination_port = destination_port
    datagram.time_ns = time_ns
    datagram.frame = number
    datagram.protocol = 17
    datagram.transport = "udp"
    datagram.vlan = NO_VLAN
    datagram.interface = interface
    datagram.missing = datagram.sequence = datagram.flags = 0
    datagram.frame_at = start
    return datagram
