"""Sends every traced message to another SIP server (siptrace's duplicate_uri)."""

from __future__ import annotations

from itertools import accumulate

from capture_agent.config.targets import SipTarget
from capture_agent.net.make_sender import make_sender
from capture_agent.net.sender import PacketTally
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.packet_sink import Packed, PacketSink
from capture_agent.sinks.sink import NOT_SIP
from capture_agent.sinks.sip.exact_message import NO_HEADER_END, framed
from capture_agent.sinks.sip.x_headers_added import with_x_headers

AT_ONCE = 256  # messages in one buffer
ENOUGH = 1 << 18  # bytes in it


class SipDuplicateSink(PacketSink):
    """One datagram per message, byte for byte; or messages back to back on a connection, with the right Content-Length.

    Optionally with X-Siptrace headers.

    rejected   oversize: longer than a datagram can be, and messages are never cut; not_sip: another kind of message;
               no_header_end: no place for X-Siptrace headers or, on a connection, no end that a receiver could find;
               framing: on a connection, receivers could disagree about where the message ends (exact_message.py)
    lost       refused: the server's host reported a closed port; unconfirmed: not acknowledged (tcp_sender.py)
    """

    def __init__(self, target: SipTarget) -> None:
        tally = PacketTally()
        self._x_headers = target.x_headers
        self._framed = target.transport != "udp"
        super().__init__(str(target), self._packed, make_sender(target, tally), tally)

    def _packed(self, batch: list[TracedMessage], first: int, needed: memoryview | None) -> Packed:
        messages: list[bytes] = []
        size = 0
        refused = ""
        for traced in batch[first : first + AT_ONCE]:
            copy = self._copy(traced)
            if isinstance(copy, str):
                refused = copy
                break
            messages.append(copy)
            size += len(copy)
            if size >= ENOUGH:
                break
        return Packed(b"".join(messages), list(accumulate(map(len, messages))), first + len(messages), refused)

    def _copy(self, traced: TracedMessage) -> bytes | str:
        """The bytes to send, or why the message is not sent."""
        copy = copy_of(traced, self._x_headers)
        return framed(copy) if self._framed and isinstance(copy, bytes) else copy


def copy_of(traced: TracedMessage, x_headers: bool) -> bytes | str:
    message = traced.message
    if not isinstance(message, CapturedMessage):
        return NOT_SIP
    copy = with_x_headers(message, traced.direction) if x_headers else message.sip.raw
    return NO_HEADER_END if copy is None else copy


class CopySize:
    """Whether the copy of a message is longer than a datagram may be. What is not sent is not longer."""

    def __init__(self, target: SipTarget) -> None:
        self._x_headers = target.x_headers

    def __call__(self, traced: TracedMessage, most: int) -> bool:
        copy = copy_of(traced, self._x_headers)
        return isinstance(copy, bytes) and len(copy) > most
