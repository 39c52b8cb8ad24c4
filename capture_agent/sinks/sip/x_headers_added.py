"""siptrace's five headers, which tell the receiver of a duplicate where the message was seen."""

from __future__ import annotations

import re

from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.sinks.sql.trace_rows import place
from capture_agent.sip.message import SipMessage
from capture_agent.sip.problems import Problem

NO_METHOD = b"-"  # for a response without a CSeq: the reader expects a word

NO_HEADER_END = int(Problem.NO_HEADER_END)
_TOKEN = re.compile(rb"[-.!%*_+`'~0-9A-Za-z]{1,50}")  # RFC 3261 25.1: cannot end the line; siptrace reads 50


def with_x_headers(message: CapturedMessage, direction: Direction) -> bytes | None:
    """The message with the lines after its last header; None if no empty line ends its headers.

    Body and Content-Length are unchanged. The lines end in CRLF even if the message's own end in LF only.
    """
    sip = message.sip
    if sip.problems & NO_HEADER_END:
        return None
    raw = sip.raw
    at = sip.body_start - sip.start
    at -= 2 if raw[at - 2 : at] == b"\r\n" else 1
    return raw[:at] + x_headers(message, direction) + raw[at:]


def x_headers(message: CapturedMessage, direction: Direction) -> bytes:
    datagram = message.datagram
    seconds, nanoseconds = divmod(datagram.time_ns, 1_000_000_000)
    source = place(datagram.transport, datagram.source, datagram.source_port)
    destination = place(datagram.transport, datagram.destination, datagram.destination_port)
    lines = (
        f"X-Siptrace-Fromip: {source}\r\nX-Siptrace-Toip: {destination}\r\n"
        f"X-Siptrace-Time: {seconds} {nanoseconds // 1000}\r\nX-Siptrace-Method: "
    )
    return lines.encode() + method(message.sip) + f"\r\nX-Siptrace-Dir: {direction}\r\n".encode()


def method(sip: SipMessage) -> bytes:
    found = _TOKEN.match((sip.method if sip.is_request else sip.cseq_method) or b"")
    return found[0] if found else NO_METHOD
