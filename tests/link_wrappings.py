"""Link layers around a packet or a tunnel of `wrappings.py`: the outermost part of a case."""

from __future__ import annotations

import struct
from collections.abc import Callable

from scapy.layers.dot11 import Dot11, RadioTap
from scapy.layers.l2 import CookedLinux, CookedLinuxV2
from scapy.layers.ppp import HDLC
from wrappings import MAC, MACS, PPP_TYPES, TUNNELS, V4, WIFI, frame, is_ip, snap

Link = Callable[[int, bytes], bytes | None]

WIFI_4 = bytes(Dot11(type=2, FCfield=3, addr1=MAC, addr2=MAC, addr3=MAC, addr4=MAC))
WIFI_QOS = bytes(Dot11(type=2, subtype=8, addr1=MAC, addr2=MAC, addr3=MAC)) + bytes(2)
WIFI_HT = bytes(Dot11(type=2, subtype=8, FCfield=0x80, addr1=MAC, addr2=MAC, addr3=MAC)) + bytes(6)
COOKED_2 = bytes(CookedLinuxV2(proto=0))[2:]


def ip_link(header: bytes = b"") -> Link:
    return lambda kind, inside: header + inside if is_ip(kind) else None


def ppp_link(header: bytes) -> Link:
    return lambda kind, inside: header + PPP_TYPES[kind] + inside if kind in PPP_TYPES else None


def nflog(kind: int, inside: bytes) -> bytes | None:
    if not is_ip(kind):
        return None
    prefix = struct.pack("<HH", 12, 10) + b"sip-in\0\0"
    start = bytes([2 if kind == V4 else 10, 0, 0, 5])
    return start + prefix + struct.pack("<HH", 4 + len(inside), 9) + inside + bytes(-len(inside) % 4)


def loopback(kind: int, inside: bytes) -> bytes | None:
    return struct.pack("<I", 2 if kind == V4 else 30) + inside if is_ip(kind) else None


def typed_link(header: bytes) -> Link:
    """The header, then an ethertype."""
    return lambda kind, inside: header + struct.pack(">H", kind) + inside


def wifi(header: bytes, behind: bytes = b"") -> Link:
    return lambda kind, inside: header + snap(kind, inside) + behind


def in_802_3(kind: int, inside: bytes) -> bytes:
    return MACS + struct.pack(">H", 8 + len(inside)) + snap(kind, inside)


def erf(kind: int, inside: bytes, header: bytes = b"") -> bytes:
    """A record of Endace's ERF: time, type, flags, length of the record, losses, length on the wire."""
    return (
        struct.pack("<QBB", 1 << 62, kind, 4)
        + struct.pack(">HHH", 16 + len(header + inside), 0, len(inside))
        + header
        + inside
    )


# Name, and LINKTYPE_ value.
LINKS: dict[str, tuple[int, Link]] = {
    "ethernet": (1, frame),
    "802.3-snap": (1, in_802_3),
    "linux-cooked": (113, typed_link(bytes(CookedLinux(proto=0))[:14])),
    "linux-cooked-2": (276, lambda kind, inside: struct.pack(">H", kind) + COOKED_2 + inside),
    "loopback": (0, loopback),
    "loopback-openbsd": (
        108,
        lambda kind, inside: struct.pack(">I", 2 if kind == V4 else 24) + inside if is_ip(kind) else None,
    ),
    "raw": (101, ip_link()),
    "ppp": (9, ppp_link(b"\xff\x03")),
    "ppp-without-address": (9, ppp_link(b"")),
    "ppp-hdlc": (50, ppp_link(bytes(HDLC()))),
    "pppoe-link": (51, lambda kind, inside: (TUNNELS["pppoe"](kind, inside) or (0, None))[1]),
    "cisco-hdlc": (104, lambda kind, inside: typed_link(b"\x0f\x00")(kind, inside) if kind in PPP_TYPES else None),
    "enc": (
        109,
        lambda kind, inside: struct.pack("<III", 2 if kind == V4 else 24, 0, 0) + inside if is_ip(kind) else None,
    ),
    "pflog": (
        117,
        lambda kind, inside: bytes([61, 2 if kind == V4 else 24]) + bytes(62) + inside if is_ip(kind) else None,
    ),
    "ppp-pppd": (166, ppp_link(b"\x01\x03")),
    "ppp-with-direction": (204, ppp_link(b"\x01\xff\x03")),
    "nflog": (239, nflog),
    "erf-ethernet": (197, lambda kind, inside: erf(2, frame(kind, inside), bytes(2))),
    "erf-ip": (197, lambda kind, inside: erf(22 if kind == V4 else 23, inside) if is_ip(kind) else None),
    "802.11": (105, wifi(WIFI)),
    "802.11-four-addresses": (105, wifi(WIFI_4)),
    "802.11-qos": (105, wifi(WIFI_QOS)),
    "802.11-ht-control": (105, wifi(WIFI_HT)),
    "radiotap": (127, wifi(bytes(RadioTap()) + WIFI)),
    "radiotap-fcs": (127, wifi(b"\x00\x00\x09\x00\x02\x00\x00\x00\x10" + WIFI, b"\xcc" * 4)),
    "radiotap-padded": (127, wifi(b"\x00\x00\x09\x00\x02\x00\x00\x00\x20" + WIFI_QOS + bytes(2))),
    "prism": (119, wifi(struct.pack("<II", 0x44, 144) + bytes(136) + WIFI)),
    "avs": (163, wifi(struct.pack(">II", 0x80211001, 64) + bytes(56) + WIFI)),
    "ppi": (192, wifi(struct.pack("<BBHI", 0, 0, 8, 105) + WIFI)),
}
