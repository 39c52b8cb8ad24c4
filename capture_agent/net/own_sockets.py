"""Recognises this process's own packets by its sockets, whoever opened them.

The kernel lists a process's descriptors in /proc/self/fd, so this also finds connections of database drivers and
packages, which do not expose their sockets.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from stat import S_ISSOCK
from typing import Any

from capture_agent.addresses import of_socket
from capture_agent.records.datagram import Datagram

# IP protocol, then source address, source port, destination address, destination port
Flow = tuple[int, bytes, int, bytes, int]
Place = tuple[int, bytes, int]  # IP protocol, address, port

PROTOCOLS = {socket.SOCK_STREAM: 6, socket.SOCK_DGRAM: 17}
REMEMBERED = 60.0  # seconds for which packets of a closed connection may still reach us
MOST = 1024
NO_PORTS = bytes(65536)
DESCRIPTORS = Path("/proc/self/fd")


@dataclass(frozen=True, slots=True, eq=False)
class SocketSnapshot:
    """Our sockets at one moment. `ports` has a 1 for each local port."""

    flows: frozenset[Flow] = frozenset()  # in both directions
    places: frozenset[Place] = frozenset()  # where others send to us: all such packets are ours
    ports: bytes = field(default=NO_PORTS, repr=False)

    def has(self, datagram: Datagram) -> bool:
        protocol, source, destination = datagram.protocol, datagram.source, datagram.destination
        here, there = datagram.source_port, datagram.destination_port
        return (
            (protocol, source, here, destination, there) in self.flows
            or (protocol, source, here) in self.places
            or (protocol, destination, there) in self.places
        )


class OwnSockets:
    """`known` is the latest snapshot; `look` takes one. Any thread may call it."""

    def __init__(self) -> None:
        self.known = SocketSnapshot()
        self.wanted = False  # set by a capture; without one nobody needs to look
        self.addresses: Callable[[], Iterable[IPv4Address | IPv6Address]] = (
            tuple  # this host's, for sockets that are bound to all addresses
        )
        self._lock = threading.Lock()
        self._seen: dict[Flow, float] = {}  # one direction, and when it was last seen

    def look(self) -> None:
        """Call it after connecting and before sending, so that no packet of ours is mistaken for another's."""
        if not self.wanted:
            return
        with self._lock:
            now = time.monotonic()
            flows, bound = sockets_of_this_process()
            for flow in flows:
                self._seen.pop(flow, None)  # the latest are at the end
                self._seen[flow] = now
            old = [flow for flow, seen in self._seen.items() if now - seen > REMEMBERED]
            for flow in old + list(self._seen)[: max(0, len(self._seen) - MOST)]:
                self._seen.pop(flow, None)
            known = self._known(bound)
            if (known.flows, known.places) != (self.known.flows, self.known.places):
                self.known = known

    def _known(self, bound: set[Place]) -> SocketSnapshot:
        flows: set[Flow] = set()
        places: set[Place] = set()
        for protocol, address, port in bound:
            if any(address):
                places.add((protocol, address, port))
            else:
                every = (one.packed for one in self.addresses())
                places.update((protocol, one, port) for one in every if len(one) == len(address) or len(address) == 16)
        for flow in self._seen:
            protocol, here, here_port, there, there_port = flow
            if (protocol, here, here_port) not in places:  # otherwise it belongs to our listener
                flows.update((flow, (protocol, there, there_port, here, here_port)))
        ports = bytearray(65536)
        for _, _, port in (*places, *((protocol, here, port) for protocol, here, port, _, _ in self._seen)):
            ports[port] = 1
        return SocketSnapshot(frozenset(flows), frozenset(places), bytes(ports))


def sockets_of_this_process() -> tuple[set[Flow], set[Place]]:
    """The process's connections, and where its other sockets are bound."""
    flows: set[Flow] = set()
    bound: set[Place] = set()
    with suppress(OSError):
        for entry in DESCRIPTORS.iterdir():
            with suppress(OSError):  # it has been closed
                if S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                    add_socket(int(entry.name), flows, bound)
    return flows, bound


def add_socket(descriptor: int, flows: set[Flow], bound: set[Place]) -> None:
    """Raises OSError: it has been closed."""
    with socket.socket(fileno=os.dup(descriptor)) as one:
        protocol = PROTOCOLS.get(one.type)
        if protocol is None or one.family not in (socket.AF_INET, socket.AF_INET6):
            return
        here, port = end(one.getsockname())
        if not port:
            return
        try:
            flows.add((protocol, here, port, *end(one.getpeername())))
        except OSError:  # it has no peer
            bound.add((protocol, here, port))


def end(address: Any) -> tuple[bytes, int]:
    """The address as in packets."""
    found = of_socket(address)
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).packed, address[1]


SOCKETS = OwnSockets()  # a process has one set of descriptors
