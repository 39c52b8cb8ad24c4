"""Names of networks, for the label `peer` of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from capture_agent.config.endpoints import LocalAddress, parse_network
from capture_agent.config.field_types import Parsed, SingleOrList

OTHER = "other"  # the peer of addresses in none of the networks
MOST_NAMES = 256
LONGEST_NAME = 64


def network(text: str) -> str:
    """As it is shown again. Raises ValueError with what is wrong."""
    return str(parse_network(text))


Networks = Annotated[tuple[Annotated[str, Parsed(network, "a network or an address")], ...], SingleOrList()]
Peers = dict[str, Networks]


def check_peers(peers: Mapping[str, tuple[str, ...]]) -> None:
    """Raises ValueError: a name cannot be a label, or there are too many."""
    if len(peers) > MOST_NAMES:
        raise ValueError(f"peers: {len(peers)} names, at most {MOST_NAMES}")
    for name in peers:
        if name == OTHER:
            raise ValueError(f"peers: {OTHER} is the name of what is in none of the networks")
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise ValueError(f"peers: a name has 1 to {LONGEST_NAME} printable characters")


def peers_with(peers: Mapping[str, tuple[str, ...]], aliases: Mapping[LocalAddress, str]) -> dict[str, tuple[str, ...]]:
    """Also the names of [aliases]; a network that has a name in `peers` keeps it."""
    named = {network: name for name, networks in peers.items() for network in networks}
    for place, name in aliases.items():
        named.setdefault(str(place.network), name)
    found: dict[str, tuple[str, ...]] = dict.fromkeys(peers, ())
    for network, name in named.items():
        found[name] = (*found.get(name, ()), network)
    return found
