"""Wireshark's Export PDU (LINKTYPE_WIRESHARK_UPPER_PDU): tags that describe the headers of a payload, then the payload.

Tags: wiretap/wtap_exported_pdu.h and epan/exported_pdu.h of Wireshark. Wireshark writes decrypted or reassembled SIP in
this form: each PDU is one complete message, whatever transport carried it.
"""

from __future__ import annotations

from typing import NamedTuple

from capture_agent.packet.inner import be16, be32
from capture_agent.records.datagram import WHOLE_MESSAGE

LINK_TYPE = 252

END_OF_OPTIONS, DISSECTOR_NAME, DISSECTOR_TABLE_NAME = 0, 12, 14
IPV4_SOURCE, IPV4_DESTINATION, IPV6_SOURCE, IPV6_DESTINATION = 20, 21, 22, 23
PORT_TYPE, SOURCE_PORT, DESTINATION_PORT = 24, 25, 26
TCP_SEGMENT = 34  # version, sequence number, next one, last acknowledged; is reassembled, flags, urgent pointer
TCP_SEGMENT_SIZE = 19
# Most tags before the payload; with more it is not an exported PDU.
MOST_TAGS = 64

# EXP_PDU_PT_: the transport of a payload without a port type is unknown; most SIP comes over UDP.
TCP = 6
PORT_TYPES = {0: 17, 1: 132, 2: TCP, 3: 17}
# Dissectors whose payload begins with a header that the decoder itself reads.
IP_NAMES = (b"ip", b"ipv6")
ETHERNET_NAMES = (b"eth", b"eth_withoutfcs", b"eth_withfcs", b"eth_maybefcs")
TRANSPORT_NAMES = {b"udp": 17, b"tcp": TCP, b"sctp": 132}

UNKNOWN_ADDRESS = bytes(4)


class ExportedPdu(NamedTuple):
    """The content of the tags; the payload starts at `payload_at`."""

    dissector: bytes
    protocol: int  # IP protocol number; 0: one that does not carry SIP
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    sequence: int  # of a TCP segment
    flags: int  # of a TCP segment; WHOLE_MESSAGE if the payload is one message, whatever carried it
    payload_at: int

    @property
    def endpoints(self) -> bytes:
        """Both addresses, then both ports, in the layout that a Datagram points to."""
        ports = self.source_port.to_bytes(2, "big") + self.destination_port.to_bytes(2, "big")
        return self.source + self.destination + ports


def exported_pdu(data: bytes, at: int, end: int) -> ExportedPdu | None:
    """The tags in data[at:end]; None if they do not end before the data does."""
    tags: dict[int, bytes] = {}
    for _ in range(MOST_TAGS):
        if at + 4 > end:
            return None
        tag, length = be16(data, at), be16(data, at + 2)
        at += 4
        if at + length > end:
            return None
        if tag == END_OF_OPTIONS:
            return _pdu(tags, at + length)
        tags.setdefault(tag, data[at : at + length])
        at += length
    return None


def _pdu(tags: dict[int, bytes], payload_at: int) -> ExportedPdu:
    source, destination = _addresses(tags)
    protocol = PORT_TYPES.get(_number(tags, PORT_TYPE), 0)
    segment = tags.get(TCP_SEGMENT, b"")
    # "OSI layer 4" exports the data that TCP has passed up: several messages, or a part of one.
    in_stream = protocol == TCP and len(segment) >= TCP_SEGMENT_SIZE and not segment[14]
    return ExportedPdu(
        dissector=tags.get(DISSECTOR_NAME, b"").rstrip(b"\0"),
        protocol=protocol,
        source=source,
        destination=destination,
        source_port=_number(tags, SOURCE_PORT) & 0xFFFF,
        destination_port=_number(tags, DESTINATION_PORT) & 0xFFFF,
        sequence=be32(segment, 2) if in_stream else 0,
        flags=segment[16] if in_stream else WHOLE_MESSAGE,
        payload_at=payload_at,
    )


def _addresses(tags: dict[int, bytes]) -> tuple[bytes, bytes]:
    """Both of one family: a missing address is all zeros."""
    for size, source, destination in ((4, IPV4_SOURCE, IPV4_DESTINATION), (16, IPV6_SOURCE, IPV6_DESTINATION)):
        found = [tags.get(tag, b"") for tag in (source, destination)]
        if any(len(address) == size for address in found):
            one, other = (address if len(address) == size else bytes(size) for address in found)
            return one, other
    return UNKNOWN_ADDRESS, UNKNOWN_ADDRESS


def _number(tags: dict[int, bytes], tag: int) -> int:
    value = tags.get(tag, b"")
    return be32(value, 0) if len(value) == 4 else 0
