"""Each decoder, with packets by scapy or a specification: complete, cut at every byte, and changed at random."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, SupportsIndex

import pytest
from encapsulations import build, names
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_I, ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header, GTPEchoRequest, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.contrib.tzsp import TZSP, TZSPTagEnd, TZSPTagPadding, TZSPTagRawRSSIByte
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import AH
from scapy.layers.l2 import GRE, LLC, SNAP, Dot1Q, Ether
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw
from tunnel_walk import UDP as UDP_PROTOCOL
from tunnel_walk import packets

from capture_agent.packet import behind_ethertype, behind_ip, behind_udp, esp, link_layers, tunnels, wireless
from capture_agent.packet.inner import ETHERNET, IP_PROTOCOL, Decoder, Inner, ethernet
from capture_agent.packet.inner import IP as IP_KIND

SIP = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\n\r\n"
MAC = "02:00:00:00:00:01"

V4 = bytes(IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=5060, dport=5070) / Raw(SIP))
V6 = bytes(IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=5060, dport=5070) / Raw(SIP))
UDP_SIP = V4[20:]
TCP_SIP = bytes(TCP(sport=5060, dport=5070) / Raw(SIP))
FRAME = bytes(Ether(src=MAC, dst=MAC, type=0x0800) / Raw(V4))
FRAME_V6 = bytes(Ether(src=MAC, dst=MAC, type=0x86DD) / Raw(V6))
TAGGED = bytes(Ether(src=MAC, dst=MAC) / Dot1Q(vlan=7, type=0x0800) / Raw(V4))
# A pseudowire without a control word, whose frame begins like IP.
FRAME_LIKE_V4 = bytes(Ether(src=MAC, dst="45:ff:ff:ff:ff:ff", type=0x0800) / Raw(V4))
FRAME_LIKE_V6 = bytes(Ether(src=MAC, dst="60:00:00:00:ff:ff", type=0x86DD) / Raw(V6))
FRAME_LIKE_WORD = bytes(Ether(src=MAC, dst="00:00:5e:00:00:01", type=0x0800) / Raw(V4))
TO_DS, BOTH_DS, MORE_FRAGMENTS, PROTECTED, ORDER = 0x01, 0x03, 0x04, 0x40, 0x80  # of the frame control field
SNAP_V4 = bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x0800)) + V4
LABEL, BOTTOM = bytes(MPLS(label=16, s=0)), bytes(MPLS(label=17, s=1))


def radiotap(present: int, fields: bytes, more: bytes = b"") -> bytes:
    return struct.pack("<BBHI", 0, 0, 8 + len(more) + len(fields), present) + more + fields


def dot11(**fields: object) -> bytes:
    return bytes(Dot11(type=2, addr1=MAC, addr2=MAC, addr3=MAC, **fields))


def erf(kind: int) -> bytes:
    """The header of an ERF record, as Endace's cards write it: time, type, flags, lengths, losses."""
    return bytes(8) + bytes([kind, 4]) + struct.pack(">HHH", 100, 0, 84)


