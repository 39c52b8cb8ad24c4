"""A SIP message as it was captured. Hot: compiled with captured.pxd, or plain Python."""

from __future__ import annotations

from enum import StrEnum

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.sip.message import SipMessage


class Direction(StrEnum):
    """As siptrace has it: towards the local server or from it."""

    IN = "in"
    OUT = "out"


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class CapturedMessage:
    """A SIP message as it was seen: what `sip` found in it, and the datagram that carried it.

    `correlate` fills in the rest: what the message belongs to, and whether it is one of before, sent again.
    """

    __slots__ = ("datagram", "dialog", "direction", "retransmission", "seen_ns", "sip", "transaction")

    def __init__(
        self, datagram: Datagram, sip: SipMessage, direction: Direction | None = None, seen_ns: int | None = None
    ) -> None:
        self.datagram = datagram
        self.sip = sip
        self.direction = direction  # as whoever sent us the message has said; None: the addresses tell
        # When its packet was seen; `time_ns` may be what whoever sent us the message has said.
        self.seen_ns = datagram.time_ns if seen_ns is None else seen_ns
        self.transaction: Transaction | None = None
        self.dialog: Dialog | None = None
        self.retransmission = False

    @property
    def raw(self) -> bytes:
        """The exact bytes of the message: what sinks send, never written anew."""
        return self.sip.raw

    @property
    def time_ns(self) -> int:
        return self.datagram.time_ns


# To make records here, beside their free lists, costs a third of what it costs elsewhere.


def captured(datagram: Datagram, sip: SipMessage) -> CapturedMessage:
    message: CapturedMessage = CapturedMessage.__new__(CapturedMessage)
    message.datagram = datagram
    message.sip = sip
    message.direction = None
    message.seen_ns = datagram.time_ns
    message.transaction = None
    message.dialog = None
    message.retransmission = False
    return message


if not cython.compiled:
    globals().update(captured=CapturedMessage)
