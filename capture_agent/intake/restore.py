"""Restores the original messages of duplicates: siptrace's xheaders_read, for all captured traffic.

It removes the lines that siptrace added, and takes source, destination, transport, time and direction from them.
"""

from __future__ import annotations

from capture_agent.books import Account, Ledger
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.origin import Origin
from capture_agent.sip.scan import scan
from capture_agent.sip.x_headers import XHeaders, find_x_headers

PROTOCOLS = {"tcp": 6, "tls": 6, "ws": 6, "wss": 6, "sctp": 132}
ORIGINS = {str(direction): Origin(direction) for direction in Direction}

NO_X_HEADERS, MALFORMED_X_HEADERS = "no_x_headers", "malformed_x_headers"
ACCOUNT = Account("messages", rejected=(NO_X_HEADERS, MALFORMED_X_HEADERS))


class Restorer:
    """Counts: seen = restored + without + malformed."""

    def __init__(self) -> None:
        self.restored = 0
        self.without = 0  # no such headers: not a duplicate of siptrace, so not for us
        self.malformed = 0  # incomplete, out of order, or invalid

    def restore(self, messages: list[CapturedMessage]) -> list[CapturedMessage]:
        """The originals of messages that carry the headers, in order; all others are left out."""
        return [original for message in messages if (original := self._original(message)) is not None]

    def ledgers(self) -> list[Ledger]:
        return [ACCOUNT.ledger(rejected={NO_X_HEADERS: self.without, MALFORMED_X_HEADERS: self.malformed})]

    def _original(self, message: CapturedMessage) -> CapturedMessage | None:
        sip = message.sip
        try:
            # The line end before the first header belongs to the block.
            found = find_x_headers(sip.data, max(sip.start, sip.headers_start - 2), sip.body_start)
        except ValueError:
            self.malformed += 1
            return None
        if found is None:
            self.without += 1
            return None
        datagram = made(message, found)
        original = scan(datagram.data, datagram.start, datagram.end)
        if original is None:  # without the block it is not SIP
            self.malformed += 1
            return None
        original.problems |= message.sip.problems
        self.restored += 1
        return CapturedMessage(datagram, original, ORIGINS[found.direction], message.seen_ns)


def made(message: CapturedMessage, found: XHeaders) -> Datagram:
    """The original's datagram, in a new buffer: the addresses, then the message."""
    sip, carrier = message.sip, message.datagram
    addresses = found.source + found.destination
    data = addresses + sip.data[sip.start : found.start] + sip.data[found.end : sip.end]
    return Datagram(
        data,
        len(addresses),
        len(data),
        0,
        len(found.source),
        found.source_port,
        found.destination_port,
        time_ns=found.time_ns,
        frame=carrier.frame,
        protocol=PROTOCOLS.get(found.transport, 17),
        transport=found.transport,
        vlan=carrier.vlan,
        interface=carrier.interface,
        missing=carrier.missing,
    )
