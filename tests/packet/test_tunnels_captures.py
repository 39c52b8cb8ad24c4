"""The decoders on recordings: what tshark found in a tunnel, a walk over the tables finds at the same place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from capture_agent.packet import tunnels
from capture_agent.packet.inner import ETHERNET, FIRST_ETHERTYPE, IP, IP_PROTOCOL, Inner, be16
from capture_agent.sources.capture_file import CaptureFile

MAX_DEPTH = 16
SLL, UDP = 113, 17
VLANS = (0x8100, 0x88A8)

CAPTURES = [
    ("nDPI__gre.pcapng", ""),
    ("sipnab__DTMFsipinfo.pcap", ""),
    ("arkime__gtp-iphone.pcap", ""),
    ("sngrep__ipip.pcap", ""),
    ("snort3_demo__gtpingtp.pcap", ""),
    ("open5gs__volte.pcapng", ""),
    ("open5gs__ipsec_reg.pcapng", ".esp-null"),
    ("open5gs__ipsec_to_nonipsec_call.pcapng", ".esp-null"),
]


def packets(frame: bytes, link_type: int) -> Iterator[tuple[int, bytes]]:
    """IP protocol and payload of every IP packet in a frame that is no fragment, from the outermost in."""
    step: Inner | None
    if link_type == SLL:
        step = Inner(be16(frame, 14), 16, len(frame))
    elif link_type == 1:
        step = Inner(ETHERNET, 0, len(frame))
    else:
        step = tunnels.BY_LINK_TYPE[link_type](frame, 0, len(frame))
    for _ in range(MAX_DEPTH):
        if step is None:
            return
        kind, at, end = step
        if kind == ETHERNET:
            step = Inner(be16(frame, at + 12), at + 14, end)
        elif kind in VLANS:
            step = Inner(be16(frame, at + 2), at + 4, end)
        elif kind in (IP, 0x0800, 0x86DD):
            step = behind_ip(frame, at, end)
        elif kind >= FIRST_ETHERTYPE:
            decoder = tunnels.BY_ETHERTYPE.get(kind)
            step = decoder(frame, at, end) if decoder else None
        else:
            protocol = kind - IP_PROTOCOL
            yield protocol, frame[at:end]
            step = behind_protocol(protocol, frame, at, end)


def behind_ip(frame: bytes, at: int, end: int) -> Inner | None:
    """These captures have neither options nor extension headers in front of SIP."""
    if frame[at] >> 4 == 4:
        if be16(frame, at + 6) & 0x3FFF:
            return None
        return Inner(IP_PROTOCOL + frame[at + 9], at + (frame[at] & 15) * 4, min(end, at + be16(frame, at + 2)))
    return Inner(IP_PROTOCOL + frame[at + 6], at + 40, min(end, at + 40 + be16(frame, at + 4)))


def behind_protocol(protocol: int, frame: bytes, at: int, end: int) -> Inner | None:
    if decoder := tunnels.BY_IP_PROTOCOL.get(protocol) or tunnels.ESP_BY_IP_PROTOCOL.get(protocol):
        return decoder(frame, at, end)
    if protocol == UDP and (decoder := tunnels.BY_UDP_PORT.get(be16(frame, at + 2))):
        return decoder(frame, at + 8, end)
    return None


@pytest.mark.parametrize(("name", "variant"), CAPTURES)
def test_tshark_found_the_same_in_tunnels(name: str, variant: str, shared: Path) -> None:
    lines = (shared / "captures" / "truth" / f"{name}{variant}.jsonl").read_text().splitlines()
    wanted = {
        (message["frame"], message["sha256"])
        for message in map(json.loads, lines)
        if message["kind"] == "message" and message["transport"] == "udp" and "ip_fragments" not in message
    }
    found = set()
    with CaptureFile(shared / "captures" / "files" / name) as source:
        for frames in source.batches():
            for n in range(len(frames)):
                link_type = frames.interfaces[0].link_type
                for protocol, payload in packets(frames.frame(n), link_type):
                    if protocol == UDP and b"SIP/2.0" in payload:
                        found.add((frames.first_number + n, hashlib.sha256(payload[8:]).hexdigest()))
    assert wanted - found == set()
    assert len(wanted) > 0 or name == "sngrep__ipip.pcap"


def test_tcp_in_tunnels_is_reached(shared: Path) -> None:
    for name in ("sngrep__ipip.pcap", "arkime__gtp-iphone.pcap"):
        with CaptureFile(shared / "captures" / "files" / name) as source:
            [frames] = source.batches()
            link_type = frames.interfaces[0].link_type
            inside = [list(packets(frames.frame(n), link_type))[-1] for n in range(len(frames))]
        assert any(protocol == 6 and b"SIP/2.0" in payload for protocol, payload in inside)