def attribute(number: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def esp_packet(payload: bytes, next_header: int, icv: int, spi: int = 0x1234) -> bytes:
    pad = bytes(range(1, 1 + -(len(payload) + 2) % 4))
    return struct.pack(">II", spi, 1) + payload + pad + bytes([len(pad), next_header]) + b"\xee" * icv


def gre(flags: int, protocol: int, optional: bytes = b"") -> bytes:
    return struct.pack(">HH", flags, protocol) + optional


# Decoder, header, the expected kind of content, the content, and the bytes after it.
Case = tuple[Decoder, bytes, int, bytes, bytes]
GOOD: dict[str, Case] = {
    "MPLS": (behind_ethertype.mpls, BOTTOM, IP_KIND, V4, b""),
    "MPLS, padded": (behind_ethertype.mpls, BOTTOM, IP_KIND, V4, bytes(6)),
    "MPLS, three labels, IPv6": (behind_ethertype.mpls, LABEL + LABEL + BOTTOM, IP_KIND, V6, b""),
    "MPLS, pseudowire": (behind_ethertype.mpls, BOTTOM, ETHERNET, FRAME, b""),
    "MPLS, pseudowire with control word": (behind_ethertype.mpls, BOTTOM + bytes(4), ETHERNET, FRAME, b""),
    "MPLS, pseudowire with sequence": (behind_ethertype.mpls, BOTTOM + b"\0\0\0\5", ETHERNET, FRAME_V6, b""),
    "MPLS, pseudowire, VLAN": (behind_ethertype.mpls, BOTTOM + bytes(4), ETHERNET, TAGGED, b""),
    "MPLS, pseudowire, MAC like IPv4": (behind_ethertype.mpls, BOTTOM, ETHERNET, FRAME_LIKE_V4, b""),
    "MPLS, pseudowire, MAC like IPv6": (behind_ethertype.mpls, BOTTOM, ETHERNET, FRAME_LIKE_V6[:-1], b""),
    "MPLS, pseudowire, MAC like a word": (behind_ethertype.mpls, BOTTOM, ETHERNET, FRAME_LIKE_WORD, b""),
    "PPPoE": (behind_ethertype.pppoe, bytes(PPPoE(len=2 + len(V4)) / PPP(proto=0x21)), 0x0800, V4, b""),
    "PPPoE, IPv6": (behind_ethertype.pppoe, bytes(PPPoE(len=2 + len(V6)) / PPP(proto=0x57)), 0x86DD, V6, b""),
    "PPP": (behind_ethertype.ppp, b"\x00\x21", 0x0800, V4, b""),
    "PPP, one byte": (behind_ethertype.ppp, b"\x21", 0x0800, V4, b""),
    "PPP, address": (behind_ethertype.ppp, b"\xff\x03\x00\x57", 0x86DD, V6, b""),
    "PPP, address, one byte": (behind_ethertype.ppp, b"\xff\x03\x57", 0x86DD, V6, b""),
    "PPP, MPLS": (behind_ethertype.ppp, b"\x02\x81", 0x8847, BOTTOM + V4, b""),
    "PPP, MPLS multicast": (behind_ethertype.ppp, b"\x02\x83", 0x8848, BOTTOM + V4, b""),
    "LLC and SNAP": (behind_ethertype.llc, SNAP_V4[:8], 0x0800, V4, b""),
    "LLC and SNAP, bridge tunnel": (behind_ethertype.llc, b"\xaa\xaa\x03\x00\x00\xf8\x86\xdd", 0x86DD, V6, b""),
    "NSH": (behind_ethertype.nsh, bytes(NSH(nextproto=1)), 0x0800, V4, b""),
    "NSH, MD type 2": (behind_ethertype.nsh, bytes(NSH(mdtype=2, nextproto=3)), ETHERNET, FRAME, b""),
    "NSH in NSH": (behind_ethertype.nsh, bytes(NSH(nextproto=4)), 0x894F, bytes(NSH(nextproto=2)) + V6, b""),
    "TRILL": (behind_ethertype.trill, b"\x00\x3f\x00\x01\x00\x02", ETHERNET, FRAME, b""),
    "TRILL, options": (behind_ethertype.trill, b"\x00\xbf\x00\x01\x00\x02" + bytes(8), ETHERNET, FRAME, b""),
    "802.1ah": (behind_ethertype.backbone, b"\x00\x00\x12\x34", ETHERNET, FRAME, b""),
    "VN-tag": (behind_ethertype.vn_tag, b"\x00\x01\x00\x02\x08\x00", 0x0800, V4, b""),
    "E-TAG": (behind_ethertype.extension_tag, b"\x00\x01\x00\x02\x00\x00\x86\xdd", 0x86DD, V6, b""),
    "4 in 4": (behind_ip.ipv4, b"", IP_KIND, V4, b""),
    "6 in 4": (behind_ip.ipv6, b"", IP_KIND, V6, b""),
    "AH": (behind_ip.ah, bytes(AH(nh=17, payloadlen=4, spi=9, icv=bytes(12))), IP_PROTOCOL + 17, UDP_SIP, b""),
    "EtherIP": (behind_ip.etherip, b"\x30\x00", ETHERNET, FRAME, b""),
    "GRE": (behind_ip.gre, bytes(GRE(proto=0x0800)), 0x0800, V4, b""),
    "GRE, checksum": (behind_ip.gre, bytes(GRE(proto=0x86DD, chksum_present=1, chksum=7)), 0x86DD, V6, b""),
    "GRE, key": (behind_ip.gre, bytes(GRE(proto=0x0800, key_present=1, key=7)), 0x0800, V4, b""),
    "GRE, sequence": (behind_ip.gre, bytes(GRE(proto=0x0800, seqnum_present=1)), 0x0800, V4, b""),
    "GRE, all three": (
        behind_ip.gre,
        bytes(GRE(proto=0x8847, chksum_present=1, chksum=7, key_present=1, key=7, seqnum_present=1)),
        0x8847, BOTTOM + V4, b"",
    ),
    "GRE, Ethernet": (behind_ip.gre, gre(0, 0x6558), ETHERNET, FRAME, b""),
    "GRE, Ethernet, NVGRE": (behind_ip.gre, gre(0x2000, 0x6558, b"\0\0\x05\0"), ETHERNET, FRAME, b""),
    "GRE, PPP": (behind_ip.gre, gre(0, 0x880B) + b"\xff\x03\x00\x21", 0x0800, V4, b""),
    "GRE, PPTP": (
        behind_ip.gre, gre(0x3001, 0x880B, struct.pack(">HHI", 4 + len(V4), 5, 1)) + b"\xff\x03\x00\x21",
        0x0800, V4, b"",
    ),
    "GRE, PPTP with acknowledgement": (
        behind_ip.gre, gre(0x3081, 0x880B, struct.pack(">HHII", 1 + len(V6), 5, 1, 2)) + b"\x57", 0x86DD, V6, b"",
    ),
    "ERSPAN I": (behind_ip.gre, bytes(GRE(proto=0x88BE) / ERSPAN_I()), ETHERNET, FRAME, b""),
    "ERSPAN II": (behind_ip.gre, bytes(GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II()), ETHERNET, FRAME, b""),
    "ERSPAN II, no sequence": (behind_ip.gre, bytes(GRE(proto=0x88BE) / ERSPAN_II()), ETHERNET, FRAME, b""),
    "ERSPAN III": (
        behind_ip.gre, bytes(GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III()), ETHERNET, FRAME, b"",
    ),
    "ERSPAN III, subheader": (
        behind_ip.gre,
        bytes(GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(o=1) / ERSPAN_PlatformSpecific()),
        ETHERNET, FRAME, b"",
    ),
    "ERSPAN III, IP": (
        behind_ip.gre, bytes(GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(ft=2)), IP_KIND, V6, b"",
    ),
    "ERSPAN III as 0x88BE": (
        behind_ip.gre, bytes(GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_III()), ETHERNET, FRAME, b"",
    ),
    "GRE in UDP": (behind_ip.plain_gre, gre(0xB000, 0x0800, bytes(12)), 0x0800, V4, b""),
    "MPLS in UDP": (behind_ethertype.mpls_that_fits, LABEL + BOTTOM, IP_KIND, V6, b""),
    "MPLS in UDP, pseudowire": (behind_ethertype.mpls_that_fits, BOTTOM + bytes(4), ETHERNET, FRAME, b""),
    "VXLAN": (behind_udp.vxlan, bytes(VXLAN(vni=77)), ETHERNET, FRAME, b""),
    "VXLAN, group policy": (behind_udp.vxlan, bytes(VXLAN(flags=0x88, gpid=9, vni=77)), ETHERNET, FRAME, b""),
    "VXLAN-GPE, IPv4": (behind_udp.vxlan_gpe, b"\x0c\0\0\x01\0\0\x4d\0", 0x0800, V4, b""),
    "VXLAN-GPE, IPv6": (behind_udp.vxlan_gpe, b"\x0c\0\0\x02\0\0\x4d\0", 0x86DD, V6, b""),
    "VXLAN-GPE, Ethernet": (behind_udp.vxlan_gpe, b"\x0c\0\0\x03\0\0\x4d\0", ETHERNET, FRAME, b""),
    "VXLAN-GPE, NSH": (behind_udp.vxlan_gpe, b"\x0c\0\0\x04\0\0\x4d\0", 0x894F, bytes(NSH(nextproto=1)) + V4, b""),
    "VXLAN-GPE without a protocol": (behind_udp.vxlan_gpe, b"\x08\0\0\0\0\0\x4d\0", ETHERNET, FRAME, b""),
    "Geneve": (behind_udp.geneve, bytes(GENEVE(proto=0x6558, vni=5)), ETHERNET, FRAME, b""),
    "Geneve, IPv6": (behind_udp.geneve, bytes(GENEVE(proto=0x86DD, vni=5)), 0x86DD, V6, b""),
    "Geneve, options": (
        behind_udp.geneve, bytes(GENEVE(proto=0x0800, critical=1, options=[GeneveOptions(data=b"12345678")])),
        0x0800, V4, b"",
    ),
    "GTP-U": (behind_udp.gtp_u, bytes(GTP_U_Header(gtp_type=255, teid=1, length=len(V4), S=0, E=0)), IP_KIND, V4, b""),
    "GTP-U, sequence": (
        behind_udp.gtp_u, bytes(GTP_U_Header(gtp_type=255, teid=1, length=4 + len(V6), S=1, seq=9)), IP_KIND, V6, b"",
    ),
    "GTP-U, 5G session container": (
        behind_udp.gtp_u,
        bytes(GTP_U_Header(gtp_type=255, teid=1, length=8 + len(V4), E=1, next_ex=0x85) / GTPPDUSessionContainer(QFI=5)),
        IP_KIND, V4, b"",
    ),
    "GTP-U, two extensions": (
        behind_udp.gtp_u,
        struct.pack(">BBHI", 0x34, 255, 16 + len(V4), 1) + b"\0\0\0\x85" + b"\x01\0\0\xc0" + b"\x02" + bytes(7),
        IP_KIND, V4, b"",
    ),
    "GTP-U, Ethernet": (behind_udp.gtp_u, struct.pack(">BBHI", 0x30, 255, len(FRAME), 1), ETHERNET, FRAME, b""),
    "TZSP": (behind_udp.tzsp, bytes(TZSP(type=0, encapsulated_protocol=1) / TZSPTagEnd()), ETHERNET, FRAME, b""),
    "TZSP, tags": (
        behind_udp.tzsp,
        bytes(TZSP(type=1, encapsulated_protocol=1) / TZSPTagRawRSSIByte(raw_rssi=1) / TZSPTagPadding() / TZSPTagEnd()),
        ETHERNET, FRAME, b"",
    ),
    "TZSP, raw": (behind_udp.tzsp, b"\x01\x00\x00\x07\x01", IP_KIND, V6, b""),
    "TZSP, 802.11": (behind_udp.tzsp, b"\x01\x00\x00\x12\x01" + dot11() + SNAP_V4[:8], 0x0800, V4, b""),
    "TZSP, Prism": (
        behind_udp.tzsp, b"\x01\x00\x00\x77\x01" + struct.pack("<II", 0x44, 144) + bytes(136) + dot11() + SNAP_V4[:8],
        0x0800, V4, b"",
    ),
    "HP ERM": (behind_udp.hp_erm, bytes(12), ETHERNET, TAGGED, b""),
    "HP ERM, PPPoE": (
        behind_udp.hp_erm, bytes(12), ETHERNET,
        FRAME[:12] + b"\x88\x64" + bytes(PPPoE(len=2 + len(V4)) / PPP(proto=0x21)) + V4, b"",
    ),
    "L2TP": (behind_udp.l2tp, struct.pack(">HHH", 0x0002, 1, 2) + b"\xff\x03\x00\x21", 0x0800, V4, b""),
    "L2TP, length": (
        behind_udp.l2tp, struct.pack(">HHHH", 0x4002, 8 + 4 + len(V4), 1, 2) + b"\xff\x03\x00\x21", 0x0800, V4, b"",
    ),
    "L2TP, all fields": (
        behind_udp.l2tp,
        struct.pack(">HHHHHHH", 0x4B02, 16 + 2 + len(V6), 1, 2, 3, 4, 2) + b"\0\0" + b"\x00\x57", 0x86DD, V6, b"",
    ),
    "PPP link": (link_layers.ppp_or_hdlc, bytes(HDLC() / PPP(proto=0x21)), 0x0800, V4, b""),
    "PPP link, Cisco HDLC": (link_layers.ppp_or_hdlc, b"\x0f\x00\x08\x00", 0x0800, V4, b""),
    "Cisco HDLC": (link_layers.cisco_hdlc, b"\x8f\x00\x86\xdd", 0x86DD, V6, b""),
    "PPP of pppd": (link_layers.ppp_with_direction, b"\x01\x03\x00\x21", 0x0800, V4, b""),
    "PPP with direction": (link_layers.ppp_with_direction, b"\x01\xff\x03\x00\x21", 0x0800, V4, b""),
    "PPP with direction, short": (link_layers.ppp_with_direction, b"\x00\x57", 0x86DD, V6, b""),
    "enc": (link_layers.enc, bytes(12), IP_KIND, V4, b""),
    "pflog": (link_layers.pflog, bytes([61, 2]) + bytes(62), IP_KIND, V4, b""),
    "ERF, Ethernet": (link_layers.erf, erf(2) + bytes(2), ETHERNET, FRAME, b""),
    "ERF, Ethernet with extension headers": (
        link_layers.erf, erf(0x80 | 20) + b"\x83" + bytes(7) + b"\x04" + bytes(7) + bytes(2), ETHERNET, FRAME, b"",
    ),
    "ERF, HDLC": (link_layers.erf, erf(1) + b"\x0f\x00\x08\x00", 0x0800, V4, b""),
    "ERF, HDLC of a channel": (link_layers.erf, erf(5) + bytes(4) + b"\xff\x03\x00\x57", 0x86DD, V6, b""),
    "ERF, IPv4": (link_layers.erf, erf(22), IP_KIND, V4, b""),
    "ERF, IPv6": (link_layers.erf, erf(23), IP_KIND, V6, b""),
    "NFLOG": (
        link_layers.nflog, b"\x02\0\0\x05" + attribute(1, b"\x08\0\0\0") + attribute(10, b"prefix\0")
        + attribute(9, V4)[:4], IP_KIND, V4, bytes(-len(V4) % 4),
    ),
    "NFLOG, big endian": (
        link_layers.nflog, b"\x0a\0\0\x05" + attribute(1, b"\x86\xdd\0\0", ">") + attribute(9, V6, ">")[:4],
        IP_KIND, V6, bytes(-len(V6) % 4) + attribute(5, b"1234", ">"),
    ),
    "802.11": (wireless.ieee80211, dot11() + SNAP_V4[:8], 0x0800, V4, b""),
    "802.11, to the DS": (wireless.ieee80211, dot11(FCfield=TO_DS) + SNAP_V4[:8], 0x0800, V4, b""),
    "802.11, four addresses": (
        wireless.ieee80211, dot11(FCfield=BOTH_DS, addr4=MAC) + SNAP_V4[:8], 0x0800, V4, b"",
    ),
    "802.11, QoS": (wireless.ieee80211, dot11(subtype=8) + bytes(Dot11QoS(TID=6)) + SNAP_V4[:8], 0x0800, V4, b""),
    "802.11, QoS, HT control": (
        wireless.ieee80211, dot11(subtype=8, FCfield=ORDER) + bytes(6) + SNAP_V4[:8], 0x0800, V4, b"",
    ),
    "802.11, QoS, four addresses": (
        wireless.ieee80211, dot11(subtype=8, FCfield=BOTH_DS, addr4=MAC) + bytes(2) + SNAP_V4[:8],
        0x0800, V4, b"",
    ),
    "radiotap": (wireless.radiotap, bytes(RadioTap()) + dot11() + SNAP_V4[:8], 0x0800, V4, b""),
    "radiotap, FCS": (wireless.radiotap, radiotap(0x2, b"\x10") + dot11() + SNAP_V4[:8], 0x0800, V4, b"\xcc" * 4),
    "radiotap, time, padded": (
        wireless.radiotap,
        radiotap(0x80000003, bytes(4) + bytes(8) + b"\x20", bytes(4)) + dot11(subtype=8) + bytes(4) + SNAP_V4[:8],
        0x0800, V4, b"",
    ),
    "PPI": (wireless.ppi, struct.pack("<BBHI", 0, 0, 8, 105) + dot11() + SNAP_V4[:8], 0x0800, V4, b""),
    "PPI, Ethernet": (wireless.ppi, struct.pack("<BBHI", 0, 0, 12, 1) + bytes(4), ETHERNET, FRAME, b""),
    "Prism, big endian": (
        wireless.prism, struct.pack(">II", 0x44, 144) + bytes(136) + dot11() + SNAP_V4[:8], 0x0800, V4, b"",
    ),
    "AVS": (wireless.prism, struct.pack(">II", 0x80211001, 64) + bytes(56) + dot11() + SNAP_V4[:8], 0x0800, V4, b""),
}  # fmt: skip


class Fenced(bytes):
    """The bytes of a batch, of which only `first` to `end` may be read, one by one."""

    first: int
    end: int

    def __getitem__(self, at: SupportsIndex | slice) -> int:  # type: ignore[override]
        assert not isinstance(at, slice)
        assert self.first <= int(at) < self.end, f"reads at {int(at)}, outside of {self.first}..{self.end}"
        return bytes.__getitem__(self, at)


def decode(decoder: Decoder, payload: bytes, fence: int | None = None) -> Inner | None:
    """Runs a decoder on this payload within a batch; offsets count from its start. `fence` cuts it there."""
    before = b"\x45" * 11
    data = Fenced(before + payload + b"\x45" * 64)
    data.first, data.end = len(before), len(before) + (len(payload) if fence is None else fence)
    inner = decoder(data, data.first, data.end)
    if inner is None:
        return None
    assert data.first <= inner.at <= inner.end <= data.end
    return Inner(inner.kind, inner.at - len(before), inner.end - len(before))


@pytest.mark.parametrize("name", GOOD)
def test_what_lies_inside(name: str) -> None:
    decoder, header, kind, inside, behind = GOOD[name]
    got = decode(decoder, header + inside + behind)
    assert got is not None
    assert (got.kind, got.at) == (kind, len(header))
    assert len(header) + len(inside) <= got.end <= len(header) + len(inside) + len(behind)


@pytest.mark.parametrize("name", GOOD)
def test_cut_at_every_byte(name: str) -> None:
    decoder, header, kind, inside, _ = GOOD[name]
    for fence in range(len(header + inside)):
        got = decode(decoder, header + inside, fence)
        assert got is None or fence > min(len(header), got.at)
        if got is not None and fence > len(header) + 20:
            assert (got.kind, got.at) == (kind, len(header)), fence


BAD: dict[str, tuple[Decoder, bytes]] = {
    "MPLS without a bottom": (behind_ethertype.mpls, LABEL * 40),
    "MPLS, associated channel": (behind_ethertype.mpls, BOTTOM + b"\x10\0\0\x07" + V4),
    "MPLS, neither": (behind_ethertype.mpls, BOTTOM + b"\x33" * 60),
    "MPLS in UDP, IP of another length": (behind_ethertype.mpls_that_fits, BOTTOM + V4[:-1]),
    "PPPoE discovery": (behind_ethertype.pppoe, bytes(PPPoE(code=9, len=40)) + b"\x00\x21" + V4),
    "PPPoE, version": (behind_ethertype.pppoe, bytes(PPPoE(version=2, len=40)) + b"\x00\x21" + V4),
    "PPP, LCP": (behind_ethertype.ppp, b"\xff\x03\xc0\x21\x01\x01\x00\x04"),
    "PPP, even": (behind_ethertype.ppp, b"\x00\x20" + V4),
    "PPP, IPv6 as IPv4": (behind_ethertype.ppp, b"\x00\x21" + V6),
    "LLC, spanning tree": (behind_ethertype.llc, b"\x42\x42\x03" + bytes(35)),
    "LLC, Cisco's numbers": (behind_ethertype.llc, b"\xaa\xaa\x03\x00\x00\x0c\x20\x00" + V4),
    "NSH, OAM": (behind_ethertype.nsh, b"\x20\x02\x02\x01" + bytes(4) + V4),
    "NSH, no length": (behind_ethertype.nsh, b"\x00\x01\x02\x01" + bytes(4) + V4),
    "TRILL, version": (behind_ethertype.trill, b"\x40\x3f\x00\x01\x00\x02" + FRAME),
    "4 in 4 with 6": (behind_ip.ipv4, V6),
    "6 in 4 with 4": (behind_ip.ipv6, V4),
    "AH, reserved": (behind_ip.ah, b"\x11\x04\x01\x00" + bytes(20) + UDP_SIP),
    "AH, too short": (behind_ip.ah, b"\x11\x00\x00\x00" + bytes(20) + UDP_SIP),
    "EtherIP, version": (behind_ip.etherip, b"\x40\x00" + FRAME),
    "GRE, routing": (behind_ip.gre, gre(0x4000, 0x0800) + V4),
    "GRE, version 2": (behind_ip.gre, gre(0x0002, 0x0800) + V4),
    "GRE, keep-alive": (behind_ip.gre, gre(0, 0) + V4),
    "GRE, PPTP without data": (behind_ip.gre, gre(0x2081, 0x880B, bytes(8))),
    "GRE, PPTP with IP": (behind_ip.gre, gre(0x3001, 0x0800, bytes(8)) + V4),
    "ERSPAN, version": (behind_ip.gre, gre(0x1000, 0x88BE, bytes(4)) + b"\x30" + bytes(11) + FRAME),
    "ERSPAN III, another frame type": (
        behind_ip.gre, bytes(GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III(ft=1)) + FRAME,
    ),
    "GRE in UDP, reserved bits": (behind_ip.plain_gre, gre(0x0100, 0x0800) + V4),
    "VXLAN without I": (behind_udp.vxlan, bytes(8) + FRAME),
    "VXLAN, reserved flags": (behind_udp.vxlan, b"\x0c" + bytes(7) + FRAME),
    "VXLAN, reserved": (behind_udp.vxlan, b"\x08\x00\x00\x01" + bytes(4) + FRAME),
    "VXLAN-GPE, OAM": (behind_udp.vxlan_gpe, b"\x0d\0\0\x01\0\0\x4d\0" + V4),
    "VXLAN-GPE, unknown": (behind_udp.vxlan_gpe, b"\x0c\0\0\x77\0\0\x4d\0" + V4),
    "Geneve, control": (behind_udp.geneve, bytes(GENEVE(oam=1, proto=0x0800)) + V4),
    "Geneve, version": (behind_udp.geneve, b"\x40" + bytes(GENEVE(proto=0x0800))[1:] + V4),
    "Geneve, no ethertype": (behind_udp.geneve, bytes(GENEVE(proto=0x0200)) + V4),
    "GTP-U echo": (behind_udp.gtp_u, bytes(GTP_U_Header(teid=0, S=1) / GTPEchoRequest())),
    "GTP'": (behind_udp.gtp_u, struct.pack(">BBHI", 0x20, 255, len(V4), 1) + V4),
    "GTP-U, extension without length": (
        behind_udp.gtp_u, struct.pack(">BBHI", 0x34, 255, 8 + len(V4), 1) + b"\0\0\0\x85" + bytes(4) + V4,
    ),
    "GTP-U, endless extensions": (
        behind_udp.gtp_u, struct.pack(">BBHI", 0x34, 255, 400, 1) + b"\0\0\0\x85" + b"\x01\0\0\x85" * 80,
    ),
    "TZSP keep-alive": (behind_udp.tzsp, bytes(TZSP(type=4, encapsulated_protocol=1)) + b"\x01" + FRAME),
    "TZSP, no end": (behind_udp.tzsp, b"\x01\x00\x00\x01" + bytes(100)),
    "TZSP, FDDI": (behind_udp.tzsp, b"\x01\x00\x00\x05\x01" + FRAME),
    "HP ERM, ARP": (behind_udp.hp_erm, bytes(24) + b"\x08\x06" + bytes(46)),
    "L2TP control": (behind_udp.l2tp, struct.pack(">HHHHHH", 0xC802, 12, 1, 0, 0, 0) + b"\x00\x21" + V4),
    "L2TP version 3": (behind_udp.l2tp, struct.pack(">HHI", 0x0003, 0, 7) + b"\x00\x21" + V4),
    "ERF, statistics": (link_layers.erf, erf(13) + V4),
    "ERF, endless extension headers": (link_layers.erf, erf(0x82) + b"\x83" * 400),
    "NFLOG, attribute without length": (link_layers.nflog, b"\x02\0\0\x05" + bytes(60)),
    "NFLOG, version": (link_layers.nflog, b"\x02\x01\0\x05" + attribute(9, V4)),
    "pflog, no header": (link_layers.pflog, b"\x03\x02" + V4),
    "Cisco HDLC, control": (link_layers.cisco_hdlc, b"\x0f\x01\x08\x00" + V4),
    "802.11 beacon": (wireless.ieee80211, bytes(Dot11(type=0, subtype=8)) + SNAP_V4),
    "802.11, protected": (wireless.ieee80211, dot11(FCfield=PROTECTED) + SNAP_V4),
    "802.11, null function": (wireless.ieee80211, dot11(subtype=4) + SNAP_V4),
    "802.11, first fragment": (wireless.ieee80211, dot11(FCfield=MORE_FRAGMENTS) + SNAP_V4),
    "802.11, last fragment": (wireless.ieee80211, dot11(SC=1) + SNAP_V4),
    "802.11, A-MSDU": (wireless.ieee80211, dot11(subtype=8) + b"\x80\x00" + FRAME[:12] + b"\0\x60" + SNAP_V4),
    "radiotap, version": (wireless.radiotap, b"\x01" + radiotap(0, b"")[1:] + dot11() + SNAP_V4),
    "radiotap, length": (wireless.radiotap, b"\x00\x00\x04\x00" + bytes(4) + dot11() + SNAP_V4),
    "PPI, another link": (wireless.ppi, struct.pack("<BBHI", 0, 0, 8, 147) + V4),
    "AVS, no length": (wireless.avs, struct.pack(">II", 0x80211001, 4) + dot11() + SNAP_V4),
    "Prism, magic": (wireless.prism, bytes(144) + dot11() + SNAP_V4),
    "Ethernet, too short": (ethernet, FRAME[:13]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name: str) -> None:
    decoder, payload = BAD[name]
    assert decode(decoder, payload) is None


@pytest.mark.parametrize("icv", esp.ICV_SIZES)
@pytest.mark.parametrize(
    ("payload", "protocol"),
    [(UDP_SIP, 17), (UDP_SIP + b"x", 17), (TCP_SIP, 6), (TCP_SIP + b"x", 6), (V4, 4), (V6, 41), (V4 + bytes(30), 4)],
    ids=["UDP", "UDP, odd", "TCP", "TCP, odd", "IPv4", "IPv6", "flow padding"],
)
def test_esp_with_null_encryption(payload: bytes, protocol: int, icv: int) -> None:
    if protocol == 17:
        payload = payload[:4] + struct.pack(">H", len(payload)) + payload[6:]
    packet = esp_packet(payload, protocol, icv)
    assert decode(esp.esp_null, packet) == Inner(IP_PROTOCOL + protocol, 8, 8 + len(payload))
    for fence in range(len(packet)):
        assert (got := decode(esp.esp_null, packet, fence)) is None or got.end <= fence


@pytest.mark.parametrize(
    ("payload", "protocol"),
    [(gre(0, 0x0800) + V4, 47), (bytes(AH(nh=4, payloadlen=4, spi=9, icv=bytes(12))) + V4, 51), (b"0\0" + FRAME, 97),
     (BOTTOM + V6, 137)],
    ids=["GRE", "AH", "EtherIP", "MPLS"],
)  # fmt: skip
def test_tunnels_in_esp(payload: bytes, protocol: int) -> None:
    inner = decode(esp.esp_null, esp_packet(payload, protocol, 12))
    assert inner == Inner(IP_PROTOCOL + protocol, 8, 8 + len(payload))


def test_esp_of_sctp() -> None:
    chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(SIP), 1, 0, 0, 0) + SIP
    packet = struct.pack(">HHII", 5060, 5060, 1, 0) + chunk + bytes(-len(SIP) % 4)
    assert decode(esp.esp_null, esp_packet(packet, 132, 12)) == Inner(IP_PROTOCOL + 132, 8, 8 + len(packet))


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(esp_packet(UDP_SIP, 17, 12, spi=0), id="IKE in UDP"),
        pytest.param(b"\xff", id="keep-alive"),
        pytest.param(esp_packet(UDP_SIP, 17, 4), id="an ICV of no known size"),
        pytest.param(esp_packet(UDP_SIP, 59, 12), id="no next header"),
        pytest.param(esp_packet(bytes(range(200)), 17, 12), id="encrypted"),
        pytest.param(SIP, id="SIP"),
        pytest.param(struct.pack(">II", 9999, 1) + UDP_SIP + bytes([9, 9, 2, 17]) + bytes(12), id="padding"),
    ],
)
def test_esp_refuses(packet: bytes) -> None:
    assert decode(esp.esp_null, packet) is None


