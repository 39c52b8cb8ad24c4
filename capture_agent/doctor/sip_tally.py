"""The SIP seen: ports, VLANs and addresses. Bounded, whatever is on the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TypeVar

from capture_agent.policy.direction import LocalSide
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import NO_VLAN

T = TypeVar("T")

MOST = 4096  # places, and addresses
SHOWN = 5


@dataclass(frozen=True, slots=True)
class TrafficEnd:
    """Where requests go to and responses come from. `local`: one end is the traced server's."""

    transport: str
    port: int
    vlan: int  # or NO_VLAN
    local: bool

    def __str__(self) -> str:
        tag = "" if self.vlan == NO_VLAN else f" in VLAN {self.vlan}"
        return f"{self.transport} {self.port}{tag}"


@dataclass
class SipTally:
    """`local`: messages of which one end is the traced server's. `left_out`: those to these (address, port)."""

    left_out: frozenset[tuple[bytes, int]] = frozenset()
    requests: int = 0
    responses: int = 0
    local: int = 0
    places: Counter[TrafficEnd] = field(default_factory=Counter)
    hosts: Counter[bytes] = field(default_factory=Counter)  # by packed address, of either end

    @property
    def messages(self) -> int:
        return self.requests + self.responses

    def add(self, messages: Iterable[CapturedMessage], side: LocalSide) -> None:
        for message in messages:
            datagram = message.datagram
            if self.left_out and (datagram.destination, datagram.destination_port) in self.left_out:
                continue
            is_request = message.sip.is_request
            port = datagram.destination_port if is_request else datagram.source_port
            ends = ((datagram.source, datagram.source_port), (datagram.destination, datagram.destination_port))
            local = any(side.holds(*end) for end in ends)
            self.requests += is_request
            self.responses += not is_request
            self.local += local
            count_bounded(self.places, TrafficEnd(datagram.transport, port, datagram.vlan, local))
            for host, _ in ends:
                count_bounded(self.hosts, host)

    def top_places(self) -> str:
        """`udp 5060 (120), tcp 5060 in VLAN 7 (3)`: those with the most messages."""
        merged: Counter[str] = Counter()
        for place, count in self.places.items():
            merged[str(place)] += count
        return listed(merged)

    def top_hosts(self) -> str:
        return ", ".join(str(ip_address(host)) for host, _ in self.hosts.most_common(SHOWN))


def count_bounded(counter: Counter[T], key: T) -> None:
    if key in counter or len(counter) < MOST:
        counter[key] += 1


def listed(counts: Counter[str]) -> str:
    shown = ", ".join(f"{name} ({count:,})" for name, count in counts.most_common(SHOWN))
    return f"{shown} and {len(counts) - SHOWN} more" if len(counts) > SHOWN else shown
