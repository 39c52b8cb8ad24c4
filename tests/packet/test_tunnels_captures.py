"""The decoders on recordings: a walk over the tables finds the same packets in tunnels as tshark."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from tunnel_walk import TCP, UDP, packets

from capture_agent.sources.capture_file import CaptureFile

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
        assert any(protocol == TCP and b"SIP/2.0" in payload for protocol, payload in inside)
