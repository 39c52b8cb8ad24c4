"""What the spool stores of a message: every field of every kind comes back, and any decoder of HEP3 reads it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import INVITE, batch_of, captured
from sink_samples import traced as sample

from capture_agent.config.targets import PcapTarget
from capture_agent.delivery.spool.packing import BatchPacker, Unpackable
from capture_agent.delivery.spool.unpacking import BatchUnpacker, UnreadableBatch
from capture_agent.delivery.weight import fit
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import NO_FRAME, NO_FRAME_END, Datagram
from capture_agent.records.frames import Interface
from capture_agent.records.kinds import ALL_KINDS, ForeignPayload, LogEvent, RtcpReport
from capture_agent.records.origin import Origin
from capture_agent.records.traced import ALL_SINKS, Trace, TracedMessage
from capture_agent.sinks.files.pcap_sink import PcapSink
from capture_agent.sip.scan import scan
from hep import StreamDecoder

I64 = st.integers(-(1 << 63), (1 << 63) - 1)
U64 = st.integers(0, ALL_SINKS)
TEXT = st.text(max_size=20)
PORT = st.integers(0, 65535)
INTERFACES = st.none() | st.builds(Interface, TEXT, st.integers(0, 1 << 31), st.integers(0, 9))
ORIGINS = st.none() | st.builds(
    Origin,
    st.none() | st.sampled_from(Direction),
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.none() | st.integers(0, 0xFFFFFFFF),
    st.binary(max_size=20),
)
TRACES = st.builds(
    Trace, U64, st.binary(max_size=40), st.lists(TEXT, max_size=3).map(tuple), TEXT, st.booleans(), TEXT,
    st.lists(TEXT, max_size=2).map(tuple),
)  # fmt: skip


@st.composite
def datagrams(draw: st.DrawFn, payload: bytes, sizes: tuple[int, ...]) -> Datagram:
    size = draw(st.sampled_from(sizes))
    data = draw(st.binary(min_size=2 * size, max_size=2 * size)) + payload
    return Datagram(
        data, 2 * size, len(data), 0, size, draw(PORT), draw(PORT), draw(I64), draw(st.integers(0, 1 << 40)),
        draw(st.sampled_from([6, 17, 132])), draw(st.sampled_from(["udp", "tcp", "tls", "sctp", "ws", "wss"])),
        draw(st.integers(-1, 4095)), draw(INTERFACES), draw(st.integers(0, 1 << 20)),
        draw(st.integers(0, 0xFFFFFFFF)), draw(st.integers(0, 0x1FF)),
    )  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> TracedMessage:
    kind = draw(st.sampled_from(ALL_KINDS))
    if kind is CapturedMessage:
        text = draw(st.sampled_from([b"", b"\r\n"])) + INVITE + draw(st.binary(max_size=50))
        datagram = draw(datagrams(text, (4, 16)))
        sip = scan(datagram.data, datagram.start, datagram.end)
        assert sip is not None
        sip.problems |= draw(st.sampled_from([0, 1]))
        message: Any = CapturedMessage(datagram, sip, draw(ORIGINS), draw(I64))
        message.retransmission = draw(st.booleans())
    else:
        datagram = draw(datagrams(draw(st.binary(max_size=200)), (0, 4, 16)))
        number = {"kind": draw(st.sampled_from([0, 2, 0x35, 255]))} if kind is ForeignPayload else {}
        message = kind(**number, datagram=datagram, origin=draw(ORIGINS), seen_ns=draw(I64))  # type: ignore[arg-type]
    return TracedMessage(message, draw(st.sampled_from(Direction)), draw(TRACES), draw(U64))


OF_DATAGRAM = (
    "address_size", "destination", "destination_port", "flags", "frame", "interface", "missing", "protocol", "sequence",
    "source", "source_port", "time_ns", "transport", "vlan",
)  # fmt: skip
NO_PLACES: dict[str, object] = {
    "envelope": None, "frame_at": NO_FRAME, "frame_cut": 0, "frame_end": NO_FRAME_END, "frames": None,
}  # fmt: skip  # of the packet, which is not stored; the message has the envelope
PLACES = {"address_at", "data", "end", "start", *NO_PLACES}
OF_MESSAGE = ("kind", "origin", "raw", "seen_ns", "time_ns")
OF_TRACE = ("correlation_id", "masks", "plain_row", "rule", "sinks", "table", "users")


def packed(batch: Sequence[TracedMessage]) -> bytes:
    packer = BatchPacker()
    return b"".join(map(packer.pack, batch))


def fields(traced: TracedMessage) -> dict[str, object]:
    message, datagram = traced.message, traced.message.datagram
    found: dict[str, object] = {"type": type(message), "direction": traced.direction, "sinks": traced.sinks}
    found |= {name: getattr(datagram, name) for name in OF_DATAGRAM}
    found |= {f"message {name}": getattr(message, name) for name in OF_MESSAGE}
    found |= {f"trace {name}": getattr(traced.trace, name) for name in OF_TRACE}
    if isinstance(message, CapturedMessage):
        found |= {"problems": message.sip.problems, "retransmission": message.retransmission, "id": message.sip.call_id}
    return found


def test_every_field_is_compared() -> None:
    assert set(Datagram.__slots__) - PLACES - set(OF_DATAGRAM) == set()
    assert set(Trace.__slots__) == set(OF_TRACE)
    assert set(TracedMessage.__slots__) == {"direction", "message", "sinks", "trace"}
    assert set(CapturedMessage.__slots__) == {
        "datagram", "dialog", "found_direction", "origin", "retransmission", "seen_ns", "sip", "transaction",
    }  # fmt: skip


@given(st.lists(messages(), max_size=5))
def test_round_trip(batch: list[TracedMessage]) -> None:
    assert list(map(fields, BatchUnpacker().unpack(packed(batch)))) == list(map(fields, batch))


@given(messages())
def test_the_captured_frame_is_not_stored(one: TracedMessage) -> None:
    (back,) = BatchUnpacker().unpack(packed([one]))
    datagram = back.message.datagram
    assert {name: getattr(datagram, name) for name in NO_PLACES} == NO_PLACES
    assert datagram.captured_frames() == ()
    assert fit([back], 1 << 20)[0] == 1


def test_a_capture_file_of_stored_messages(tmp_path: Path) -> None:
    """The same messages in rebuilt packets."""
    batch = [sample(INVITE), *batch_of(5, size=3000), sample(INVITE, transport="tcp"), sample(INVITE, "::1", "::2")]
    sink = PcapSink(PcapTarget(str(tmp_path / "a.pcapng")))
    sink.send(BatchUnpacker().unpack(packed(batch)))
    sink.close()
    assert (sink.sent, sink.rejected) == (len(batch), {})
    seen = [
        (one.message.raw, one.message.time_ns, one.message.datagram.source) for one in captured(tmp_path / "a.pcapng")
    ]
    assert seen == [(one.message.raw, one.message.time_ns, one.message.datagram.source) for one in batch]


def of_size(kind: type[LogEvent | RtcpReport], size: int) -> TracedMessage:
    data = bytes(8) + bytes(n % 251 for n in range(size))
    return TracedMessage(kind(Datagram(data, 8, len(data), 0, 4, 1, 2)), Direction.IN, Trace(correlation_id=b"c"))


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_300, 65_400, 65_535, 131_000, 200_000])
def test_a_payload_longer_than_a_packet(size: int) -> None:
    batch = [of_size(LogEvent, size), of_size(RtcpReport, 3)]
    data = packed(batch)
    assert list(map(fields, BatchUnpacker().unpack(data))) == list(map(fields, batch))
    assert b"".join(packet.payload or b"" for packet in StreamDecoder().feed(data)) == b"".join(
        one.message.raw for one in batch
    )


@given(messages())
def test_any_decoder_reads_it(traced: TracedMessage) -> None:
    (packet,) = StreamDecoder().feed(packed([traced]))
    datagram = traced.message.datagram
    assert packet.payload == traced.message.raw
    assert packet.protocol_type == traced.message.kind
    assert (packet.correlation_id or b"") == traced.trace.correlation_id
    assert (packet.source_port, packet.destination_port) == (datagram.source_port, datagram.destination_port)
    if datagram.address_size:
        assert packet.source_address == ip_address(datagram.source)
        assert packet.destination_address == ip_address(datagram.destination)


def test_texts_that_no_packet_has_room_for() -> None:
    long = TracedMessage(of_size(LogEvent, 3).message, Direction.IN, Trace(users=("u" * 60_000, "v" * 6_000)))
    with pytest.raises(Unpackable):
        packed([long])
    with pytest.raises(Unpackable):
        packed([TracedMessage(long.message, Direction.IN, Trace(rule="r" * 70_000))])


@given(messages(), st.data())
def test_damaged_bytes(traced: TracedMessage, data: st.DataObject) -> None:
    """An error, or messages; never anything else."""
    good = bytearray(packed([traced]))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(good[: data.draw(st.integers(1, len(good)))])
    with suppress(UnreadableBatch):
        BatchUnpacker().unpack(cut)
