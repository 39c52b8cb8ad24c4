"""The input of mutations: our captures and their content, HEP packets, the messages of RFC 4475 and RFC 5118."""

from __future__ import annotations

import gzip
from functools import cache
from itertools import islice

import fuzz_paths
from encapsulations import build, names
from hep_samples import golden
from source_samples import (
    NANO_PACKETS,
    PACKETS,
    Packet,
    enhanced,
    interface,
    obsolete,
    pcap,
    pcapng,
    section,
    simple,
    statistics,
)
from test_builds import LINK_TYPES, PCAPS, PIECES, RECORDED, TOKENS
from test_capture_damage import SEEDS

from capture_agent.packet.decoder import PacketDecoder
from capture_agent.records.frames import Frames
from capture_agent.sip.scan import scan

__all__ = [
    "LINK_TYPES",
    "PIECES",
    "RECORDED",
    "TOKENS",
    "captures",
    "header_values",
    "packets",
    "payloads",
    "tunnelled",
]

TORTURE = fuzz_paths.TESTS.parents[1] / "shared" / "captures" / "torture"  # next to the work tree, if present
SHORT = 12_000  # bytes: a longer capture would take the time of many


@cache
def payloads() -> list[bytes]:
    """UDP payloads in our captures, SIP and others, and the torture messages."""
    found: dict[bytes, None] = {}
    for link_type in {link_type for link_type, _ in RECORDED}:
        frames = [frame for kind, frame in RECORDED if kind == link_type]
        found |= dict.fromkeys(datagram.payload for datagram in PacketDecoder().decode(Frames.of(frames, link_type)))
    found |= dict.fromkeys(path.read_bytes() for path in sorted(TORTURE.glob("rfc*/*")))
    return list(found)


@cache
def tunnelled() -> list[tuple[int, bytes]]:
    """Link type and first frame: all tunnels in Ethernet, all link layers, some pairs."""
    in_ethernet = [name for name in names(1, ("udp",)) if name.startswith("ethernet/")]
    wanted = [*names(0, ("udp", "udp-fragmented")), *in_ethernet, *islice(names(2, ("udp",)), 0, None, 1601)]
    return [(case.link_type, case.frames[0]) for case in map(build, wanted)]


@cache
def header_values() -> list[bytes]:
    """Values that have parameters."""
    found: dict[bytes, None] = {}
    for payload in payloads():
        if (sip := scan(payload, 0, len(payload))) is not None:
            values = (sip.from_value, sip.to_value, sip.via_value)
            found |= dict.fromkeys(value for value in values if value)
    return list(found)


@cache
def packets() -> list[bytes]:
    """HEP 1, 2 and 3."""
    return [sample.data for sample in golden()]


@cache
def captures() -> list[bytes]:
    """Capture files: those of the project that are short, and one with each kind of block and record."""
    frames = [Packet(frame, 1_700_000_000_000_000_000 + n) for n, (_, frame) in enumerate(RECORDED[:3])]
    blocks = [section(order) + interface(1, order, b"eth0", 60, 0x8A, -5) + interface(101, order)
              + enhanced(frames[0], order) + simple(frames[1], order) + obsolete(frames[2], order)
              + statistics(0, order, kernel=3, interface=1) for order in "<>"]  # fmt: skip
    files = [pcap(frames), pcap(NANO_PACKETS, ">", unit=1), pcapng(PACKETS), blocks[0] + blocks[1], blocks[1]]
    recorded = [path.read_bytes() for path in PCAPS]
    return [*SEEDS, *files, gzip.compress(blocks[0], mtime=0), *(data for data in recorded if len(data) < SHORT)]
