"""Tunnels around a packet, also nested. `link_wrappings.py` has the link layers.

Headers are made with scapy once; each packet then gets its lengths and checksums, which is a hundred times faster.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from carriages import checksum
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III, ERSPAN_PlatformSpecific
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.contrib.nsh import NSH
from scapy.contrib.tzsp import TZSP, TZSPTagEnd, TZSPTagRawRSSIByte
from scapy.layers.dot11 import Dot11
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import AH
from scapy.layers.l2 import GRE, LLC, SNAP, Dot1AD, Dot1Q, Ether
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.vxlan import VXLAN

V4, V6, MPLS_TYPE, PPPOE_TYPE, BRIDGING = 0x0800, 0x86DD, 0x8847, 0x8864, 0x6558
MAC = "00:00:5e:00:53:01"  # RFC 7042 2.1.2: for documentation; tshark guesses by the manufacturer
MACS = bytes(Ether(src=MAC, dst=MAC, type=0))[:12]

# What carries something takes its ethertype and its bytes, and gives the same of the whole; None: it cannot carry that.
Wrapped = tuple[int, bytes]
Tunnel = Callable[[int, bytes], Wrapped | None]


def is_ip(kind: int) -> bool:
    return kind in (V4, V6)


def frame(kind: int, inside: bytes) -> bytes:
    return MACS + struct.pack(">H", kind) + inside


IP_HEADER = bytes(IP(src="198.51.100.1", dst="198.51.100.2", len=0, chksum=0, flags="DF", ttl=60, proto=0))
IP_ID_AND_FLAGS = struct.unpack_from(">I", IP_HEADER, 4)[0]
IP_SUM = ~checksum(IP_HEADER) & 0xFFFF  # with neither length nor protocol
IPV6_HEADER = bytes(IPv6(src="2001:db8:ff::1", dst="2001:db8:ff::2", plen=0, hlim=60))


def in_ipv4(protocol: int, payload: bytes) -> Wrapped:
    total = 20 + len(payload)
    value = IP_SUM + total + protocol
    value = ~(value + (value >> 16)) & 0xFFFF  # of 20 bytes: folded once is enough
    return V4, b"".join(
        (IP_HEADER[:2], struct.pack(">HIBBH", total, IP_ID_AND_FLAGS, 60, protocol, value), IP_HEADER[12:], payload)
    )


def in_ipv6(protocol: int, payload: bytes) -> Wrapped:
    return V6, IPV6_HEADER[:4] + struct.pack(">HB", len(payload), protocol) + IPV6_HEADER[7:] + payload


def in_udp(port: int, payload: bytes, outer: Callable[[int, bytes], Wrapped] = in_ipv4) -> Wrapped:
    # RFC 6935: a tunnel may leave its checksum 0, also on IPv6.
    return outer(17, struct.pack(">HHHH", 40000, port, 8 + len(payload), 0) + payload)


def before(outer: int, header: bytes) -> Tunnel:
    """A tag before it: its last two bytes become the ethertype of its content."""
    return lambda kind, inside: (outer, header[:-2] + struct.pack(">H", kind) + inside)


def of_ethernet(wrap: Callable[[bytes], Wrapped]) -> Tunnel:
    return lambda kind, inside: wrap(frame(kind, inside))


def of_ip(wrap: Callable[[bytes], Wrapped]) -> Tunnel:
    return lambda kind, inside: wrap(inside) if is_ip(kind) else None


def of_type(wrap: Callable[[int, bytes], Wrapped]) -> Tunnel:
    """Carries IP and MPLS by ethertype."""
    return lambda kind, inside: wrap(kind, inside) if is_ip(kind) or kind == MPLS_TYPE else None


PPP_PROTOCOL = {V4: 0x21, V6: 0x57, MPLS_TYPE: 0x281}
PPP_TYPES = {kind: bytes(PPP(proto=number)) for kind, number in PPP_PROTOCOL.items()}


def of_ppp(wrap: Callable[[bytes], Wrapped], address: bytes = b"", short: bool = False) -> Tunnel:
    def tunnel(kind: int, inside: bytes) -> Wrapped | None:
        if kind not in PPP_TYPES:
            return None
        protocol = PPP_TYPES[kind]
        return wrap(address + (protocol[1:] if short and protocol[0] == 0 else protocol) + inside)

    return tunnel


def gre(protocol: int, outer: Callable[[int, bytes], Wrapped] = in_ipv4, **fields: int) -> Callable[[bytes], Wrapped]:
    header = bytes(GRE(proto=protocol, **fields))
    return lambda inside: outer(47, header + inside)


def gre_typed(outer: Callable[[int, bytes], Wrapped] = in_ipv4, **fields: int) -> Tunnel:
    headers = {kind: bytes(GRE(proto=kind, **fields)) for kind in (V4, V6, MPLS_TYPE)}
    return of_type(lambda kind, inside: outer(47, headers[kind] + inside))


def gre_checked(kind: int, inside: bytes) -> Wrapped:
    packet = struct.pack(">HHHHII", 0xB000, kind, 0, 0, 7, 1) + inside
    return in_ipv4(47, packet[:4] + struct.pack(">H", checksum(packet)) + packet[6:])


def pptp(inside: bytes) -> Wrapped:
    return in_ipv4(47, struct.pack(">HHHHII", 0x3081, 0x880B, len(inside), 5, 1, 1) + inside)


def erspan(protocol: int, header: bytes, sequence: bool = True) -> Tunnel:
    front = struct.pack(">HHI", 0x1000, protocol, 5) if sequence else struct.pack(">HH", 0, protocol)
    return of_ethernet(lambda inside: in_ipv4(47, front + header + inside))


def udp_headed(
    port: int, header: bytes, outer: Callable[[int, bytes], Wrapped] = in_ipv4
) -> Callable[[bytes], Wrapped]:
    return lambda inside: in_udp(port, header + inside, outer)


def udp_typed(port: int, headers: dict[int, bytes]) -> Tunnel:
    return lambda kind, inside: in_udp(port, headers[kind] + inside) if kind in headers else None


def gtp_u(optional: bytes = b"", flags: int = 0x30, outer: Callable[[int, bytes], Wrapped] = in_ipv4) -> Tunnel:
    header = bytes(GTP_U_Header(gtp_type=255, teid=77, S=0, E=0, PN=0, length=0))[4:]
    return of_ip(
        lambda inside: in_udp(
            2152, struct.pack(">BBH", flags, 255, len(optional + inside)) + header + optional + inside, outer
        )
    )


def l2tp(inside: bytes) -> Wrapped:
    return in_udp(1701, struct.pack(">HHHH", 0x4002, 8 + len(inside), 3, 4) + inside)


def esp(protocol: int, inside: bytes) -> bytes:
    pad = bytes(range(1, 1 + -(len(inside) + 2) % 4))
    return struct.pack(">II", 0x1234, 9) + inside + pad + bytes([len(pad), protocol]) + b"\xee" * 12


def next_header(packet: bytes) -> int:
    return 4 if packet[0] >> 4 == 4 else 41


def transport_mode(number: int, protect: Callable[[int, bytes], bytes]) -> Tunnel:
    """AH or ESP between the IP header and its payload: not for a fragment (RFC 4303 3.3.4), nor ESP in ESP."""

    def tunnel(kind: int, packet: bytes) -> Wrapped | None:
        if is_ip(kind) and packet[9 if kind == V4 else 6] == 50 == number:
            return None
        if kind == V4 and not struct.unpack_from(">H", packet, 6)[0] & 0x3FFF:
            inside = protect(packet[9], packet[20:])
            header = (
                packet[:2] + struct.pack(">H", 20 + len(inside)) + packet[4:9] + bytes([number, 0, 0]) + packet[12:20]
            )
            return V4, header[:10] + struct.pack(">H", checksum(header)) + header[12:] + inside
        if kind == V6 and packet[6] != 44:
            inside = protect(packet[6], packet[40:])
            return V6, packet[:4] + struct.pack(">HB", len(inside), number) + packet[7:40] + inside
        return None

    return tunnel


AH_BEHIND_LENGTH = bytes(AH(nh=4, payloadlen=4, spi=9, seq=1, icv=bytes(12)))[2:]


def ah(protocol: int, inside: bytes) -> bytes:
    return bytes([protocol, 4]) + AH_BEHIND_LENGTH + inside


LABEL, BOTTOM = bytes(MPLS(label=1000, s=0, ttl=9)), bytes(MPLS(label=1001, s=1, ttl=9))
WIFI = bytes(Dot11(type=2, addr1=MAC, addr2=MAC, addr3=MAC))
SNAP_HEADER = bytes(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0))[:6]
NSH_ETHERNET = bytes(NSH(nextproto=3))
PPPOE_START = bytes(PPPoE(sessionid=7, len=0))[:4]
TZSP_TAGS = bytes(TZSP(type=0, encapsulated_protocol=1) / TZSPTagRawRSSIByte(raw_rssi=40) / TZSPTagEnd())
OPTION = [GeneveOptions(classid=0x0100, type=1, data=b"12345678")]
GPE_TYPES = {V4: 1, V6: 2, MPLS_TYPE: 5}


def snap(kind: int, inside: bytes) -> bytes:
    return SNAP_HEADER + struct.pack(">H", kind) + inside


TUNNELS: dict[str, Tunnel] = {
    "vlan": before(0x8100, bytes(Dot1Q(vlan=100, type=0))),
    "qinq": before(0x88A8, bytes(Dot1AD(vlan=7, type=0x8100) / Dot1Q(vlan=4094, type=0))),
    "mpls": of_ip(lambda inside: (MPLS_TYPE, BOTTOM + inside)),
    "mpls-stack": of_ip(lambda inside: (MPLS_TYPE, LABEL + LABEL + BOTTOM + inside)),
    "mpls-multicast": of_ip(lambda inside: (0x8848, BOTTOM + inside)),
    "mpls-pseudowire": of_ethernet(lambda inside: (MPLS_TYPE, BOTTOM + inside)),
    "mpls-control-word": of_ethernet(lambda inside: (MPLS_TYPE, LABEL + BOTTOM + bytes(4) + inside)),
    "pppoe": of_ppp(lambda inside: (PPPOE_TYPE, PPPOE_START + struct.pack(">H", len(inside)) + inside)),
    "trill": of_ethernet(lambda inside: (0x22F3, b"\x00\x3f\x00\x01\x00\x02" + inside)),
    "802.1ah": of_ethernet(lambda inside: (0x88E7, b"\x00\x00\x12\x34" + inside)),
    "vn-tag": before(0x8926, bytes(6)),
    "e-tag": before(0x893F, bytes(8)),
    "nsh": of_ethernet(lambda inside: (0x894F, NSH_ETHERNET + inside)),
    "ip": of_ip(lambda inside: in_ipv4(next_header(inside), inside)),
    "ip-on-6": of_ip(lambda inside: in_ipv6(next_header(inside), inside)),
    "ah": transport_mode(51, ah),
    "ah-tunnel": of_ip(lambda inside: in_ipv4(51, ah(next_header(inside), inside))),
    "etherip": of_ethernet(lambda inside: in_ipv4(97, b"\x30\x00" + inside)),
    "mpls-in-ip": of_ip(lambda inside: in_ipv4(137, BOTTOM + inside)),
    "gre": gre_typed(),
    "gre-on-6": gre_typed(in_ipv6),
    "gre-key": gre_typed(key_present=1, key=9),
    "gre-sequence": gre_typed(seqnum_present=1, sequence_number=9),
    "gre-checksum-key-sequence": of_type(gre_checked),
    "gre-ethernet": of_ethernet(gre(BRIDGING)),
    "nvgre": of_ethernet(gre(BRIDGING, key_present=1, key=0x500)),
    "gre-ppp": of_ppp(gre(0x880B), b"\xff\x03"),
    "pptp": of_ppp(pptp, b"\xff\x03"),
    "pptp-compressed": of_ppp(pptp, short=True),
    "erspan-1": erspan(0x88BE, b"", sequence=False),
    "erspan-2": erspan(0x88BE, bytes(ERSPAN_II(session_id=5))),
    "erspan-3": erspan(0x22EB, bytes(ERSPAN_III(session_id=5))),
    "erspan-3-subheader": erspan(0x22EB, bytes(ERSPAN_III(session_id=5, o=1) / ERSPAN_PlatformSpecific(platf_id=3))),
    "vxlan": of_ethernet(udp_headed(4789, bytes(VXLAN(vni=77)))),
    "vxlan-on-6": of_ethernet(udp_headed(4789, bytes(VXLAN(vni=77)), in_ipv6)),
    "vxlan-8472": of_ethernet(udp_headed(8472, bytes(VXLAN(vni=77)))),
    "vxlan-group": of_ethernet(udp_headed(4789, bytes(VXLAN(flags=0x88, gpid=5, vni=77)))),
    "vxlan-gpe": udp_typed(4790, {kind: bytes([12, 0, 0, number, 0, 0, 77, 0]) for kind, number in GPE_TYPES.items()}),
    "vxlan-gpe-ethernet": of_ethernet(udp_headed(4790, bytes([12, 0, 0, 3, 0, 0, 77, 0]))),
    "geneve": of_ethernet(udp_headed(6081, bytes(GENEVE(proto=BRIDGING, vni=77)))),
    "geneve-ip": udp_typed(6081, {kind: bytes(GENEVE(proto=kind, vni=77)) for kind in PPP_TYPES}),
    "geneve-options": of_ethernet(udp_headed(6081, bytes(GENEVE(proto=BRIDGING, vni=77, options=OPTION)))),
    "gtp-u": gtp_u(),
    "gtp-u-on-6": gtp_u(outer=in_ipv6),
    "gtp-u-sequence": gtp_u(b"\x00\x09\x00\x00", 0x32),
    "gtp-u-5g": gtp_u(b"\x00\x00\x00\x85\x01\x00\x05\x00", 0x34),
    "tzsp": of_ethernet(udp_headed(37008, bytes(TZSP(type=0, encapsulated_protocol=1) / TZSPTagEnd()))),
    "tzsp-tags": of_ethernet(udp_headed(37008, TZSP_TAGS)),
    "tzsp-802.11": lambda kind, inside: in_udp(37008, b"\x01\x00\x00\x12\x01" + WIFI + snap(kind, inside)),
    "hp-erm": of_ethernet(udp_headed(7932, bytes(12))),
    "mpls-in-udp": of_ip(udp_headed(6635, BOTTOM)),
    "gre-in-udp": udp_typed(4754, {kind: bytes(GRE(proto=kind)) for kind in PPP_TYPES}),
    "l2tp": of_ppp(l2tp, b"\xff\x03"),
    "esp": transport_mode(50, esp),
    "esp-tunnel": of_ip(lambda inside: in_ipv4(50, esp(next_header(inside), inside))),
    "esp-in-udp": of_ip(lambda inside: in_udp(4500, esp(next_header(inside), inside))),
}
