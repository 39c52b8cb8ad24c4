"""Encodes and decodes all versions."""

from hep.errors import HepError, Reason
from hep.order import SIP_ORDER, Order, encode3
from hep.packet import Packet
from hep.tables import MAGICS
from hep.version3 import decode3
from hep.version12 import decode12, encode12

_HEP3 = 3
_FIRST_BYTES = {b"\x01": 1, b"\x02": 2}


def version_of(data: bytes) -> int | None:
    """1, 2 or 3 by the first bytes of a datagram; None if it is not HEP (for example SIP on the same port)."""
    if data[:4] in MAGICS:
        return _HEP3
    return _FIRST_BYTES.get(data[:1])


def decode(data: bytes) -> Packet:
    """The packet in `data`, one complete HEP1, HEP2 or HEP3 message. Raises only HepError."""
    version = version_of(data)
    if version == _HEP3:
        return decode3(data)
    if version is None:
        raise HepError(Reason.MAGIC, "header", f"starts with {data[:4]!r}, not HEP", 0)
    return decode12(data)


def encode(packet: Packet, version: int = 3, order: Order = SIP_ORDER) -> bytes:
    """`packet` as one message of HEP `version` 1, 2 or 3.

    `order` is the order of HEP3's chunks. HEP1 and HEP2 carry addresses, ports, protocol and payload, HEP2 also time
    and the lower 16 bits of the capture id; other fields are left out. Raises HepError; a message of more than 65,535
    bytes is refused, never cut.
    """
    if version == _HEP3:
        return encode3(packet, order)
    if version not in _FIRST_BYTES.values():
        raise HepError(Reason.VERSION, "version", f"{version}, neither 1, 2 nor 3")
    return encode12(packet, version)
