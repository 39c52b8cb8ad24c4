"""Frames built with scapy, layer upon layer: tables of in and want."""

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_Router_Alert, fragment
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    fragment6,
)
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether
from scapy.packet import Packet, Padding, Raw

from capture_agent.packet.decoder import PacketDecoder
from capture_agent.packet.rejects import Reject
from capture_agent.records.datagram import NO_VLAN, Datagram
from capture_agent.records.frames import FRAME_INTERFACE, FRAME_LENGTH, FRAME_START, FRAME_WIRE_LENGTH, Frames

SIP = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"
ETHERNET, RAW, NULL, LOOP, SLL, SLL2, IPV4, IPV6 = 1, 101, 0, 108, 113, 276, 228, 229

MAC = "02:00:00:00:00:01"
LINK = Ether(src=MAC, dst=MAC, type=0x0800)
V4 = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=5060, dport=5070) / Raw(SIP)
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5060, dport=5070) / Raw(SIP)


def decoded(frame: bytes, link_type: int = ETHERNET) -> tuple[list[Datagram], PacketDecoder]:
    decoder = PacketDecoder()
    # Foreign bytes before and after: a decoder that leaves its frame finds them.
    frames = Frames.of([b"\x45" * 7, frame, b"\x45" * 60], link_type, [1, 1_700_000_000_123_456_789, 3])
    datagrams = [datagram for datagram in decoder.decode(frames) if datagram.frame == 2]
    held = sum(count for name, count in decoder.fragments.accounts() if name != "completed")
    assert decoder.seen == decoder.carried + sum(decoder.rejected) + held == 3
    return datagrams, decoder


UDP_V6 = bytes(V6)[40:]

CARRIERS = [
    pytest.param(LINK / V4, ETHERNET, NO_VLAN, id="Ethernet"),
    pytest.param(LINK / V4 / Padding(b"\0" * 20), ETHERNET, NO_VLAN, id="Ethernet padding"),
    pytest.param(Ether(src=MAC, dst=MAC) / V6, ETHERNET, NO_VLAN, id="Ethernet IPv6"),
    pytest.param(Ether(src=MAC, dst=MAC) / Dot1Q(vlan=100) / V4, ETHERNET, 100, id="802.1Q"),
    pytest.param(Ether(src=MAC, dst=MAC) / Dot1AD(vlan=7) / Dot1Q(vlan=4094) / V4, ETHERNET, 4094, id="802.1ad"),
    pytest.param(
        Ether(src=MAC, dst=MAC) / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / V6, ETHERNET, 3, id="three tags"
    ),
    pytest.param(CookedLinux(proto=0x0800) / V4, SLL, NO_VLAN, id="Linux cooked v1"),
    pytest.param(CookedLinux(proto=0x86DD) / V6, SLL, NO_VLAN, id="Linux cooked v1 IPv6"),
    pytest.param(CookedLinux(proto=0x8100) / Dot1Q(vlan=5) / V4, SLL, 5, id="Linux cooked v1 802.1Q"),
    pytest.param(CookedLinuxV2(proto=0x0800) / V4, SLL2, NO_VLAN, id="Linux cooked v2"),
    pytest.param(CookedLinuxV2(proto=0x86DD) / V6, SLL2, NO_VLAN, id="Linux cooked v2 IPv6"),
    pytest.param(CookedLinuxV2(proto=0x8100) / Dot1Q(vlan=9) / V6, SLL2, 9, id="Linux cooked v2 802.1Q"),
    pytest.param(V4, RAW, NO_VLAN, id="raw"),
    pytest.param(V6, RAW, NO_VLAN, id="raw IPv6"),
    pytest.param(V4, 12, NO_VLAN, id="raw as DLT 12"),
    pytest.param(V4, IPV4, NO_VLAN, id="raw IPv4 only"),
    pytest.param(V6, IPV6, NO_VLAN, id="raw IPv6 only"),
    pytest.param(Raw(struct.pack("<I", 2)) / V4, NULL, NO_VLAN, id="BSD loopback"),
    pytest.param(Raw(struct.pack(">I", 2)) / V4, NULL, NO_VLAN, id="BSD loopback, other byte order"),
    pytest.param(Raw(struct.pack("<I", 30)) / V6, NULL, NO_VLAN, id="BSD loopback IPv6"),
    pytest.param(Raw(struct.pack(">I", 2)) / V4, LOOP, NO_VLAN, id="OpenBSD loopback"),
    pytest.param(
        LINK / IP(src="192.0.2.1", dst="192.0.2.2", options=[IPOption_Router_Alert()]) / V4[UDP],
        ETHERNET, NO_VLAN, id="IPv4 options",
    ),
    pytest.param(
        IPv6(src="2001:db8::1", dst="2001:db8::2")
        / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting() / IPv6ExtHdrDestOpt() / V6[UDP],
        RAW, NO_VLAN, id="IPv6 extension headers",
    ),
    pytest.param(
        IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(offset=0, m=0) / V6[UDP],
        RAW, NO_VLAN, id="IPv6 atomic fragment",
    ),
    pytest.param(
        IPv6(src="2001:db8::1", dst="2001:db8::2", nh=51) / Raw(bytes([17, 4]) + bytes(22)) / Raw(UDP_V6),
        RAW, NO_VLAN, id="IPv6 authentication header",
    ),
    pytest.param(LINK / IP(bytes(V4)[:2] + b"\0\0" + bytes(V4)[4:]), ETHERNET, NO_VLAN, id="total length 0"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "link_type", "vlan"), CARRIERS)
