"""The ports where the agent looks for SIP, if it does not look on all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from capture_agent.config.local import Parsed, parse_port

EXPECTED: Final = "a port or a range FROM-TO"


@dataclass(frozen=True, slots=True)
class PortRange:
    """From the first port to the last, both of it."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def parse_ports(text: str) -> PortRange:
    """Raises ValueError with what is wrong."""
    first, dash, last = text.partition("-")
    ports = PortRange(parse_port(first.strip()), parse_port((last if dash else first).strip()))
    if ports.first > ports.last:
        raise ValueError(f"{ports.first} is more than {ports.last}")
    return ports


Ports = Annotated[PortRange, Parsed(parse_ports, EXPECTED, numbers=True)]
