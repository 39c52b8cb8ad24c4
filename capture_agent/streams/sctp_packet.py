"""What the chunks of an SCTP packet have in common."""

from __future__ import annotations

from capture_agent.records.datagram import Datagram


def tag_of(datagram: Datagram) -> bytes:
    """The verification tag: RFC 9260 3.1, bytes 4 to 7 of the common header."""
    return datagram.data[datagram.start - 8 : datagram.start - 4] if datagram.start >= 12 else b""


def key_of(datagram: Datagram, back: bool = False) -> bytes:
    """The key of its direction, or of the opposite one."""
    ends = [
        datagram.source + datagram.source_port.to_bytes(2, "big"),
        datagram.destination + datagram.destination_port.to_bytes(2, "big"),
    ]
    return b"".join(reversed(ends) if back else ends)