def test_carriers(frame: Packet, link_type: int, vlan: int) -> None:
    [datagram], _ = decoded(bytes(frame), link_type)
    assert (datagram.payload, datagram.vlan, datagram.missing) == (SIP, vlan, 0)
    assert (datagram.source_port, datagram.destination_port) == (5060, 5070)
    assert datagram.time_ns == 1_700_000_000_123_456_789
    assert (datagram.source_text, datagram.destination_text) in (
        ("192.0.2.1", "192.0.2.2"),
        ("2001:db8::1", "2001:db8::2"),
    )
    assert ip_address(datagram.source).version == (4 if datagram.address_size == 4 else 6)


def udp_length(length: int) -> bytes:
    return bytes(LINK / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1, dport=2, len=length) / Raw(SIP))


def nested(tunnels: int) -> bytes:
    packet = V4
    for _ in range(tunnels):
        packet = IP(src="198.51.100.1", dst="198.51.100.2") / packet
    return bytes(LINK / packet)


def test_as_many_tunnels_as_are_allowed() -> None:
    [datagram], _ = decoded(nested(8))
    assert (datagram.payload, datagram.source_text) == (SIP, "192.0.2.1")


def test_a_tcp_segment() -> None:
    segment = IP(src="192.0.2.1", dst="192.0.2.2") / TCP(
        sport=1, dport=2, seq=0xFFFFFFF0, flags="PA", options=[("NOP", 0)]
    )
    [datagram], _ = decoded(bytes(LINK / segment / Raw(SIP)))
    assert (datagram.payload, datagram.transport, datagram.protocol) == (SIP, "tcp", 6)
    assert (datagram.source_port, datagram.destination_port, datagram.sequence) == (1, 2, 0xFFFFFFF0)
    assert datagram.flags == 0x18


def test_an_sctp_packet() -> None:
    [datagram], _ = decoded(bytes(LINK / IP(proto=132) / Raw(b"\x13\xc4\x13\xc5" + bytes(8) + b"chunks")))
    assert (datagram.payload, datagram.transport, datagram.protocol) == (b"chunks", "sctp", 132)
    assert (datagram.source_port, datagram.destination_port) == (5060, 5061)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_fragments(version: int, order: tuple[int, ...]) -> None:
    text = SIP + b"x" * (2000 - len(SIP))
    if version == 4:
        whole = LINK / IP(src="192.0.2.1", dst="192.0.2.2", id=7) / UDP(sport=1, dport=2) / Raw(text)
        frames = [bytes(part) for part in fragment(whole, 800)]
    else:
        header = Ether(src=MAC, dst=MAC) / IPv6(src="2001:db8::1", dst="2001:db8::2") / IPv6ExtHdrFragment(id=7)
        frames = [bytes(part) for part in fragment6(header / UDP(sport=1, dport=2) / Raw(text), 900)]
    assert len(frames) == 3
    decoder = PacketDecoder()
    [datagram] = decoder.decode(Frames.of([frames[n] for n in order], ETHERNET, [10, 20, 30]))
    assert (datagram.payload, datagram.time_ns, datagram.frame, datagram.missing) == (text, 30, 3, 0)
    assert datagram.source_text == ("192.0.2.1" if version == 4 else "2001:db8::1")
    assert (datagram.source_port, datagram.destination_port) == (1, 2)
    assert (decoder.seen, decoder.carried, sum(decoder.rejected)) == (3, 1, 0)
    assert dict(decoder.fragments.accounts())["joined"] == 2


