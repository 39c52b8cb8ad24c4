"""Traced messages as HEP3 packets, with chunks of our own for what HEP3 lacks: the layout of the packets.

Any decoder of HEP3 reads the packets. Here they have one layout, so that most fields are read with one struct: the
fixed chunks, then those of the trace, of the carriage (transport, interface), of the origin, and the payload. Messages
share traces, interfaces and origins: each is packed and unpacked once for a batch.

A payload that is too long for one packet goes on in packets that have the chunk CONTINUED and a payload.

What is left out: the message's transaction and dialog, which belong to the process, and the packet that carried it. The
payload is what sinks send, so a mask that was applied holds.
"""

from __future__ import annotations

import struct

from hep import Family, ProtocolType

SIP = int(ProtocolType.SIP)
VENDOR = 0xCA9E  # of our chunks; HEP3 rev. 37 has assigned 0 to 8

FIXED, CONTINUED = 1, 2
# Their types differ from those of HEP3's own chunks beside them.
USER, TABLE, RULE, MASK = 0x101, 0x102, 0x103, 0x104
TRANSPORT, INTERFACE, INTERFACE_FACTS = 0x201, 0x202, 0x203
ORIGIN_CORRELATION_ID, ORIGIN_CHUNKS = 0x301, 0x302

AGENT_NAME, CORRELATION_ID, PAYLOAD = 0x0013, 0x0011, 0x000F  # HEP3's own
CAPTURE_ID = 0x000C
CHUNK = struct.Struct("!HHH")
INTERFACE_NUMBERS = struct.Struct("!qq")  # link type, decimals of its times
CAPTURE_NUMBER = struct.Struct("!I")

# Bits of `marks` in the fixed chunk.
OUT, PLAIN_ROW, RETRANSMISSION, HAS_ORIGIN, ORIGIN_IN, ORIGIN_OUT = (1 << n for n in range(6))

# Of the fixed chunk: marks; time and time seen; sinks of the trace and of the message; VLAN, frame, missing bytes,
# TCP sequence and flags, problems; bytes of the trace's, the carriage's and the origin's chunks; bytes of the payload.
FACTS = "BqqQQiqqqqqHHHI"
FACTS_SIZE = struct.calcsize("!" + FACTS)


class Layout:
    """The fixed chunks of a message with addresses of this size: 4, 16, or 0 for none."""

    def __init__(self, size: int) -> None:
        kinds = {4: (3, 4), 16: (5, 6), 0: ()}[size]
        family = bytes([Family.IPV6 if size == 16 else Family.IPV4])
        self.before = CHUNK.pack(0, 1, 7) + family + CHUNK.pack(0, 2, 7)
        self.heads = [
            *(CHUNK.pack(0, kind, 6 + size) for kind in kinds),
            *(CHUNK.pack(0, kind, 6 + width) for kind, width in ((7, 2), (8, 2), (9, 4), (10, 4), (11, 1))),
            CHUNK.pack(VENDOR, FIXED, 6 + FACTS_SIZE),
        ]
        (
            self.of_source_port, self.of_destination_port, self.of_seconds, self.of_microseconds, self.of_kind,
            self.of_facts,
        ) = self.heads[-6:]  # fmt: skip
        addresses = f"6s{size}s" * len(kinds)
        self.pack = struct.Struct(f"!4sH13sB{addresses}6sH6sH6sI6sI6sB6s{FACTS}").pack
        skipping = f"6x{size}s" * len(kinds)
        reading = struct.Struct(f"!4sH13xB{skipping}6xH6xH6x4x6x4x6xB6x{FACTS}")
        self.size = reading.size
        self.unpack_from = reading.unpack_from


LAYOUTS = {size: Layout(size) for size in (4, 16, 0)}
SIZES = {layout.before + layout.heads[0]: size for size, layout in LAYOUTS.items()}
