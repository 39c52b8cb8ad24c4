"""Sockets that receive SIP duplicates: sip:IP:PORT, as the sender writes it in its duplicate_uri."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Final

from capture_agent.config.local import Parsed
from capture_agent.config.targets import SIP_PORT, SipTransport, sip_place
from capture_agent.config.uris import sip_fields

EXPECTED: Final = "sip:IP:PORT or sip:IP:PORT;transport=tcp"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One socket of ours."""

    host: str  # an address; an IPv6 address without brackets
    port: int = SIP_PORT
    transport: SipTransport = "udp"

    def __str__(self) -> str:
        return sip_place(self.host, self.port, self.transport)


def parse_listen(text: str) -> ListenAddress:
    """Raises ValueError with what is wrong."""
    fields = sip_fields(text)
    if fields.get("transport") == "tls":
        raise ValueError("transport: tls, expected udp or tcp")
    try:
        ip_address(fields["host"])
    except ValueError:
        raise ValueError("the host is not a valid IP address") from None
    return ListenAddress(**fields)


Listen = Annotated[ListenAddress, Parsed(parse_listen, EXPECTED)]
