"""HEP1 and HEP2: a fixed header, then the payload to the end of the datagram.

    u8 version, u8 hp_l, u8 family, u8 protocol, u16 source port, u16 destination port   (big endian)
    source address, destination address                                                  4 or 16 bytes each
    HEP2: u32 seconds, u32 microseconds, u16 capture id, 2 bytes of padding              (little endian)

As sent by Kamailio's siptrace: hp_l counts the first two lines (16 or 40), also in HEP2; the capture id has its lower
16 bits; the padding is 00 00. Other fields of a `Packet`, such as correlation id and key, are left out.
"""

import struct
from typing import TypeVar

from hep.errors import HepError, Reason
from hep.packet import Packet
from hep.tables import MAX_BYTES, Family

_Value = TypeVar("_Value")

_HEADER = struct.Struct(">BBBBHH")
_TIME = struct.Struct("<IIHxx")
_ADDRESS_BYTES: dict[int, int] = {Family.IPV4: 4, Family.IPV6: 16}
_CAPTURE_ID_MASK = 0xFFFF
_WITH_TIME = 2  # the version with a time header


def decode12(data: bytes) -> Packet:
    """The packet in `data`, a datagram that begins with a byte 1 or 2. Raises HepError."""
    _need(data, 0, _HEADER.size, "header")
    version, header_length, family, protocol, source_port, destination_port = _HEADER.unpack_from(data)
    if (width := _ADDRESS_BYTES.get(family)) is None:
        raise HepError(Reason.FAMILY, "family", f"{family}, neither 2 (IPv4) nor 10 (IPv6)", 2)
    middle, end = _HEADER.size + width, _HEADER.size + 2 * width
    _check_header_length(version, header_length, end)
    _need(data, _HEADER.size, end, "addresses")
    packet = Packet(
        source=data[_HEADER.size : middle],
        destination=data[middle:end],
        source_port=source_port,
        destination_port=destination_port,
        protocol=protocol,
        family=family,
    )
    if version == _WITH_TIME:
        _need(data, end, end + _TIME.size, "time")
        packet.seconds, packet.microseconds, packet.capture_id = _TIME.unpack_from(data, end)
        end += _TIME.size
    packet.payload = data[end:]
    return packet


def _need(data: bytes, begin: int, end: int, part: str) -> None:
    if len(data) < end:
        raise HepError(Reason.TRUNCATED, part, f"{len(data) - begin} bytes, not {end - begin}", begin)


def _check_header_length(version: int, header_length: int, end: int) -> None:
    # Kamailio does not count HEP2's time header; some senders do, with the same layout.
    if header_length != end and not (version == _WITH_TIME and header_length == end + _TIME.size):
        raise HepError(Reason.HEADER_LENGTH, "hp_l", f"{header_length}, not {end}", 1)


def encode12(packet: Packet, version: int) -> bytes:
    """`packet` as a HEP1 or HEP2 message. Raises HepError: a field missing or too large, > 65,535 bytes."""
    source, destination = _given(packet.source, "source"), _given(packet.destination, "destination")
    header = _HEADER.pack(
        version,
        _HEADER.size + len(source) + len(destination),
        _family(packet, source, destination),
        _number(packet.protocol, "protocol", 8),
        _number(packet.source_port, "source_port", 16),
        _number(packet.destination_port, "destination_port", 16),
    )
    time = _time(packet) if version == _WITH_TIME else b""
    message = b"".join((header, source, destination, time, packet.payload or b""))
    if len(message) > MAX_BYTES:
        raise HepError(Reason.TOO_LONG, "packet", f"{len(message)} bytes, at most {MAX_BYTES}")
    return message


def _time(packet: Packet) -> bytes:
    return _TIME.pack(
        _number(packet.seconds, "seconds", 32),
        _number(packet.microseconds, "microseconds", 32),
        _number(packet.capture_id, "capture_id", 32) & _CAPTURE_ID_MASK,
    )


def _family(packet: Packet, source: bytes, destination: bytes) -> int:
    family = _given(packet.ip_family, "family")
    width = _ADDRESS_BYTES.get(family)
    if not (len(source) == len(destination) == width):
        detail = f"{family} does not go with addresses of {len(source)} and {len(destination)} bytes"
        raise HepError(Reason.FAMILY, "family", detail)
    return family


def _given(value: _Value | None, field: str) -> _Value:
    if value is None:
        raise HepError(Reason.MISSING, field, "HEP1 and HEP2 cannot leave it out")
    return value


def _number(value: int | None, field: str, bits: int) -> int:
    number = _given(value, field)
    if number < 0 or number >> bits:
        raise HepError(Reason.RANGE, field, f"{number} does not fit {bits} bits")
    return number
