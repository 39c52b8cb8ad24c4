"""The filter for libpcap, run by libpcap: over every encapsulation it loses nothing, but leaves out the rest."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pcapy
import pytest
from carriages import ADDRESSES, FAMILIES, SERVER_PORT, ip_packet, udp
from encapsulations import build, names
from link_wrappings import LINKS
from scapy.layers.inet6 import IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, Ether
from wrappings import TUNNELS, V4, V6, frame

from capture_agent.app.capturing import capture_filter
from capture_agent.config import load
from capture_agent.config.endpoints import PortRange, parse_ports
from capture_agent.packet.port_filter import expression, moves_offsets

pytestmark = pytest.mark.once

PORTS = [PortRange(SERVER_PORT, SERVER_PORT)]
DLT_RAW = 12  # what libpcap calls link type 101
DLT = {1: 1, 101: DLT_RAW, 113: 113}  # of those link types that get a filter


def compiled(link_type: int, text: str) -> Any:
    return pcapy.compile(DLT[link_type], 262_144, text, 1, 0xFFFFFFFF)


@pytest.fixture(scope="module")
def programs() -> dict[int, Any]:
    return {link_type: compiled(link_type, expression(PORTS, link_type, esp_null=True)) for link_type in DLT}


@pytest.mark.parametrize(("depth", "every"), [(0, 1), (1, 3), (2, 181)])
def test_nothing_is_lost_of_any_encapsulation(programs: dict[int, Any], depth: int, every: int) -> None:
    seen, lost = set(), set()
    for name in islice(names(depth), 0, None, every):
        case = build(name)
        if case.link_type in programs:
            seen.add(name.split("/")[0])
            lost |= {name for one in case.frames if not programs[case.link_type].filter(one)}
    assert lost == set()
    assert seen >= ({"ethernet", "802.3-snap", "linux-cooked", "raw"} if depth < 2 else {"ethernet"})


@pytest.mark.parametrize("link_type", [link_type for link_type, _ in LINKS.values() if link_type not in DLT])
def test_link_types_that_libpcap_may_not_read_have_no_filter(link_type: int) -> None:
    assert expression(PORTS, link_type) == ""


def rtp(family: int, port: int = 30_000) -> bytes:
    """From one even port to another."""
    segment = udp(family, port, b"\x80\x08" + bytes(170))
    return ip_packet(family, 17, segment[:2] + (port + 2).to_bytes(2, "big") + segment[4:])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tunnel", ["", "vlan", "qinq"])
def test_other_ports_are_left_out(programs: dict[int, Any], family: int, tunnel: str) -> None:
    kind, packet = (V4 if family == 4 else V6), rtp(family)
    wrapped = TUNNELS[tunnel](kind, packet) if tunnel else (kind, packet)
    assert wrapped is not None
    assert not programs[1].filter(frame(*wrapped))
    if not tunnel:
        assert not programs[101].filter(packet)
        assert not programs[113].filter(LINKS["linux-cooked"][1](kind, packet))


def test_arp_is_left_out_but_unknown_types_are_not(programs: dict[int, Any]) -> None:
    assert not programs[1].filter(bytes(Ether() / ARP()))
    assert programs[1].filter(bytes(Ether(type=0x9999) / (b"x" * 50)))


@pytest.mark.parametrize("tags", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [0x8100, 0x88A8, 0x9100, 0x9200])
def test_tags_of_every_kind_and_number(programs: dict[int, Any], kind: int, tags: int) -> None:
    inside = frame(V4, ip_packet(4, 17, udp(4, 30_000, b"x")))
    tagged = inside[:12] + b"".join(kind.to_bytes(2, "big") + bytes([0, tag]) for tag in range(tags)) + inside[12:]
    assert programs[1].filter(tagged)


def test_extension_headers_of_ipv6(programs: dict[int, Any]) -> None:
    head = ip_packet(6, 60, bytes(IPv6ExtHdrDestOpt(nh=17)) + udp(6, 30_000, b"x"))
    assert programs[1].filter(frame(V6, head))


def test_ranges() -> None:
    program = compiled(101, expression([parse_ports("5060"), parse_ports("5080-5090")], 101))
    passed = [port for port in range(5050, 5100) if program.filter(rtp(4, port))]
    assert passed == sorted({5060, 5058, *range(5078, 5091)})  # at either end: rtp() goes to the port two above


def test_esp_only_where_it_is_looked_into() -> None:
    case = build("ethernet/esp-tunnel/ipv4/udp")
    assert compiled(1, expression(PORTS, 1, esp_null=True)).filter(case.frames[0])
    assert not compiled(1, expression(PORTS, 1)).filter(case.frames[0])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        pytest.param({}, "", id="nothing"),
        pytest.param({"filter": "udp"}, "udp", id="a filter alone"),
        pytest.param({"ports": ["5060"]}, expression(PORTS, 1), id="ports alone"),
        pytest.param({"filter": "udp", "ports": ["5060"]}, f"(udp) and ({expression(PORTS, 1)})", id="both"),
        pytest.param(
            {"filter": "vlan 5 and udp", "ports": ["5060"]}, "vlan 5 and udp", id="a filter that moves offsets"
        ),
    ],
)
def test_the_filter_of_the_user_and_ours(given: dict[str, object], wanted: str) -> None:
    capture = load(overrides={"capture": given}).capture
    assert capture_filter(capture, 1) == wanted
    if wanted:
        compiled(1, wanted)


@pytest.mark.parametrize(
    ("text", "moves"), [("mpls 5 and host a", True), ("pppoes", True), ("host vlanned", False), ("udp port 1", False)]
)
def test_words_that_move_offsets(text: str, moves: bool) -> None:
    assert moves_offsets(text) is moves


def test_both_filters_together_lose_nothing_of_a_host() -> None:
    capture = load(overrides={"capture": {"filter": f"host {ADDRESSES[4][0]}", "ports": ["5060"]}}).capture
    program = compiled(1, capture_filter(capture, 1))
    case = build("ethernet/ipv4/udp-fragmented")
    assert all(program.filter(one) for one in case.frames)


def test_the_kernel_takes_a_long_list() -> None:
    """With more than BPF_MAXINSNS instructions libpcap filters in user space, and other packets fill the kernel's buffer."""
    for count in (1, 19, 20, 21, 1000):
        ports = [PortRange(7 * n, 7 * n + n % 2) for n in range(700, 700 + count)]
        assert 100 < len(compiled(1, expression(ports, 1, esp_null=True)).get_bpf()) < 4096