TABLES: dict[str, dict[int, Decoder]] = {
    name: table for name, table in vars(tunnels).items() if isinstance(table, dict) and not name.startswith("_")
}
DECODERS = sorted(
    {decoder for table in TABLES.values() for decoder in table.values()}, key=lambda decoder: decoder.__name__
)
UDP_DECODERS = {**tunnels.BY_UDP_PORT, **tunnels.ESP_BY_UDP_PORT}
PACKETS = [header + inside + behind for _, header, _, inside, behind in GOOD.values()]
PACKETS += [payload for _, payload in BAD.values()] + [esp_packet(UDP_SIP, 17, 12), SIP]


def test_every_decoder_of_the_tables_has_a_case() -> None:
    tested = {case[0] for case in [*GOOD.values(), *BAD.values()]} | {esp.esp_null, ethernet}
    missing = {named(decoder) for decoder in {*DECODERS, tunnels.BEHIND_LENGTH} - tested}
    assert missing == set(), "tests/packet/test_tunnels.py: add packets of these to GOOD, and to BAD"


def named(function: Callable[..., object]) -> str:
    return f"{function.__module__}.{function.__name__}"


class Noting(dict[int, Decoder]):
    """A table that notes which of its numbers lead anywhere."""

    def __init__(self, table: dict[int, Decoder]) -> None:
        super().__init__(table)
        self.met: set[int] = set()

    def get(self, number: int, default: Any = None) -> Any:
        return self[number] if number in self else default  # noqa: SIM401 - it would call itself

    def __getitem__(self, number: int) -> Decoder:
        def decoder(data: bytes, at: int, end: int) -> Inner | None:
            inner = dict.__getitem__(self, number)(data, at, end)
            if inner is not None:
                self.met.add(number)
            return inner

        return decoder


