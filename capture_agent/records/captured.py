"""A SIP message as it was captured. Hot: compiled with captured.pxd, or plain Python."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.sip.message import SipMessage
from hep import ProtocolType


class Direction(StrEnum):
    """As in siptrace: towards the local server or from it."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Origin:
    """What the agent that sent us a message says about it; None or empty: nothing.

    direction       as seen by that agent
    correlation_id  HEP3 chunk 0x0011
    node            HEP3 chunk 0x0013, the agent's name
    capture_id      HEP3 chunk 0x000c, the agent's number
    """

    direction: Direction | None = None
    correlation_id: bytes = b""
    node: bytes = b""
    capture_id: int | None = None

    def __post_init__(self) -> None:
        if self.capture_id is not None and not 0 <= self.capture_id <= 0xFFFFFFFF:
            raise ValueError(f"capture id {self.capture_id}, expected 0 to 4294967295")


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class CapturedMessage:
    """A captured SIP message: its parts, found by `sip`, and the datagram that carried it.

    `correlate` fills in the rest: transaction, dialog, and whether it is a retransmission. `counting` leaves the
    direction of its addresses to `policy`: 1 in, 2 out, 0 where it was not looked up.
    """

    __slots__ = ("datagram", "dialog", "found_direction", "origin", "retransmission", "seen_ns", "sip", "transaction")

    def __init__(
        self, datagram: Datagram, sip: SipMessage, origin: Origin | None = None, seen_ns: int | None = None
    ) -> None:
        self.datagram = datagram
        self.sip = sip
        self.origin = origin  # None: we captured it ourselves
        # When its packet was seen; `time_ns` may come from the origin.
        self.seen_ns = datagram.time_ns if seen_ns is None else seen_ns
        self.transaction: Transaction | None = None
        self.dialog: Dialog | None = None
        self.retransmission = False
        self.found_direction = 0

    @property
    def kind(self) -> int:
        """HEP3 chunk 0x000b."""
        return int(ProtocolType.SIP)

    @property
    def raw(self) -> bytes:
        """The exact bytes of the message, which sinks send: never serialised again."""
        return self.sip.raw

    @property
    def time_ns(self) -> int:
        return self.datagram.time_ns


# Creating records here, next to their free lists, costs a third of what it costs elsewhere.


def captured(datagram: Datagram, sip: SipMessage) -> CapturedMessage:
    message: CapturedMessage = CapturedMessage.__new__(CapturedMessage)
    message.datagram = datagram
    message.sip = sip
    message.origin = None
    message.seen_ns = datagram.time_ns
    message.transaction = None
    message.dialog = None
    message.retransmission = False
    message.found_direction = 0
    return message


if not cython.compiled:
    globals().update(captured=CapturedMessage)
