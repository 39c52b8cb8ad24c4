"""The path of a packet: the addresses of its tunnels, its link layer, its hop limit and identification."""

from __future__ import annotations

import struct
from itertools import islice

import pytest
from carriages import carry
from encapsulations import build, names
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1Q, Ether
from wrappings import TUNNELS

from capture_agent.packet.decoder import PacketDecoder
from capture_agent.packet.outer_headers import identification, outer_addresses, way
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames

V4 = bytes((198, 51, 100, 1)), bytes((198, 51, 100, 2))
V6 = tuple(bytes.fromhex("20010db800ff") + bytes(9) + bytes([n]) for n in (1, 2))


def outer(tunnel: str) -> list[tuple[bytes, ...]]:
    """The addresses that it puts around a packet: none, or one pair."""
    packet = carry(4, "udp").packets[0]
    _, wrapped = TUNNELS[tunnel](0x0800, packet) or (0, b"")
    return [pair for pair in (V4, V6) if b"".join(pair) in wrapped]


def decoded(frames: list[bytes], link_type: int = 1, esp_null: bool = False) -> list[Datagram]:
    return PacketDecoder(esp_null).decode(Frames.of(frames, link_type))


def one(packet: object, link_type: int = 1) -> Datagram:
    [datagram] = decoded([bytes(packet)], link_type)  # type: ignore[call-overload]
    return datagram


@pytest.mark.parametrize("carriage", ["udp", "udp-fragments-reversed", "tcp-two-and-a-half"])
@pytest.mark.parametrize(("depth", "every"), [(0, 1), (1, 5), (2, 181)])
def test_outer_addresses_of_every_encapsulation(depth: int, every: int, carriage: str) -> None:
    count = 0
    for name in islice(names(depth, (carriage,)), 0, None, every):
        case = build(name)
        if case.needs_esp and "fragment" in carriage:  # decoding ESP needs its end, which is not kept
            continue
        expected = [pair for tunnel in name.split("/")[1:-2] for pair in outer(tunnel)]
        for datagram in decoded(case.frames, case.link_type, esp_null=True):
            assert list(outer_addresses(datagram)) == expected, name
            assert datagram.source_text == case.source
            count += 1
    assert count > 30


def test_a_tunnel_in_fragments() -> None:
    inner = IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1, dport=5060) / (b"OPTIONS " * 40)
    tunnel = IP(src="198.51.100.1", dst="198.51.100.2", proto=4, id=7)
    whole = bytes(inner)
    first = Ether() / tunnel.copy() / whole[:200]
    first[IP].flags = "MF"
    last = Ether() / tunnel.copy() / whole[200:]
    last[IP].frag = 25
    [datagram] = decoded([bytes(first), bytes(last)])
    assert datagram.payload == b"OPTIONS " * 40
    assert outer_addresses(datagram) == (V4,)


def test_a_message_out_of_several_packets_has_no_frame() -> None:
    datagram = Datagram(b"\1\2\3\4\5\6\7\x08x", 8, 9, 0, 4, 1, 2)
    assert (outer_addresses(datagram), way(datagram), identification(datagram)) == ((), None, 0)


UDP_5060 = UDP(sport=5060, dport=5060) / b"x"
PLAIN = (
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2", ttl=64) / UDP_5060
)
ON_6 = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IPv6(src="::1", dst="::2", hlim=64) / UDP_5060
GTP = bytes.fromhex("30ff00000000004d")


def in_gtp(inner: object, **fields: object) -> Ether:
    data = bytes(inner)  # type: ignore[call-overload]
    return (
        Ether() / IP(**fields) / UDP(sport=2152, dport=2152) / (GTP[:2] + struct.pack("!H", len(data)) + GTP[4:] + data)
    )


def changed(packet: Ether, layer: type, **fields: object) -> Ether:
    copy = packet.copy()
    for name, value in fields.items():
        setattr(copy[layer], name, value)
    return copy


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        pytest.param(PLAIN, PLAIN, True, id="the same frame"),
        pytest.param(PLAIN, changed(PLAIN, IP, id=9, flags="DF"), True, id="another identification"),
        pytest.param(PLAIN, changed(PLAIN, IP, ttl=63), False, id="a hop on"),
        pytest.param(ON_6, changed(ON_6, IPv6, hlim=63), False, id="a hop on, IPv6"),
        pytest.param(PLAIN, changed(PLAIN, Ether, src="02:00:00:00:00:09"), False, id="another host on the link"),
        pytest.param(PLAIN, Ether(src=PLAIN.src, dst=PLAIN.dst) / Dot1Q(vlan=5) / PLAIN[IP], False, id="in a VLAN"),
        pytest.param(
            Ether() / Dot1Q(vlan=4) / PLAIN[IP], Ether() / Dot1Q(vlan=5) / PLAIN[IP], False, id="in two VLANs"
        ),
        pytest.param(in_gtp(PLAIN[IP], dst="10.0.0.1"), in_gtp(PLAIN[IP], dst="10.0.0.2"), False, id="in two tunnels"),
        pytest.param(
            in_gtp(PLAIN[IP], dst="10.0.0.1", id=1), in_gtp(PLAIN[IP], dst="10.0.0.1", id=2), True, id="in one tunnel"
        ),
    ],
)
def test_ways(here: Ether, there: Ether, same: bool) -> None:
    one_way, other_way = (way(datagram) for datagram in decoded([bytes(here), bytes(there)]))
    assert one_way is not None
    assert (one_way == other_way) is same


@pytest.mark.parametrize(
    ("link_type", "make", "field"),
    [
        (113, lambda kind: CookedLinux(pkttype=kind), "pkttype"),
        (276, lambda kind: CookedLinuxV2(ifindex=kind), "ifindex"),
    ],
)
def test_ways_of_interface_any(link_type: int, make: object, field: str) -> None:
    frames = [bytes(make(kind) / PLAIN[IP]) for kind in (0, 4, 4)]  # type: ignore[operator]
    first, second, third = (way(datagram) for datagram in decoded(frames, link_type))
    assert first != second == third


def test_interfaces_are_ways() -> None:
    """Also if a capture file names none of them."""
    first, second = one(PLAIN), one(PLAIN)
    assert first.interface == second.interface
    assert way(first) != way(second)


@pytest.mark.parametrize(
    ("packet", "number"),
    [
        (changed(PLAIN, IP, id=0x1234), 0x1234),
        (changed(PLAIN, IP, id=0), 0),
        (ON_6, 0),
        (in_gtp(changed(PLAIN, IP, id=3)[IP], id=9), 3),
    ],
)
def test_identification_is_the_innermost(packet: Ether, number: int) -> None:
    assert identification(one(packet)) == number