def test_of_a_long_list_all_between_its_ends_is_let_through() -> None:
    program = compiled(101, expression([PortRange(2 * n, 2 * n) for n in range(2530, 2560)], 101))
    assert [port for port in range(5050, 5130) if program.filter(rtp(4, port))] == list(range(5058, 5119))


@pytest.mark.parametrize("link_type", DLT)
@pytest.mark.parametrize("family", FAMILIES)
def test_media_passes_on_any_port_if_it_is_wanted(link_type: int, family: int) -> None:
    """RTP with RTCP, or RTCP alone: RFC 5761 4 keeps the payload types 64 to 95 free for it."""
    head = {1: bytes(12), 101: b"", 113: bytes(14)}[link_type]
    head += {4: b"\x08\x00", 6: b"\x86\xdd"}[family] if head else b""
    sent = {kind: udp(family, 4000, bytes((0x80, kind)) + bytes(30)) for kind in range(256)}
    others = [udp(family, 4000, bytes((first, 200)) + bytes(30)) for first in (0, 0x41, 0xC0)]
    for media, wanted in (("", ()), ("rtcp", range(192, 224)), ("rtp", range(256))):
        program = compiled(link_type, expression([PortRange(7000, 7000)], link_type, media=media))
        passed = {kind for kind, one in sent.items() if program.filter(head + ip_packet(family, 17, one))}
        assert passed == set(wanted)
        assert not any(program.filter(head + ip_packet(family, 17, one)) for one in others)
