"""[aliases]: names of addresses, networks and endpoints, for people and for the label `peer` of metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

from capture_agent.config.endpoints import LocalAddress, parse_local
from capture_agent.config.metric_peers import LONGEST_NAME, MOST_NAMES, OTHER

NAMES = "names"  # the option that holds the section's keys, which users choose


@dataclass(frozen=True, slots=True)
class AliasSection:
    """Names by address, network, ADDRESS:PORT or [IPv6]:PORT."""

    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, name in self.names.items():
            try:
                parsed = parse_local(place)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
            if isinstance(parsed, str):
                raise ValueError(f"{place}: expected an address, a network or ADDRESS:PORT")
            if not name or len(name) > LONGEST_NAME or not name.isprintable() or name == OTHER:
                raise ValueError(f"{place}: a name has 1 to {LONGEST_NAME} printable characters, and is not {OTHER!r}")
        if len(set(self.names.values())) > MOST_NAMES:
            raise ValueError(f"{len(set(self.names.values()))} names, at most {MOST_NAMES}")

    def by_place(self) -> dict[LocalAddress, str]:
        parsed = ((parse_local(place), name) for place, name in self.names.items())
        return {place: name for place, name in parsed if isinstance(place, LocalAddress)}
