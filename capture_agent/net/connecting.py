"""Sockets to one receiver, from the configured address or one chosen by the system."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import threading
import time
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

from capture_agent.addresses import is_address, of_socket, parse_address
from capture_agent.config.endpoints import split_source
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.os_errors import in_words

Endpoint = tuple[bytes, int]  # a packed address and a port
Secure = Callable[[socket.socket], socket.socket]  # TLS on a connected socket. Raises OSError

FAMILIES = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}
SIOCGIFADDR = 0x8915  # linux/sockios.h
IPV6_ADDRESSES = Path("/proc/self/net/if_inet6")  # /proc/net is not there with ProcSubset=pid
NO_ANSWER = "no answer to the look-up of the host name"

_REFUSALS = {
    errno.EADDRNOTAVAIL: "not an address of this host",
    errno.EADDRINUSE: "the port is in use",
    errno.EACCES: "the port is reserved for root",
}


class Lookup:
    """Looks up a host's addresses in a separate thread: the system's resolver takes as long as it likes.

    One look-up at a time, whoever asks: a silent name server costs one thread.
    """

    def __init__(self, host: str, port: int, kind: socket.SocketKind) -> None:
        self.host = host
        self.by_name = not is_address(host)
        self.kind = kind
        self._port = port
        self._under_way: threading.Thread | None = None
        self._found: list[Any] = []
        self._problem: OSError | None = None

    def answer(self, seconds: float) -> list[Any]:
        """The result of a new getaddrinfo(): collectors move. Raises OSError.

        If it takes longer than `seconds`, the next call takes its result.
        """
        if not self.by_name:
            return socket.getaddrinfo(self.host, self._port, type=self.kind)
        if self._under_way is None:
            self._under_way = threading.Thread(target=self._look, name=f"look-up of {self.host}", daemon=True)
            self._under_way.start()
        self._under_way.join(max(0.0, seconds))
        if self._under_way.is_alive():
            raise OSError(errno.EHOSTUNREACH, NO_ANSWER)
        self._under_way = None
        if self._problem is not None:
            raise self._problem
        return self._found

    def _look(self) -> None:
        self._problem = None
        try:
            self._found = socket.getaddrinfo(self.host, self._port, type=self.kind)
        except OSError as error:
            self._problem = error
        except UnicodeError:  # an impossible label
            self._problem = socket.gaierror(socket.EAI_NONAME, "the host name is not known")


def connected(
    lookup: Lookup, source: str, deadline: float, secure: Secure | None = None, turn: int = 0
) -> socket.socket:
    """A socket connected by this deadline (monotonic time), which covers the look-up, all addresses and `secure`.

    Each address gets a share of the time left. The first `turn` addresses come last. Raises OSError with an strerror
    for the user.
    """
    places = candidates(lookup.host, lookup.answer(deadline - time.monotonic()), source)
    turn %= len(places) or 1
    return first_connected(places[turn:] + places[:turn], source, deadline, secure)


def first_connected(places: list[Any], source: str, deadline: float, secure: Secure | None = None) -> socket.socket:
    """Raises OSError: the last address's."""
    problem = OSError(errno.EADDRNOTAVAIL, "the host name has no address")
    for n, (family, kind, protocol, _, address) in enumerate(places):
        left = deadline - time.monotonic()
        if n and left <= 0:
            break
        connection = socket.socket(family, kind, protocol)
        until = time.monotonic() + left / (len(places) - n)
        try:
            connection.settimeout(max(0.001, until - time.monotonic()))
            if source:
                bind(connection, source)
            connection.connect(address)
            SOCKETS.look()
            if secure is None:
                return connection
            connection.settimeout(max(0.001, until - time.monotonic()))
            return secure(connection)
        except OSError as error:
            connection.close()
            problem = error
    raise problem


def candidates(host: str, found: list[Any], source: str) -> list[Any]:
    """The host's addresses that are reachable from the source."""
    here = split_source(source)[0] if source else ""
    version = parse_address(here).version if is_address(here) else None  # an interface may have both
    if version is None:
        return found
    wanted = socket.AF_INET6 if version == 6 else socket.AF_INET
    if not any(family == wanted for family, *_ in found):
        raise OSError(errno.EAFNOSUPPORT, f"source {source}: {host} has no {FAMILIES[wanted]} address")
    return [one for one in found if one[0] == wanted]


def bind(connection: socket.socket, source: str) -> None:
    """Raises OSError."""
    host, port = split_source(source)
    if not is_address(host):
        host = address_of(host, connection.family)
    if port and connection.type == socket.SOCK_STREAM:
        # The last connection from this port may still be in TIME_WAIT.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        here = socket.getaddrinfo(host, port, connection.family, connection.type, flags=socket.AI_NUMERICHOST)
        connection.bind(here[0][4])
    except OSError as error:
        why = _REFUSALS.get(error.errno or 0, in_words(error))
        raise OSError(error.errno, f"source {source}: {why}") from error


def address_of(interface: str, family: int) -> str:
    """The interface's first address of this family, globally valid addresses first."""
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
    """Our address and the other side's."""
    return endpoint(connection.getsockname()), endpoint(connection.getpeername())


def endpoint(address: Any) -> Endpoint:
    return of_socket(address).packed, address[1]
