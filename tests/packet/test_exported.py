"""SIP exported by Wireshark, and unsupported link types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import which
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.packet.exported import LINK_TYPE, exported_pdu
from capture_agent.packet.link_type_names import NAMES, named
from capture_agent.pipeline import Pipeline
from capture_agent.records.frames import Frames

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"
SIP = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
V4 = (bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
V6 = (bytes(15) + b"\1", bytes(15) + b"\2")


def tag(number: int, value: bytes) -> bytes:
    value += bytes(-len(value) % 4)
    return pack(">HH", number, len(value)) + value


def tags(
    name: bytes = b"sip",
    addresses: tuple[bytes, bytes] = V4,
    port_type: int | None = 3,
    ports: tuple[int, int] = (5061, 5062),
    more: bytes = b"",
) -> bytes:
    first = 20 if len(addresses[0]) == 4 else 22
    found = tag(12, name) + tag(first, addresses[0]) + tag(first + 1, addresses[1])
    found += b"" if port_type is None else tag(24, pack(">I", port_type))
    return found + tag(25, pack(">I", ports[0])) + tag(26, pack(">I", ports[1])) + more + bytes(4)


def ip_udp(payload: bytes) -> bytes:
    udp = pack(">HHHH", 5061, 5062, 8 + len(payload), 0) + payload
    return pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + V4[0] + V4[1] + udp


@pytest.mark.parametrize(
    ("frame", "transport"),
    [
        pytest.param(tags() + SIP, "udp", id="UDP"),
        pytest.param(tags(port_type=None) + SIP, "udp", id="no port type"),
        pytest.param(tags(port_type=0) + SIP, "udp", id="port type NONE"),
        pytest.param(tags(port_type=2) + SIP, "tcp", id="TCP, or TLS that Wireshark has decrypted"),
        pytest.param(tags(port_type=1) + SIP, "sctp", id="SCTP"),
        pytest.param(tags(addresses=V6) + SIP, "udp", id="IPv6"),
        pytest.param(tags(b"sip.tcp", port_type=2) + SIP, "tcp", id="another dissector's name"),
        pytest.param(tags(more=tag(30, pack(">I", 4))) + SIP, "udp", id="frame number"),
        pytest.param(tag(1, b"a comment") + tags() + SIP, "udp", id="comment"),
        pytest.param(tags(b"udp") + ip_udp(SIP)[20:], "udp", id="UDP header"),
        pytest.param(tag(12, b"ip") + bytes(4) + ip_udp(SIP), "udp", id="IP packet"),
        pytest.param(tag(12, b"eth_withoutfcs") + bytes(4) + bytes(12) + b"\x08\0" + ip_udp(SIP), "udp", id="Ethernet"),
    ],
)
def test_each_transport(frame: bytes, transport: str) -> None:
    pipeline = Pipeline()
    (message,) = pipeline.messages(Frames.of([frame], LINK_TYPE))
    datagram = message.datagram
    assert message.raw == SIP
    assert datagram.transport == transport
    addresses = V6 if b"\x00\x16\x00\x10" in frame else V4
    assert (datagram.source, datagram.destination) == addresses
    assert (datagram.source_port, datagram.destination_port) == (5061, 5062)


def test_messages_of_one_connection_are_each_whole() -> None:
    """The same request twice is two messages: the second is not a TCP retransmission."""
    pipeline = Pipeline()
    frames = [tags(port_type=2) + SIP] * 2 + [tags(port_type=2) + SIP.replace(b"Content-Length: 0\r\n", b"")]
    assert len(pipeline.messages(Frames.of(frames, LINK_TYPE))) == 3


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="empty"),
        pytest.param(tags()[:-4], id="no end of tags"),
        pytest.param(tag(12, b"sip")[:6], id="cut tag"),
        pytest.param(tag(30, b"") * 100 + bytes(4) + SIP, id="too many tags"),
        pytest.param(tags(port_type=5) + SIP, id="IPX"),
    ],
)
def test_refused(frame: bytes) -> None:
    pipeline = Pipeline()
    assert pipeline.messages(Frames.of([frame], LINK_TYPE)) == []
    assert sum(pipeline.packets.rejected) == 1


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_are_read_within_bounds(data: bytes, cut: int) -> None:
    whole = tags() + SIP
    pdu = exported_pdu(data, 0, len(data))
    assert pdu is None or pdu.payload_at <= len(data)
    Pipeline().messages(Frames.of([data, whole[:cut] + data], LINK_TYPE))


def decoded(path: Path) -> tuple[list[dict[str, object]], str]:
    command = [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", path]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.skipif(which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("layer", ["OSI layer 7", "OSI layer 4"])
@pytest.mark.parametrize("capture", ["call-tcp.pcap", "call.pcap", "call-ipv6.pcap"])
def test_what_tshark_exports(capture: str, layer: str, pcaps: Path, tmp_path: Path) -> None:
    path = tmp_path / "exported.pcapng"
    command = ["tshark", "-r", pcaps / capture, "-U", layer, "-w", path]
    subprocess.run(command, check=True, capture_output=True, timeout=60, env={**os.environ, "HOME": str(tmp_path)})
    found, _ = decoded(path)
    wanted, _ = decoded(pcaps / capture)
    what = ("src", "dst", "sport", "dport", "transport", "method", "call_id", "sha256")
    assert [[one[name] for name in what] for one in found] == [[one[name] for name in what] for one in wanted]


def test_the_input_that_was_rejected() -> None:
    found, books = decoded(INPUTS / "exported_pdu.link252.pcap")
    assert [one["method"] for one in found] == ["INVITE"]
    assert "0 rejected" in books


def test_a_link_type_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "juniper.pcap"
    record = pack("<IIII", 1, 0, 4, 4) + bytes(4)
    path.write_bytes(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 178) + 2 * record)
    _, books = decoded(path)
    assert "link type 178 (Juniper Ethernet) is not supported: 2 frames rejected" in books


def test_names() -> None:
    assert named(226) == "link type 226 (Solaris IPNET)"
    assert named(147) == "link type 147"
    assert all(name.isprintable() and name == name.strip() for name in NAMES.values())
