"""Sockets to one place, from the address that the configuration names or the system chooses."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

from capture_agent.config.sending import split_source
from capture_agent.own_sockets import SOCKETS

Endpoint = tuple[bytes, int]  # a packed address and a port

FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
SIOCGIFADDR = 0x8915  # linux/sockios.h
IPV6_ADDRESSES = Path("/proc/net/if_inet6")

_REFUSALS = {
    errno.EADDRNOTAVAIL: "not an address of this host",
    errno.EADDRINUSE: "the port is in use",
    errno.EACCES: "the port is for root alone",
}


def connected(
    place: tuple[str, int], kind: socket.SocketKind, source: str = "", timeout: float | None = None
) -> socket.socket:
    """The name is looked up anew each time: collectors move. Raises OSError, whose strerror is for a user to read."""
    problem = OSError(errno.EADDRNOTAVAIL, "the host name has no address")
    for family, found_kind, protocol, _, address in candidates(place, kind, source):
        connection = socket.socket(family, found_kind, protocol)
        try:
            connection.settimeout(timeout)
            if source:
                bind(connection, source)
            connection.connect(address)
        except OSError as error:
            connection.close()
            problem = error
        else:
            SOCKETS.look()
            return connection
        if kind == socket.SOCK_DGRAM:
            break
    raise problem


def candidates(place: tuple[str, int], kind: socket.SocketKind, source: str) -> list[Any]:
    """The addresses of the place that can be reached from the source."""
    found = socket.getaddrinfo(*place, type=kind)
    try:
        version = ip_address(split_source(source)[0]).version if source else None
    except ValueError:  # an interface may have both
        version = None
    if version is None:
        return found
    wanted = socket.AF_INET6 if version == 6 else socket.AF_INET
    if not any(family == wanted for family, *_ in found):
        raise OSError(errno.EAFNOSUPPORT, f"source {source}: {place[0]} has no {FAMILIES[wanted]} address")
    return [one for one in found if one[0] == wanted]


def bind(connection: socket.socket, source: str) -> None:
    """Raises OSError."""
    host, port = split_source(source)
    try:
        ip_address(host)
    except ValueError:
        host = address_of(host, connection.family)
    if port and connection.type == socket.SOCK_STREAM:
        # The last connection from this port may still be in TIME_WAIT.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        here = socket.getaddrinfo(host, port, connection.family, connection.type, flags=socket.AI_NUMERICHOST)
        connection.bind(here[0][4])
    except OSError as error:
        why = _REFUSALS.get(error.errno or 0, (error.strerror or "cannot be used").lower())
        raise OSError(error.errno, f"source {source}: {why}") from error


def address_of(interface: str, family: int) -> str:
    """The first address of this family that the interface has, one that is valid everywhere before others."""
    try:
        socket.if_nametoindex(interface)
        return ipv4_of(interface) if family == socket.AF_INET else ipv6_of(interface)
    except OSError as error:
        known = any(interface == name for _, name in socket.if_nameindex())
        why = f"it has no {FAMILIES[socket.AddressFamily(family)]} address" if known else "no such interface"
        raise OSError(error.errno or errno.ENODEV, f"source {interface}: {why}") from error


def ipv4_of(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        answer = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", interface.encode()))
    return socket.inet_ntoa(answer[20:24])


def ipv6_of(interface: str) -> str:
    found = []
    for line in IPV6_ADDRESSES.read_text().splitlines():
        digits, index, _, scope, _, name = line.split()
        if name == interface:
            address = str(IPv6Address(bytes.fromhex(digits)))
            local = int(scope, 16) == 0x20  # net/ipv6.h: IPV6_ADDR_LINKLOCAL
            found.append((int(scope, 16), f"{address}%{int(index, 16)}" if local else address))
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, "no address")
    return min(found)[1]


def endpoints(connection: socket.socket) -> tuple[Endpoint, Endpoint]:
    """Ours and the other side's."""
    return endpoint(connection.getsockname()), endpoint(connection.getpeername())


def endpoint(address: Any) -> Endpoint:
    return ip_address(address[0].partition("%")[0]).packed, address[1]
