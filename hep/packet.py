"""The content of one HEP message."""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from hep.tables import Family

_FAMILIES = {4: Family.IPV4, 16: Family.IPV6}


class Chunk(NamedTuple):
    """A chunk without a field in `Packet`: another vendor's, or of a later revision."""

    vendor: int
    type: int
    data: bytes


@dataclass(slots=True)
class Packet:
    """One HEP message of any version; a field is None when the message does not carry it.

    Addresses are packed, 4 or 16 bytes, as on the wire and in captures: reading them costs nothing (two `ipaddress`
    objects cost as much as a third of the packet), and they compare and hash directly. `source_address` and
    `destination_address` return the objects.

    Text is bytes, too: HEP specifies no character set, senders write anything, and a relay must send what it received.
    `correlation_id=b""` is a chunk without data, which siptrace's hlog may send; None is no chunk.
    """

    source: bytes | None = None
    destination: bytes | None = None
    source_port: int | None = None
    destination_port: int | None = None
    protocol: int | None = None  # IP protocol number; siptrace: 22 for TLS, WS and WSS alike
    family: int | None = None  # None: written as the addresses' family, see `ip_family`
    seconds: int | None = None  # since the epoch
    microseconds: int | None = None
    protocol_type: int | None = None  # a ProtocolType, or a number without a name here
    capture_id: int | None = None  # HEP2 has room for 16 bits of it
    payload: bytes | None = None  # always uncompressed, however it was received
    correlation_id: bytes | None = None
    auth_key: bytes | None = field(default=None, repr=False)  # a secret: not for logs
    keep_alive: int | None = None  # seconds
    vlan: int | None = None
    agent_name: bytes | None = None
    source_mac: int | None = None
    destination_mac: int | None = None
    ethertype: int | None = None
    tcp_flags: int | None = None
    tos: int | None = None
    mos: int | None = None
    r_factor: int | None = None
    geo_location: bytes | None = None
    jitter: int | None = None
    transaction_type: bytes | None = None
    json_keys: bytes | None = None
    tag_values: bytes | None = None
    tag_type: int | None = None
    event_type: int | None = None  # 1 recording, 2 recording for lawful interception
    group_id: bytes | None = None
    compressed: bool = False  # the payload was received, or is to be sent, as chunk 0x0010
    extra: tuple[Chunk, ...] = ()  # in the order received

    @property
    def ip_family(self) -> int | None:
        """The address family to write: as given, otherwise the addresses'."""
        if self.family is not None:
            return self.family
        return _FAMILIES.get(len(self.source or self.destination or b""))

    @property
    def source_address(self) -> IPv4Address | IPv6Address | None:
        return None if self.source is None else ip_address(self.source)

    @property
    def destination_address(self) -> IPv4Address | IPv6Address | None:
        return None if self.destination is None else ip_address(self.destination)