WHERE = {
    "BY_LINK_TYPE": "tests/link_wrappings.py: add to LINKS a link layer of the type {}",
    "BY_ETHERTYPE": "tests/wrappings.py: add to TUNNELS one with the ethertype {:#06x}",
    "BY_IP_PROTOCOL": "tests/wrappings.py: add to TUNNELS one with the IP protocol {}",
    "BY_UDP_PORT": "tests/wrappings.py: add to TUNNELS one on the UDP port {}",
    "ESP_BY_IP_PROTOCOL": "tests/wrappings.py: add to TUNNELS one with the IP protocol {}",
    "ESP_BY_UDP_PORT": "tests/wrappings.py: add to TUNNELS one on the UDP port {}",
}


# Ethertypes that the generator has only within GRE and Geneve, whose decoders go on by themselves.
COOKED = bytes(14)
IN_COOKED = [(COOKED + b"\x65\x58" + FRAME, 113), (COOKED + b"\x88\x0b\x00\x21" + V4, 113)]


def test_every_line_of_the_tables_is_in_the_generated_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """test_every_carriage.py and others send SIP through all that they wrap, alone and two deep."""
    noting = {name: Noting(table) for name, table in TABLES.items()}
    for name, table in noting.items():
        monkeypatch.setattr(tunnels, name, table)
    cases = [build(name) for depth in (0, 1) for name in names(depth, ("udp",))]
    for frame, link_type in [*((case.frames[0], case.link_type) for case in cases), *IN_COOKED]:
        assert [protocol for protocol, _ in packets(frame, link_type)][-1:] == [UDP_PROTOCOL]
    missing = [
        WHERE[name].format(number) for name, table in noting.items() for number in table if number not in table.met
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("port", UDP_DECODERS)
@pytest.mark.parametrize(
    "payload",
    [b"", b"\r\n\r\n", b"\0\0\0\0", SIP, b"0" + SIP, b"SIP/2.0 200 OK\r\n\r\n", bytes([0x80, 0]) + bytes(170)],
    ids=["empty", "keep-alive", "zeros", "request", "method with a digit", "response", "RTP"],
)
def test_a_tunnels_port_may_carry_something_else(port: int, payload: bytes) -> None:
    assert decode(UDP_DECODERS[port], payload) is None


@given(
    st.sampled_from(sorted(UDP_DECODERS)),
    st.text("ABCEGINORSTVYabcz0123456789-.!%*_+`'~", min_size=1, max_size=20),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    st.integers(0, 3000),
)
def test_no_tunnel_takes_sip_for_its_own(port: int, method: str, uri: str, size: int) -> None:
    message = f"{method} sip:{uri} SIP/2.0\r\nVia: SIP/2.0/UDP h\r\n\r\n".encode() + b"v=0\r\n" * (size // 5)
    assert decode(UDP_DECODERS[port], message) is None


@given(
    st.sampled_from(DECODERS),
    st.one_of(st.sampled_from(PACKETS), st.binary(max_size=80)),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=5),
    st.integers(0, 200),
)
def test_any_bytes_give_an_answer(decoder: Decoder, packet: bytes, changes: list[tuple[int, int]], fence: int) -> None:
    damaged = bytearray(packet)
    for at, value in changes:
        if at < len(damaged):
            damaged[at] = value
    decode(decoder, bytes(damaged), min(fence, len(damaged)))  # which checks reads and results
