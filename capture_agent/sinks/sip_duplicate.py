"""Every traced message once more to another SIP server (siptrace's duplicate_uri)."""

from __future__ import annotations

from itertools import accumulate

from capture_agent.config.targets import SipTarget
from capture_agent.records import SIP_PAYLOAD, TracedMessage
from capture_agent.sinks.packets import Packed, PacketSink, Tally
from capture_agent.sinks.senders import make_sender
from capture_agent.sinks.x_headers import with_x_headers

AT_ONCE = 256  # messages in one buffer


class SipDuplicateSink(PacketSink):
    """One datagram per message, or one after the other on a connection: byte for byte, or with X-Siptrace headers.

    rejected   oversize: longer than a datagram can be, it is never cut; no_header_end: no place for X-Siptrace
               headers; not_sip: a log event
    lost       refused: the server's host said that nobody listens there
    """

    def __init__(self, target: SipTarget) -> None:
        tally = Tally()
        self._x_headers = target.x_headers
        super().__init__(str(target), self._packed, make_sender(target, tally), tally)

    def _packed(self, batch: list[TracedMessage], first: int) -> Packed:
        messages: list[bytes] = []
        refused = ""
        for traced in batch[first : first + AT_ONCE]:
            if traced.trace.payload_type != SIP_PAYLOAD:
                refused = "not_sip"
                break
            raw = with_x_headers(traced) if self._x_headers else traced.message.sip.raw
            if raw is None:
                refused = "no_header_end"
                break
            messages.append(raw)
        return Packed(b"".join(messages), list(accumulate(map(len, messages))), first + len(messages), refused)
