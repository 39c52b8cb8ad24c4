"""For the plain build, reads nearly all frames - complete UDP in IPv4 in Ethernet, without options - in one step.

decode.py reads all others, and would give the same result for these: tests/builds compares both.
"""

from struct import Struct

from capture_agent.records.datagram import NO_VLAN, Datagram, new_datagram
from capture_agent.records.frames import Frames

# Ethertype; IP version and header length, total length, fragment, protocol; UDP ports and length.
HEADERS = Struct("!12xHBxHxxHxB10xHHHxx")
ROW = Struct("qqqqq")  # of Frames.index
LATEST = 1 << 62  # as in decode.py, which bounds earlier and later times
ETHERNET = 1


def usual_datagram(frames: Frames, n: int, tunnel_ports: bytes) -> Datagram | None:
    """The datagram in frame n, or None if it is any other frame."""
    data = frames.data
    start, length, wire, time_ns, number = ROW.unpack_from(frames.index, n * ROW.size)
    if length < HEADERS.size or not 0 <= start <= len(data) - length or not -LATEST < time_ns < LATEST:
        return None
    if not 0 <= number < len(frames.interfaces) or frames.interfaces[number].link_type != ETHERNET:
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
    datagram.frame = frames.first_number + n
    datagram.protocol = 17
    datagram.transport = "udp"
    datagram.vlan = NO_VLAN
    datagram.interface = frames.interfaces[number]
    datagram.missing = datagram.sequence = datagram.flags = 0
    datagram.frame_at = start
    datagram.frame_end = start + length
    datagram.frame_cut = max(0, wire - length)
    datagram.frames = None
    datagram.envelope = None
    return datagram
