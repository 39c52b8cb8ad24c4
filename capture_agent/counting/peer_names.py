"""The names of networks: the label `peer`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from capture_agent.config.metric_peers import OTHER
from capture_agent.counting.networks import Networks

MAPPED = int(ip_network("::ffff:0:0/96").network_address)  # IPv4 within IPv6

Named = Mapping[str, Iterable[str]]


class PeerNames:
    """Numbers for the names of [metrics.peers]; 0 is `other`. A name keeps its number when the networks change."""

    def __init__(self, named: Named | None = None) -> None:
        self.names = [OTHER]
        self.networks = Networks()
        self.change(named or {})

    def change(self, named: Named) -> None:
        """From now on these networks have these names."""
        entries: list[tuple[IPv4Network | IPv6Network, int, int]] = []
        for name, networks in named.items():
            if name not in self.names:
                self.names.append(name)
            number = self.names.index(name)
            for text in networks:
                network = ip_network(text)
                entries.append((network, 0, number))
                if network.version == 4:
                    mapped = (MAPPED + int(network.network_address), 96 + network.prefixlen)
                    entries.append((IPv6Network(mapped), 0, number))
        self.networks = Networks(entries)
