"""The interfaces and addresses of this host, from the kernel's rtnetlink(7). Linux."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct

ANY = "any"

# linux/netlink.h, linux/rtnetlink.h
MESSAGE = Struct("=IHHII")  # length, type, flags, sequence, port
LINK = Struct("=BxHiII")  # family, hardware type, index, flags, change
ADDRESS = Struct("=BBBBi")  # family, prefix length, flags, scope, index
ATTRIBUTE = Struct("=HH")  # length with this header, type
GET_LINK, GET_ADDRESS = 18, 22
NEW_LINK, NEW_ADDRESS = 16, 20
REQUEST, DUMP = 0x001, 0x300
ERROR, DONE = 2, 3
IFLA_ADDRESS, IFLA_IFNAME, IFLA_STATS64, IFLA_PROMISCUITY, IFA_ADDRESS, IFA_LOCAL = 1, 3, 23, 30, 1, 2
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000

MISSED = Struct("=88xQQQQQ")  # linux/if_link.h, struct rtnl_link_stats64: the twelfth to the sixteenth

# linux/if_arp.h
KINDS = {
    1: "Ethernet",
    280: "CAN",
    512: "PPP",
    768: "IP in IP",
    769: "IPv6 in IPv6",
    772: "loopback",
    776: "SIT",
    778: "GRE",
    801: "802.11",
    803: "802.11 monitor",
    823: "GRE over IPv6",
    0xFFFE: "raw IP",
}


@dataclass(frozen=True, slots=True)
class LocalInterface:
    """An interface available for capture."""

    name: str
    kind: str  # Ethernet, loopback, ...; a description for `any`
    up: bool
    mac: str = ""
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    carrier: bool = True  # a cable, or the other end of a pair, is connected and up
    promiscuous: bool = False  # somebody has asked for frames to other stations
    missed: int = 0  # frames that its card had no buffer for, since it was made


def is_pattern(name: str) -> bool:
    """Whether an entry of `interfaces` may match several."""
    return any(character in name for character in "*?[")


def list_interfaces() -> list[LocalInterface]:
    """The interfaces of this host in the kernel's order, then libpcap's `any`. Raises OSError."""
    addresses: dict[int, list[IPv4Address | IPv6Address]] = {}
    for index, address in _addresses():
        addresses.setdefault(index, []).append(address)
    found = []
    for body, attributes in _dump(GET_LINK, NEW_LINK, LINK):
        _, hardware, index, flags, _ = body
        found.append(
            LocalInterface(
                name=attributes.get(IFLA_IFNAME, b"").rstrip(b"\0").decode("utf-8", "replace"),
                kind=KINDS.get(hardware, f"hardware type {hardware}"),
                up=bool(flags & IFF_UP),
                mac=attributes.get(IFLA_ADDRESS, b"").hex(":"),
                addresses=tuple(addresses.get(index, ())),
                carrier=bool(flags & IFF_LOWER_UP),
                promiscuous=any(attributes.get(IFLA_PROMISCUITY, b"")),
                missed=missed_frames(attributes.get(IFLA_STATS64, b"")),
            )
        )
    return [*found, LocalInterface(ANY, "all interfaces, Linux cooked", up=True)]


def missed_frames(statistics: bytes) -> int:
    """Of rtnl_link_stats64: rx_over_errors, rx_fifo_errors and rx_missed_errors, which drivers use for the same.

    Not rx_dropped: it also counts what was captured and no protocol wanted, such as unknown VLANs.
    """
    if len(statistics) < MISSED.size:
        return 0
    over, _, _, fifo, missed = MISSED.unpack_from(statistics)
    return int(max(over, fifo, missed))


def local_addresses() -> frozenset[IPv4Address | IPv6Address]:
    """This host's own addresses, on all interfaces. Raises OSError."""
    return frozenset(address for _, address in _addresses())


def _addresses() -> Iterator[tuple[int, IPv4Address | IPv6Address]]:
    for body, attributes in _dump(GET_ADDRESS, NEW_ADDRESS, ADDRESS):
        # On a point-to-point link IFA_ADDRESS is the other end's and IFA_LOCAL ours; IPv6 has only the former.
        packed = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if packed is not None and len(packed) in (4, 16):
            yield body[-1], ip_address(packed)


def _dump(request: int, answer: int, header: Struct) -> Iterator[tuple[tuple[int, ...], dict[int, bytes]]]:
    """All of the kernel's objects of one kind: the fixed fields of each, and its attributes by type."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(MESSAGE.pack(MESSAGE.size + 16, request, REQUEST | DUMP, 1, 0) + bytes(16))
        while True:
            data = kernel.recv(1 << 16)
            at = 0
            while at + MESSAGE.size <= len(data):
                length, kind, _, _, _ = MESSAGE.unpack_from(data, at)
                body = data[at + MESSAGE.size : at + length]
                if kind == DONE:
                    return
                if kind == ERROR:
                    raise OSError("the kernel refuses to list its interfaces")
                if kind == answer:
                    yield header.unpack_from(body), dict(_attributes(body, header.size))
                at += max(length + 3 & ~3, MESSAGE.size)


def _attributes(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + ATTRIBUTE.size <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, at)
        yield kind, body[at + ATTRIBUTE.size : at + length]
        at += max(length + 3 & ~3, ATTRIBUTE.size)