def test_sip_on_the_port_of_a_tunnel() -> None:
    [datagram], _ = decoded(bytes(LINK / IP() / UDP(sport=4789, dport=4789) / Raw(SIP)))
    assert (datagram.payload, datagram.transport, datagram.destination_port) == (SIP, "udp", 4789)


def test_null_encryption_is_an_option() -> None:
    inner = bytes(UDP(sport=5060, dport=5062) / Raw(SIP))
    padding = -(len(inner) + 2) % 4
    trailer = bytes(range(1, padding + 1)) + bytes([padding, 17]) + bytes(12)
    frame = bytes(
        LINK / IP(src="192.0.2.1", dst="192.0.2.2", proto=50) / Raw(b"\0\0\x10\0" + b"\0\0\0\1" + inner + trailer)
    )
    assert PacketDecoder().decode(Frames.of([frame])) == []
    [datagram] = PacketDecoder(esp_null=True).decode(Frames.of([frame]))
    assert (datagram.payload, datagram.destination_port) == (SIP, 5062)


@pytest.mark.parametrize(
    ("frame", "link_type", "reason"),
    [
        pytest.param(bytes(Ether(src=MAC, dst=MAC) / ARP()), ETHERNET, Reject.NOT_IP, id="ARP"),
        pytest.param(bytes(Ether(src=MAC, dst=MAC, type=0x8847) / Raw(bytes(40))), ETHERNET, Reject.NOT_IP, id="no MPLS"),
        pytest.param(bytes(14 * b"\0"), ETHERNET, Reject.NOT_IP, id="802.3 length"),
        pytest.param(bytes(V4), 147, Reject.LINK_TYPE, id="unknown link type"),
        pytest.param(b"", ETHERNET, Reject.CUT, id="empty"),
        pytest.param(
            bytes(Ether(src=MAC, dst=MAC) / Dot1Q(vlan=1))[:16], ETHERNET, Reject.CUT, id="cut in the VLAN tag"
        ),
        pytest.param(bytes(LINK / V4)[:33], ETHERNET, Reject.CUT, id="cut in the IP header"),
        pytest.param(bytes(LINK / V4)[:41], ETHERNET, Reject.CUT, id="cut in the UDP header"),
        pytest.param(b"\x35" + bytes(V4)[1:], RAW, Reject.NOT_IP, id="IP version 3"),
        pytest.param(bytes(LINK) + b"\x44" + bytes(V4)[1:], ETHERNET, Reject.IP_HEADER, id="IHL 4"),
        pytest.param(bytes(LINK) + b"\x65" + bytes(V4)[1:], ETHERNET, Reject.IP_HEADER, id="not 4"),
        pytest.param(bytes(LINK / IP(len=19) / UDP()), ETHERNET, Reject.IP_HEADER, id="total < header"),
        pytest.param(
            bytes(IPv6(nh=60) / Raw(bytes([60]) + bytes(7))) + bytes([60, 0, 0, 0, 0, 0, 0, 0]) * 30, RAW,
            Reject.IP_HEADER, id="extension headers outside of the packet",
        ),
        pytest.param(
            bytes(IPv6(nh=60) / Raw(bytes([60, 0, 0, 0, 0, 0, 0, 0]) * 40)), RAW,
            Reject.IP_HEADER, id="endless extension headers",
        ),
        pytest.param(bytes(LINK / IP() / TCP(dataofs=4) / Raw(SIP)), ETHERNET, Reject.TRANSPORT_HEADER, id="TCP header of 16"),
        pytest.param(bytes(LINK / IP() / TCP(dataofs=15)), ETHERNET, Reject.TRANSPORT_HEADER, id="TCP header too long"),
        pytest.param(bytes(LINK / IP(proto=6) / Raw(bytes(19))), ETHERNET, Reject.TRANSPORT_HEADER, id="no room for TCP"),
        pytest.param(bytes(LINK / IP() / TCP())[:-1], ETHERNET, Reject.CUT, id="cut in the TCP header"),
        pytest.param(bytes(LINK / IP(proto=132) / Raw(bytes(11))), ETHERNET, Reject.TRANSPORT_HEADER, id="no room for SCTP"),
        pytest.param(bytes(LINK / IP(flags="MF") / UDP() / Raw(SIP))[:-1], ETHERNET, Reject.CUT, id="a fragment that is cut"),
        pytest.param(nested(9), ETHERNET, Reject.DEPTH, id="nine tunnels"),
        pytest.param(bytes(LINK / IP() / ICMP() / Raw(bytes(V4))), ETHERNET, Reject.PROTOCOL, id="ICMP quoting SIP"),
        pytest.param(udp_length(7), ETHERNET, Reject.TRANSPORT_HEADER, id="UDP length 7"),
        pytest.param(udp_length(8 + len(SIP) + 1), ETHERNET, Reject.TRANSPORT_HEADER, id="UDP longer than its packet"),
        pytest.param(bytes(LINK / IP(proto=17, len=24) / Raw(b"1234")), ETHERNET, Reject.TRANSPORT_HEADER, id="no room"),
    ],
)  # fmt: skip
def test_rejects(frame: bytes, link_type: int, reason: Reject) -> None:
    datagrams, decoder = decoded(frame, link_type)
    assert datagrams == []
    before, behind = PacketDecoder(), PacketDecoder()
    before.decode(Frames.of([b"\x45" * 7], link_type))
    behind.decode(Frames.of([b"\x45" * 60], link_type))
    counts = [all_ - a - b for all_, a, b in zip(decoder.rejected, before.rejected, behind.rejected, strict=True)]
    assert counts == [1 if reason == n else 0 for n in range(len(counts))]


