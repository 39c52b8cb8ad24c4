"""The memory that messages hold while they wait. Hot: compiled with weight.pxd, or plain Python."""

from __future__ import annotations

from collections.abc import Sequence

import cython

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.origin import Origin
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.message import SipMessage

# Memory of one message without its bytes: TracedMessage, CapturedMessage, SipMessage and Datagram, and the numbers in
# them, which are objects in the plain build; other kinds take less. tests/limits measures it.
RECORDS = 640 if cython.compiled else 1088
ORIGIN = 256  # what its sender says about it, without the texts
FRAME = 256  # a captured frame that is kept, without its bytes
HEADER = 184  # a header that someone has asked for: a tuple, its name, its value
NO_LIMIT = 1 << 62

_RECORDS = cython.declare(cython.longlong, RECORDS)
_ORIGIN = cython.declare(cython.longlong, ORIGIN)
_HEADER = cython.declare(cython.longlong, HEADER)


def fit(batch: Sequence[TracedMessage], room: cython.longlong) -> tuple[int, int]:
    """How many messages, from the first one on, take no more than `room` bytes; and how many bytes they take.

    Many messages share the buffer that their source has read: it counts once for a batch.
    """
    count: cython.longlong = 0
    total: cython.longlong = 0
    weight: cython.longlong
    buffers: set[int] = set()
    last: bytes = b""
    traced: TracedMessage
    message: CapturedMessage
    datagram: Datagram
    sip: SipMessage | None
    origin: Origin | None
    for traced in batch:
        weight = _RECORDS
        if type(traced.message) is CapturedMessage:
            message = cython.cast(CapturedMessage, traced.message)
            datagram, origin, sip = message.datagram, message.origin, message.sip
        else:
            datagram, origin, sip = traced.message.datagram, traced.message.origin, None
        if origin is not None:
            weight += _ORIGIN + len(origin.correlation_id) + len(origin.node)
        if datagram.data is not last:
            last = datagram.data
            if id(last) not in buffers:
                buffers.add(id(last))
                weight += len(last)
        if datagram.frames is not None:
            for frame in datagram.frames:
                weight += FRAME + len(frame.data)
        if sip is not None:
            if sip.data is not last and id(sip.data) not in buffers:  # rewritten
                buffers.add(id(sip.data))
                weight += len(sip.data)
            if sip._headers is not None:
                weight += len(sip._headers) * _HEADER + (sip.body_start - sip.headers_start)
        if total + weight > room:
            break
        total += weight
        count += 1
    return count, total
