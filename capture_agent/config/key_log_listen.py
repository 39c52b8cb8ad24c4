"""Where lines of a TLS key log arrive."""

from __future__ import annotations

from typing import Annotated, Final

from capture_agent.config.field_types import Parsed
from capture_agent.config.http_listen import host_and_port, is_loopback

SCHEME: Final = "udp:"
EXPECTED: Final = "udp:ADDRESS:PORT, an address of loopback"


def parse_udp_listen(text: str) -> str:
    """The text itself; empty: nowhere. Raises ValueError with what is wrong: secrets must not cross a network."""
    if text:
        if not text.startswith(SCHEME):
            raise ValueError("it does not begin with udp:")
        if not is_loopback(text.removeprefix(SCHEME)):
            raise ValueError("the address is not on loopback")
    return text


def udp_place(text: str) -> tuple[str, int]:
    """Address and port. Raises ValueError."""
    return host_and_port(text.removeprefix(SCHEME))


UdpListen = Annotated[str, Parsed(parse_udp_listen, EXPECTED)]