@pytest.mark.parametrize(
    ("length", "payload"),
    [(8, b""), (8 + 5, SIP[:5]), (0, SIP)],
    ids=["empty", "UDP shorter than its packet", "UDP length 0: to the end"],
)
def test_udp_lengths(length: int, payload: bytes) -> None:
    [datagram], _ = decoded(udp_length(length))
    assert (datagram.payload, datagram.missing) == (payload, 0)


def test_cuts_by_the_snap_length_are_reported() -> None:
    frame = bytes(LINK / V4)
    [datagram], _ = decoded(frame[:-10])
    assert (datagram.payload, datagram.missing) == (SIP[:-10], 10)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({FRAME_LENGTH: 1000}, id="too long"),
        pytest.param({FRAME_START: -1}, id="start"),
        pytest.param({FRAME_LENGTH: -1}, id="length"),
        pytest.param({FRAME_START: 2**63 - 1, FRAME_LENGTH: 2**63 - 1}, id="a sum of more than 64 bits"),
        pytest.param({FRAME_INTERFACE: 1}, id="interface"),
        pytest.param({FRAME_INTERFACE: -1}, id="negative interface"),
    ],
)
def test_the_index_must_lie_in_the_buffer(row: dict[int, int]) -> None:
    frames = Frames.of([bytes(LINK / V4)])
    for column, value in row.items():
        frames.index[column] = value
    with pytest.raises(ValueError, match="outside of its batch"):
        PacketDecoder().decode(frames)


@pytest.mark.parametrize("wire", [-(2**63), 0, 2**63 - 1])
def test_any_length_on_the_wire(wire: int) -> None:
    frames = Frames.of([bytes(LINK / V4)])
    frames.index[FRAME_WIRE_LENGTH] = wire
    [datagram] = PacketDecoder().decode(frames)
    assert (datagram.payload, datagram.missing) == (SIP, 0)


@given(
    st.sampled_from([bytes(param.values[0]) for param in CARRIERS]),
    st.sampled_from([ETHERNET, RAW, NULL, LOOP, SLL, SLL2, IPV4, IPV6]),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=4),
    st.integers(0, 120),
)
def test_mutated_frames_never_raise_and_always_count(
    frame: bytes, link_type: int, changes: list[tuple[int, int]], cut: int
) -> None:
    damaged = bytearray(frame[: len(frame) - cut])
    for at, value in changes:
        if at < len(damaged):
            damaged[at] = value
    datagrams, _ = decoded(bytes(damaged), link_type)
    for datagram in datagrams:
        assert datagram.payload in bytes(damaged)


@pytest.mark.parametrize(
    ("time_ns", "want"),
    [(0, 0), (1 << 60, 1 << 60), ((1 << 63) - 1, (1 << 62) - 1), (-(1 << 63), 1 - (1 << 62))],
)
def test_times_that_nobody_can_subtract_are_bounded(time_ns: int, want: int) -> None:
    [datagram] = PacketDecoder().decode(Frames.of([bytes(LINK / V4)], times_ns=[time_ns]))
    assert datagram.time_ns == want
