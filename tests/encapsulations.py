"""Every encapsulation of SIP that the agent reads, alone and two deep, around each of the carriages, as named cases.

    for name in names():
        case = build(name)  # case.frames in, case.messages out

A name is LINK/TUNNEL/TUNNEL/ipvN/CARRIAGE, with the tunnel that is nearest to the link first.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from carriages import ADDRESSES, CARRIAGES, FAMILIES, carry
from link_wrappings import LINKS
from wrappings import TUNNELS, V4, V6


class Case(NamedTuple):
    name: str
    frames: list[bytes]
    link_type: int
    messages: list[bytes]
    source: str  # the innermost addresses
    destination: str
    source_port: int
    destination_port: int = 5060

    @property
    def needs_esp(self) -> bool:
        """Only with the option that looks into ESP."""
        return any(part.startswith("esp") for part in self.name.split("/"))


def wrapped(path: tuple[str, ...], kind: int, packet: bytes) -> bytes | None:
    """The frame around this packet; None where one of these cannot carry the next."""
    link, *tunnels = path
    for tunnel in reversed(tunnels):
        carried = TUNNELS[tunnel](kind, packet)
        if carried is None:
            return None
        kind, packet = carried
    return LINKS[link][1](kind, packet)


def paths(depth: int) -> Iterator[tuple[str, ...]]:
    """Link layers alone; or all tunnels in all link layers; or all tunnels in all tunnels in all link layers."""
    if depth == 0:
        yield from ((link,) for link in LINKS)
    elif depth == 1:
        yield from ((link, tunnel) for link in LINKS for tunnel in TUNNELS)
    else:
        yield from ((link, outer, inner) for link in LINKS for outer in TUNNELS for inner in TUNNELS)


@lru_cache
def possible(path: tuple[str, ...], family: int, fragmented: bool) -> bool:
    packet = carry(family, "udp-fragmented" if fragmented else "udp").packets[0]
    return wrapped(path, V4 if family == 4 else V6, packet) is not None


def names(depth: int | None = None, carriages: tuple[str, ...] = tuple(CARRIAGES)) -> Iterator[str]:
    """All cases, or those with this many tunnels in the link layer: 0, 1 or 2."""
    for tunnels in (0, 1, 2) if depth is None else (depth,):
        for path in paths(tunnels):
            for family in FAMILIES:
                for carriage in carriages:
                    if possible(path, family, "fragment" in carriage):
                        yield "/".join([*path, f"ipv{family}", carriage])


def build(name: str) -> Case:
    *path, version, carriage = name.split("/")
    family = int(version[-1])
    kind = V4 if family == 4 else V6
    carried = carry(family, carriage)
    frames = [frame for packet in carried.packets if (frame := wrapped(tuple(path), kind, packet)) is not None]
    if len(frames) != len(carried.packets):
        raise ValueError(f"{name}: one of these cannot carry the next")
    return Case(name, frames, LINKS[path[0]][0], carried.messages, *ADDRESSES[family], carried.port)
