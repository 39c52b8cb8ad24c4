"""A packet that keeps an idle connection open, and that no collector takes for a message."""

from __future__ import annotations

import time

from capture_agent.config.targets import HepTarget
from capture_agent.net.connecting import Endpoint
from hep import Packet, encode

# heplify-server discards this type; sngrep reads SIP alone, type 1. Rev. 37 begins with type 1.
NO_PROTOCOL = 0
MOST_SECONDS = 0xFFFF
TCP = 6


def keep_alive_packet(target: HepTarget, endpoints: tuple[Endpoint, Endpoint]) -> bytes:
    """HEP3 with the connection's addresses, the keep-alive timer (chunk 0x000d), and an empty payload."""
    (source, source_port), (destination, destination_port) = endpoints
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    packet = Packet(
        source=source,
        destination=destination,
        source_port=source_port,
        destination_port=destination_port,
        protocol=TCP,
        seconds=seconds & 0xFFFFFFFF,
        microseconds=nanoseconds // 1000,
        protocol_type=NO_PROTOCOL,
        capture_id=target.capture_id,
        keep_alive=min(MOST_SECONDS, max(1, int(target.keep_alive_seconds))),
        auth_key=target.auth_key.encode() or None,
        agent_name=target.node_name.encode() or None,
        payload=b"",
    )
    return encode(packet)
