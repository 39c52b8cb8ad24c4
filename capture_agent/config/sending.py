"""The address that a sink sends from: of this host, or of one of its interfaces (siptrace's send_sock_addr)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Final

from capture_agent.config.local import Parsed, split_port

EXPECTED: Final = "an address, ADDRESS:PORT, [IPv6]:PORT, an interface or INTERFACE:PORT"
_INTERFACE = re.compile(r"[^\s/:\[\]]{1,15}")  # as the kernel has them; an alias' colon would be a port's


def split_source(text: str) -> tuple[str, int]:
    """The address or interface, and the port: 0 is any. Raises ValueError with what is wrong."""
    host, port = split_port(text)
    try:
        ip_address(host)
    except ValueError:
        digits = host.replace(".", "").isdigit()
        if ":" in host or digits or _INTERFACE.fullmatch(host) is None:
            raise ValueError(f"{host!r} is neither an IP address nor an interface") from None
    return host, port or 0


def parse_source(text: str) -> str:
    """The text itself, if it can be one; empty: the system chooses."""
    if text:
        split_source(text)
    return text


Source = Annotated[str, Parsed(parse_source, EXPECTED)]
