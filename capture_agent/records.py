"""One noun per stage. Hot: compiled with records.pxd, or plain Python.

sources ─Frames─▶ packet ─Datagram─▶ streams ─Datagram─▶ intake ─CapturedMessage─▶ correlate ─▶ policy
    ─TracedMessage─▶ sinks

Bytes are not copied on the way: each record points into the buffer that its source has read
(`data`, `start`, `end`), and a sink copies the message once, into what it sends.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from ipaddress import ip_address

import cython

from capture_agent.calls import Dialog, Transaction
from capture_agent.sip.message import SipMessage

# A row of Frames.index: where the frame lies in the buffer, its length on the wire, when and where it was seen.
FRAME_START = 0
FRAME_LENGTH = 1
FRAME_WIRE_LENGTH = 2
FRAME_TIME_NS = 3
FRAME_INTERFACE = 4
FRAME_ROW = 5

NO_VLAN = -1
NO_FRAME = -1  # a message out of several packets has a buffer without their headers
WHOLE_MESSAGE = 0x100  # in Datagram.flags, above those of TCP: the capture has one message, not a piece of a stream


@dataclass(frozen=True, slots=True)
class Interface:
    """Where frames were captured: an interface of this host, or one that a capture file describes."""

    name: str
    link_type: int  # LINKTYPE_ value, https://www.tcpdump.org/linktypes.html
    time_decimals: int = 6  # how many decimals of a second the capture itself holds


@cython.final
@cython.cclass
class Frames:
    """A batch of frames: one buffer, and an index of `count` rows of FRAME_ROW integers."""

    __slots__ = ("count", "data", "first_number", "index", "interfaces")

    def __init__(
        self,
        data: bytes,
        index: array[int],
        count: int,
        interfaces: list[Interface],
        first_number: int = 1,
    ) -> None:
        if len(index) < count * FRAME_ROW:
            raise ValueError(f"{count} frames need {count * FRAME_ROW} integers, the index has {len(index)}")
        self.data = data
        self.index = index
        self.count = count
        self.interfaces = interfaces
        self.first_number = first_number  # of the first frame, from 1, within its source

    def __len__(self) -> int:
        return self.count

    def frame(self, n: int) -> bytes:
        """The captured bytes of frame n of this batch, from 0."""
        row = n * FRAME_ROW
        start = self.index[row + FRAME_START]
        return self.data[start : start + self.index[row + FRAME_LENGTH]]

    @staticmethod
    def of(
        frames: list[bytes],
        link_type: int = 1,
        times_ns: list[int] | None = None,
        first_number: int = 1,
    ) -> Frames:
        """A batch of frames that are already apart: for hooks, tools and tests, not for the hot path."""
        index = array("q")
        start = 0
        for n, frame in enumerate(frames):
            index.extend((start, len(frame), len(frame), times_ns[n] if times_ns else 0, 0))
            start += len(frame)
        return Frames(b"".join(frames), index, len(frames), [Interface("", link_type)], first_number)


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class Datagram:
    """The payload of one transport-layer packet; behind `streams`, one whole candidate for a message."""

    __slots__ = (
        "address_at",
        "address_size",
        "data",
        "destination_port",
        "end",
        "flags",
        "frame",
        "frame_at",
        "interface",
        "missing",
        "protocol",
        "sequence",
        "source_port",
        "start",
        "time_ns",
        "transport",
        "vlan",
    )

    def __init__(
        self,
        data: bytes,
        start: int,
        end: int,
        address_at: int,
        address_size: int,
        source_port: int,
        destination_port: int,
        time_ns: int = 0,
        frame: int = 0,
        protocol: int = 17,
        transport: str = "udp",
        vlan: int = NO_VLAN,
        interface: Interface | None = None,
        missing: int = 0,
        sequence: int = 0,
        flags: int = 0,
        frame_at: int = NO_FRAME,
    ) -> None:
        self.data = data  # the buffer
        self.start = start  # the payload is data[start:end]
        self.end = end
        self.address_at = address_at  # in data: the source address, then the destination address
        self.address_size = address_size  # 4 or 16 bytes each
        self.source_port = source_port
        self.destination_port = destination_port
        self.time_ns = time_ns  # since the epoch: the packet's own time
        self.frame = frame  # its number in the source, from 1
        self.protocol = protocol  # IP protocol number: 17 UDP, 6 TCP, 132 SCTP
        self.transport = transport  # udp, tcp, tls, sctp, ws, wss
        self.vlan = vlan  # the innermost VLAN id, or NO_VLAN
        self.interface = interface
        self.sequence = sequence  # of a TCP segment: the number of its first byte, 32 bits
        self.flags = flags  # of a TCP segment; or WHOLE_MESSAGE
        self.frame_at = frame_at  # in data: its frame's first byte, all headers behind it; or NO_FRAME
        self.missing = missing  # bytes that the wire had and the capture cut off (snap length)

    def cut(self, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> bytes:
        """data[start:end]; of bounds that lie outside nothing."""
        if not cython.compiled:
            return self.data[start:end]
        if start < 0 or end > len(self.data) or start >= end:
            return b""
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(self.data) + start, end - start)  # type: ignore[name-defined, no-any-return]  # noqa: F821

    @property
    def payload(self) -> bytes:
        return self.cut(self.start, self.end)

    @property
    def source(self) -> bytes:
        """The source address, packed: 4 or 16 bytes."""
        return self._address(0)

    @property
    def destination(self) -> bytes:
        """The destination address, packed: 4 or 16 bytes."""
        return self._address(1)

    def _address(self, number: cython.int) -> bytes:
        at: cython.Py_ssize_t = self.address_at
        if not 0 <= at <= len(self.data):
            return b""  # of no packet; the sums would overflow
        return self.cut(at + number * self.address_size, at + (number + 1) * self.address_size)

    @property
    def source_text(self) -> str:
        return str(ip_address(self.source))

    @property
    def destination_text(self) -> str:
        return str(ip_address(self.destination))


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


SIP_PAYLOAD = 1  # HEP3 chunk 0x000b
LOG_PAYLOAD = 100
MOST_SINKS = 64
ALL_SINKS = (1 << MOST_SINKS) - 1


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Trace:
    """How something is traced. Made once for what is traced - a dialog, say - and shared by its messages.

    sinks           a bit for each sink, the lowest for the first of Config.targets()
    correlation_id  HEP3 chunk 0x0011; empty: not sent
    users           siptrace's traced users: a row of the table for each, beside that of nobody
    table           instead of the one that the sink is configured with; empty: that one
    plain_row       whether there is a row of nobody (siptrace: trace_on)
    payload_type    SIP_PAYLOAD, or LOG_PAYLOAD: a text that is no SIP, for HEP sinks only
    rule            the name of the rule that made it
    masks           what is hidden in what it sends, by the names that the configuration has for it
    """

    __slots__ = ("correlation_id", "masks", "payload_type", "plain_row", "rule", "sinks", "table", "users")

    def __init__(
        self,
        sinks: int = ALL_SINKS,
        correlation_id: bytes = b"",
        users: tuple[str, ...] = (),
        table: str = "",
        plain_row: bool = True,
        payload_type: int = SIP_PAYLOAD,
        rule: str = "",
        masks: tuple[str, ...] = (),
    ) -> None:
        self.sinks = sinks
        self.correlation_id = correlation_id
        self.users = users
        self.table = table
        self.plain_row = plain_row
        self.payload_type = payload_type
        self.rule = rule
        self.masks = masks

    def changed(
        self,
        correlation_id: bytes | None = None,
        users: tuple[str, ...] | None = None,
        table: str | None = None,
        plain_row: bool | None = None,
    ) -> Trace:
        """The same but for what is given."""
        return Trace(
            self.sinks,
            self.correlation_id if correlation_id is None else correlation_id,
            self.users if users is None else users,
            self.table if table is None else table,
            self.plain_row if plain_row is None else plain_row,
            self.payload_type,
            self.rule,
            self.masks,
        )


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class TracedMessage:
    """A message that policy has decided to trace. One message under several traces is several of these.

    `sinks` are those of the trace, less those that get the message under another trace already.
    """

    __slots__ = ("direction", "message", "sinks", "trace")

    def __init__(self, message: CapturedMessage, direction: Direction, trace: Trace, sinks: int | None = None) -> None:
        self.message = message
        self.direction = direction
        self.trace = trace
        self.sinks = trace.sinks if sinks is None else sinks


# To make records here, beside their free lists, costs a third of what it costs elsewhere.


def new_datagram() -> Datagram:
    """An empty one, to be filled in."""
    return Datagram.__new__(Datagram)


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


def traced(message: CapturedMessage, direction: Direction, trace: Trace, sinks: cython.ulonglong) -> TracedMessage:
    one: TracedMessage = TracedMessage.__new__(TracedMessage)
    one.message = message
    one.direction = direction
    one.trace = trace
    one.sinks = sinks
    return one


if not cython.compiled:
    globals().update(new_datagram=partial(Datagram.__new__, Datagram), captured=CapturedMessage, traced=TracedMessage)
