"""Messages with other bytes or other addresses than on the wire.

Sinks copy addresses and message from the buffer that they point into. So a changed message gets a small new buffer, and
sinks notice no difference.
"""

from __future__ import annotations

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.message import SipMessage
from capture_agent.sip.problems import Problem
from capture_agent.sip.scan import scan, unscanned


def rewritten(
    message: CapturedMessage,
    raw: bytes | None = None,
    source: bytes | None = None,
    destination: bytes | None = None,
    source_port: int | None = None,
    destination_port: int | None = None,
    transport: str | None = None,
) -> CapturedMessage:
    """A copy of the message with the given bytes or addresses instead of the captured ones.

    Addresses are packed, both of one family: ValueError otherwise. Time, frame, interface, VLAN and correlation stay:
    it is still the captured message. Bytes that are no longer SIP lack every part.
    """
    old = message.datagram
    raw = message.raw if raw is None else raw
    source = old.source if source is None else source
    destination = old.destination if destination is None else destination
    size = len(source)
    if size not in (4, 16) or len(destination) != size:
        raise ValueError(f"addresses of {size} and {len(destination)} bytes, expected 4 or 16 for both")
    data = source + destination + raw
    datagram = Datagram(
        data,
        start=2 * size,
        end=len(data),
        address_at=0,
        address_size=size,
        source_port=old.source_port if source_port is None else source_port,
        destination_port=old.destination_port if destination_port is None else destination_port,
        time_ns=old.time_ns,
        frame=old.frame,
        protocol=old.protocol,
        transport=old.transport if transport is None else transport,
        vlan=old.vlan,
        interface=old.interface,
        missing=old.missing,
        sequence=old.sequence,
        flags=old.flags,
    )
    copy = CapturedMessage(datagram, scanned(datagram), message.origin, message.seen_ns)
    copy.transaction = message.transaction
    copy.dialog = message.dialog
    copy.retransmission = message.retransmission
    return copy


def scanned(datagram: Datagram) -> SipMessage:
    """The parts that intake would find in it."""
    sip = scan(datagram.data, datagram.start, datagram.end)
    if sip is None:
        sip = unscanned(datagram.data, datagram.start, datagram.end)
    if datagram.missing:
        sip.problems |= Problem.TRUNCATED
    return sip
