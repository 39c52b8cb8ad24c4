"""SCTP chunks in, SIP messages out: tables, properties, attacks, and a capture of SIP over SCTP."""

from __future__ import annotations

import gc
import hashlib
import json
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import FRAME_ROW, FRAME_TIME_NS, Interface
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.streams.sctp import IDLE_NS, SctpAssociations
from capture_agent.streams.sctp_direction import CHUNK_COST, WINDOW
from capture_agent.streams.sctp_fragments import TIMEOUT_NS

SECOND = 10**9
HERE, THERE = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))
INVITE = b"INVITE sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
BYE = b"BYE sip:a@b SIP/2.0\r\nl: 0\r\n\r\n"
BEGIN, END, WHOLE, UNORDERED = 2, 1, 3, 4
TOP = 0xFFFFFFFF
SEVEN = bytes(range(65, 72)) * 5


def chunk(kind: int, flags: int, body: bytes, size: int | None = None) -> bytes:
    size = 4 + len(body) if size is None else size
    return struct.pack("!BBH", kind, flags, size) + body + bytes(-len(body) % 4)


def data(tsn: int, payload: bytes, flags: int = WHOLE, stream: int = 0, number: int = 0) -> bytes:
    return chunk(0, flags, struct.pack("!IHHI", tsn & TOP, stream, number, 0) + payload)


def i_data(tsn: int, payload: bytes, flags: int = WHOLE, message: int = 0, part: int = 0, stream: int = 0) -> bytes:
    return chunk(64, flags, struct.pack("!IHHII", tsn & TOP, stream, 0, message, part) + payload)


def init_ack(tag: int, tsn: int) -> bytes:
    return chunk(2, 0, struct.pack("!IIHHI", tag, 65535, 1, 1, tsn))


def cookie(kind: int = 10) -> bytes:
    """COOKIE ECHO; 11: COOKIE ACK."""
    return chunk(kind, 0, b"cookie" if kind == 10 else b"")


def packet(
    *chunks: bytes,
    tag: int = 7,
    time_ns: int = SECOND,
    cut: int = 0,
    back: bool = False,
    host: bytes = HERE,
    frame: int = 42,
) -> Datagram:
    """As the decoder gives it, with other bytes before and after it."""
    ports = (5060, 5070) if back else (5070, 5060)
    addresses = THERE + host if back else host + THERE
    content = b"".join(chunks)
    header = struct.pack("!HHI", *ports, tag) + b"CRC!"
    buffer = b"\x03" * 9 + addresses + header + content + b"\x03" * 40
    start = 9 + 8 + 12
    return Datagram(
        buffer,
        start,
        start + len(content) - cut,
        9,
        4,
        *ports,
        time_ns,
        frame,
        132,
        "sctp",
        5,
        Interface("eth0", 1),
        cut,
    )


def balanced(sctp: SctpAssociations) -> dict[str, int]:
    counts = dict(sctp.accounts())
    assert sum(counts.values()) == sctp.seen, counts
    assert min(counts.values()) >= 0
    assert 0 <= sctp.fragments.held_bytes <= sctp.fragments.limit_bytes
    assert sctp.associations <= sctp.limit_associations
    return {name: count for name, count in counts.items() if count}


def fed(packets: list[Datagram], sctp: SctpAssociations | None = None) -> tuple[list[bytes], dict[str, int]]:
    sctp = SctpAssociations() if sctp is None else sctp
    messages = []
    for each in packets:
        for message in sctp.feed(each):
            assert (message.source, message.destination) == (each.source, each.destination)
            assert (message.source_port, message.destination_port) == (each.source_port, each.destination_port)
            assert (message.frame, message.vlan) == (each.frame, each.vlan)
            assert (message.transport, message.protocol, message.interface) == ("sctp", 132, each.interface)
            messages.append(message.payload)
        balanced(sctp)
    return messages, balanced(sctp)


def three(tsn: int, payload: bytes = SEVEN, **fields: int) -> list[bytes]:
    flags = fields.pop("flags", 0)
    parts = payload[:10], payload[10:20], payload[20:]
    return [
        data(tsn + n, part, bits | flags, **fields)
        for n, (part, bits) in enumerate(zip(parts, (BEGIN, 0, END), strict=True))
    ]


def i_three(tsns: list[int], payload: bytes = SEVEN, **fields: int) -> list[bytes]:
    parts = payload[:10], payload[10:20], payload[20:]
    # The first has the payload protocol in the place of its number: SIP has none, others have.
    return [
        i_data(tsn, part, bits, part=number, **fields)
        for tsn, part, bits, number in zip(tsns, parts, (BEGIN, 0, END), (99, 1, 2), strict=True)
    ]


A, B, C = three(100)
PART = {"joined": 2, "delivered": 1}

TABLE = [
    pytest.param([[data(1, INVITE)]], [INVITE], {"delivered": 1}, id="one"),
    pytest.param([[data(1, INVITE), data(2, BYE)]], [INVITE, BYE], {"delivered": 2}, id="bundled"),
    pytest.param([[chunk(3, 0, bytes(12)), data(1, BYE)]], [BYE], {"control": 1, "delivered": 1}, id="after a SACK"),
    pytest.param([[chunk(192, 0, bytes(5)), data(1, BYE)]], [BYE], {"control": 1, "delivered": 1}, id="after a chunk with padding"),
    pytest.param([[data(1, BYE)[:-3]]], [BYE], {"delivered": 1}, id="without its last padding"),
    pytest.param([[data(1, BYE, WHOLE | UNORDERED)]], [BYE], {"delivered": 1}, id="unordered"),
    pytest.param([[data(1, BYE, WHOLE | 8)]], [BYE], {"delivered": 1}, id="SACK at once (RFC 7053)"),
    pytest.param([[data(2, BYE)], [data(1, INVITE)]], [BYE, INVITE], {"delivered": 2}, id="the second first"),
    pytest.param([[data(1, BYE)], [data(1, BYE)]], [BYE], {"delivered": 1, "duplicate": 1}, id="sent anew"),
    pytest.param([[data(1, BYE), data(1, BYE)]], [BYE], {"delivered": 1, "duplicate": 1}, id="twice in a packet"),
    pytest.param([[data(1, BYE)], [data(2, BYE)]], [BYE, BYE], {"delivered": 2}, id="SIP says it again"),
    pytest.param([[data(2, BYE)], [data(1, BYE)], [data(1, BYE)], [data(2, BYE)]], [BYE, BYE], {"delivered": 2, "duplicate": 2}, id="reordered and twice"),
    pytest.param([[A], [B], [C]], [SEVEN], PART, id="three parts"),
    pytest.param([[C], [B], [A]], [SEVEN], PART, id="backwards"),
    pytest.param([[A], [C], [B]], [SEVEN], PART, id="the gap is filled"),
    pytest.param([[A, B, C]], [SEVEN], PART, id="in one packet"),
    pytest.param([[A, B], [A, B], [C], [C]], [SEVEN], PART | {"duplicate": 3}, id="parts twice"),
    pytest.param([[A], [C]], [], {"waiting": 2}, id="one is lost"),
    pytest.param([[A], *[[part] for part in three(103)], [B, C]], [SEVEN, SEVEN], {"joined": 4, "delivered": 2}, id="two messages"),
    pytest.param([[B], [A], [data(99, BYE)], [data(103, BYE)], [C]], [BYE, BYE, SEVEN], PART | {"delivered": 3}, id="complete ones on both sides"),
    pytest.param([three(TOP)], [SEVEN], PART, id="TSNs wrap"),
    pytest.param([three(TOP - 1)[::-1], [data(2, BYE)], [data(TOP, BYE)]], [SEVEN, BYE], PART | {"delivered": 2, "duplicate": 1}, id="wrapped and sent anew"),
    pytest.param([[data(TOP, INVITE)], [data(0, BYE)], [data(TOP, INVITE)]], [INVITE, BYE], {"delivered": 2, "duplicate": 1}, id="TSN 0"),
    pytest.param([three(5, flags=UNORDERED)], [SEVEN], PART, id="unordered parts"),
    pytest.param([[data(1, b"IN", BEGIN | 4, number=5), data(2, b"VITE", END | 4, number=9)]], [b"INVITE"], {"joined": 1, "delivered": 1}, id="what an unordered one says of its order means nothing"),
    pytest.param([[data(1, b"IN", BEGIN), data(2, b"VITE", END, stream=1)]], [], {"waiting": 2}, id="another stream's"),
    pytest.param([[data(1, b"IN", BEGIN), data(2, b"VITE", END, number=1)]], [], {"waiting": 2}, id="another message's"),
    pytest.param([[data(1, b"IN", BEGIN), data(2, b"VITE", END | UNORDERED)]], [], {"waiting": 2}, id="ordered and unordered"),
    pytest.param([[data(1, b"IN", BEGIN), data(2, b"", 0), data(3, b"VITE", END)]], [], {"waiting": 2, "empty": 1}, id="empty"),
    pytest.param([[data(1, b""), data(2, BYE)]], [BYE], {"delivered": 1, "empty": 1}, id="no user data (RFC 9260 3.3.1)"),
    pytest.param([[i_data(1, BYE, part=9)]], [BYE], {"delivered": 1}, id="I-DATA"),
    pytest.param([[part] for part in i_three([1, 2, 3])], [SEVEN], PART, id="I-DATA in parts"),
    pytest.param([[part] for part in i_three([1, 2, 3])[::-1]], [SEVEN], PART, id="I-DATA backwards"),
    pytest.param([[i_data(1, BYE, part=9)], [i_data(1, BYE)]], [BYE], {"delivered": 1, "duplicate": 1}, id="I-DATA sent anew"),
    pytest.param(
        [[part] for pair in zip(i_three([1, 3, 5]), i_three([2, 4, 6], SEVEN[::-1], stream=1), strict=True) for part in pair],
        [SEVEN, SEVEN[::-1]], {"joined": 4, "delivered": 2}, id="I-DATA of two streams in between",
    ),
    pytest.param(
        [[part] for pair in zip(i_three([1, 3, 5]), i_three([2, 4, 6], SEVEN[::-1], message=1), strict=True) for part in pair],
        [SEVEN, SEVEN[::-1]], {"joined": 4, "delivered": 2}, id="I-DATA of two messages in between",
    ),
    pytest.param([[i_data(1, b"a", 0, part=0)]], [], {"malformed": 1}, id="I-DATA: another first one"),
    pytest.param([[i_data(1, b"a", 0, part=4)], [i_data(2, b"b", 0, part=4)]], [], {"waiting": 1, "conflict": 1}, id="I-DATA: the same part again"),
    pytest.param([[b"\0\3\0\3"], [data(1, BYE)]], [BYE], {"delivered": 1, "malformed": 1}, id="shorter than its header"),
    pytest.param([[data(1, BYE), b"\0\0\0\0" * 50]], [BYE], {"delivered": 1, "malformed": 1}, id="zeros"),
    pytest.param([[data(1, BYE), b"\0\3"]], [BYE], {"delivered": 1, "malformed": 1}, id="half a header"),
    pytest.param([[chunk(0, 3, bytes(4))]], [], {"malformed": 1}, id="shorter than DATA"),
    pytest.param([[chunk(64, 3, bytes(12))]], [], {"malformed": 1}, id="shorter than I-DATA"),
    pytest.param([[chunk(0, 3, bytes(20), 200)]], [], {"malformed": 1}, id="longer than its packet"),
    pytest.param([[chunk(3, 0, bytes(20), 200)]], [], {"malformed": 1}, id="control longer than its packet"),
    pytest.param([[]], [], {}, id="nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("packets", "want", "outcomes"), TABLE)
def test_chunks(packets: list[list[bytes]], want: list[bytes], outcomes: dict[str, int]) -> None:
    assert fed([packet(*chunks) for chunks in packets]) == (want, outcomes)


CUTS = [
    pytest.param([data(1, INVITE)], 9, [INVITE[:-9]], {"delivered": 1}, id="a complete one is cut"),
    pytest.param([data(1, INVITE), data(2, BYE)], 40, [INVITE], {"delivered": 1, "cut": 1}, id="in the header"),
    pytest.param([data(1, INVITE), data(2, BYE)], 46, [INVITE], {"delivered": 1, "cut": 1}, id="in its length"),
    pytest.param([data(1, INVITE, BEGIN)], 9, [], {"cut": 1}, id="a part is cut"),
    pytest.param([chunk(3, 0, bytes(20))], 9, [], {"control": 1}, id="control is cut"),
]


@pytest.mark.parametrize(("chunks", "cut", "want", "outcomes"), CUTS)
def test_snap_length(chunks: list[bytes], cut: int, want: list[bytes], outcomes: dict[str, int]) -> None:
    assert fed([packet(*chunks, cut=cut)]) == (want, outcomes)


def test_a_cut_message_says_how_much_is_missing() -> None:
    (message,) = SctpAssociations().feed(packet(data(1, INVITE), cut=9))
    assert len(message.payload) + message.missing == len(INVITE)


def test_a_message_in_one_chunk_is_not_copied() -> None:
    whole = packet(data(1, INVITE), data(2, BYE))
    messages = SctpAssociations().feed(whole)
    assert [message.data is whole.data for message in messages] == [True, True]


def test_a_message_of_parts_has_a_buffer_of_its_own() -> None:
    (message,) = SctpAssociations().feed(packet(A, B, C))
    assert message.data == HERE + THERE + SEVEN
    assert (message.start, message.end, message.address_at, message.missing) == (8, 8 + len(SEVEN), 0, 0)


def test_directions_and_hosts_are_apart() -> None:
    other = bytes((192, 0, 2, 3))
    packets = [packet(data(1, BYE)), packet(data(1, BYE), back=True)]
    packets += [packet(data(1, BYE), host=other), packet(data(1, BYE), host=other, back=True)]
    assert fed(packets * 2) == ([BYE] * 4, {"delivered": 4, "duplicate": 4})


FAR = 100_000
HANDSHAKE = [packet(init_ack(7, 50), tag=9, back=True), packet(cookie())]
ENDED = [packet(chunk(kind, 0, bytes(8)), tag=tag) for kind in (6, 7, 8, 9, 14) for tag in (7, 8)]
ASKED = [packet(chunk(1, 0, struct.pack("!IIHHI", 66, 65535, 1, 1, 1)), tag=0)]
# What a stranger sends between the two messages of an association.
FORGED = [
    pytest.param([packet(data(2, BYE), tag=8)], 1, id="another tag"),
    pytest.param([packet(data(n, BYE), tag=n) for n in range(10, 30)], 20, id="twenty tags"),
    pytest.param([packet(data(2, BYE), tag=8), packet(data(3, BYE), tag=8)], 2, id="another tag twice"),
    pytest.param([packet(data(FAR, BYE))], 1, id="a TSN far ahead"),
    pytest.param([packet(data(-FAR, BYE))], 1, id="a TSN far back"),
    pytest.param([packet(data(2 + WINDOW, BYE))], 1, id="a TSN just outside"),
    pytest.param([packet(data(FAR, BYE, BEGIN)), packet(data(FAR + 1, BYE, END), tag=8)], 2, id="parts"),
    pytest.param(ENDED, 0, id="ABORT and SHUTDOWN"),
    pytest.param(ASKED, 0, id="INIT"),
    pytest.param([packet(init_ack(66, 1), tag=9, back=True)], 0, id="INIT ACK"),
    pytest.param([packet(init_ack(7, 1), tag=9, back=True)], 0, id="INIT ACK with the tag"),
    pytest.param([packet(init_ack(66, 1), tag=9, back=True), packet(data(1, BYE), tag=66)], 1, id="INIT ACK and DATA"),
    pytest.param([packet(cookie(), tag=66), packet(cookie(11), tag=66, back=True)], 0, id="cookies"),
]


@pytest.mark.parametrize("known", [pytest.param([], id="joined"), pytest.param(HANDSHAKE, id="handshake")])
@pytest.mark.parametrize(("forged", "outside"), FORGED)
def test_chunks_that_real_ends_ignore_change_nothing(
    known: list[Datagram], forged: list[Datagram], outside: int
) -> None:
    sctp = SctpAssociations()
    again = [packet(data(n, INVITE)) for n in (1, 2, 3)]
    messages, _ = fed([*known, *again[:2], *forged, *again[1:], *again], sctp)
    assert messages == [INVITE] * 3
    counts = balanced(sctp)
    assert (counts["delivered"], counts["duplicate"], counts.get("outside", 0)) == (3, 4, outside)
    assert (sctp.close(), sctp.held, sctp.held_bytes) == ([], 0, 0)


def test_after_a_handshake_forged_chunks_are_never_believed() -> None:
    sctp = SctpAssociations()
    first, second = packet(data(1, INVITE)), packet(data(2, INVITE))
    forged = [packet(data(n, BYE), tag=8) for n in range(50)]
    assert fed([*HANDSHAKE, first, *forged, second], sctp)[0] == [INVITE] * 2
    assert balanced(sctp)["outside"] == 50
    assert fed([*HANDSHAKE, *forged, first])[0] == [INVITE]
    assert fed([packet(init_ack(9, 50)), packet(cookie(11)), packet(data(FAR, BYE)), packet(data(50, INVITE))])[0] == [
        INVITE
    ]


def test_one_that_was_forged_first_hides_nothing() -> None:
    forged, first, second = packet(data(9, BYE), tag=8), packet(data(1, INVITE)), packet(data(2, INVITE))
    assert fed([forged, first, second])[0] == [BYE, INVITE, INVITE]
    sctp = SctpAssociations()
    assert fed([forged, first], sctp)[0] == [BYE]
    (message,) = sctp.close()
    assert (message.payload, message.time_ns, message.source, message.frame) == (INVITE, SECOND, HERE, 42)
    assert balanced(sctp) == {"delivered": 2}
    lie = [packet(init_ack(66, 1), tag=8, back=True)]
    assert fed([*lie, first, second])[0] == [INVITE, INVITE]


def test_held_chunks_go_out_with_their_own_addresses() -> None:
    """Also when a packet of another direction lets it go: its association has expired, or another takes its place."""
    for later in (
        packet(data(1, INVITE), back=True, time_ns=400 * SECOND, frame=43),
        packet(data(1, INVITE), host=host(9), frame=43),
    ):
        sctp = SctpAssociations(limit_associations=1)
        assert fed([packet(data(1, INVITE)), packet(data(9_000_000, BYE), tag=8)], sctp)[0] == [INVITE]
        held, message = sctp.feed(later)
        assert (held.payload, held.source, held.destination, held.source_port) == (BYE, HERE, THERE, 5070)
        assert (held.frame, held.time_ns) == (42, SECOND)
        assert (message.payload, message.source, message.frame) == (INVITE, later.source, 43)


def test_a_restart_that_was_missed_loses_nothing() -> None:
    """Another tag, or the same one with other TSNs: what comes is held until it is believed."""
    for tag, tsn in ((8, 1), (7, FAR)):
        sctp = SctpAssociations()
        fed([packet(data(n, INVITE)) for n in range(5)], sctp)
        messages = [fed([packet(data(tsn + n, BYE), tag=tag)], sctp)[0] for n in range(5)]
        assert messages == [[], [], [BYE] * 3, [BYE], [BYE]]
        assert (sctp.restarted, balanced(sctp)) == (1, {"delivered": 10})


RESTARTS = [
    pytest.param([packet(init_ack(7, 50), tag=9, back=True), packet(cookie())], id="INIT ACK of the other side"),
    pytest.param([packet(init_ack(9, 1)), packet(cookie(11))], id="INIT ACK of this side"),
    pytest.param([packet(init_ack(9, 1)), packet(cookie(), tag=9, back=True)], id="COOKIE ECHO"),
]


@pytest.mark.parametrize("between", RESTARTS)
def test_a_restart_with_the_same_tag(between: list[Datagram]) -> None:
    sctp = SctpAssociations()
    assert fed([packet(data(1, INVITE))], sctp)[0] == [INVITE]
    fed(between, sctp)
    assert fed([packet(data(1, INVITE))], sctp)[0] == [INVITE]
    assert sctp.restarted == 1


def test_a_restart_whose_cookies_were_missed() -> None:
    sctp = SctpAssociations()
    fed([*HANDSHAKE, packet(data(1, INVITE)), packet(init_ack(70, 5), tag=90, back=True)], sctp)
    assert fed([packet(data(n, BYE), tag=70) for n in range(4)], sctp)[0] == [BYE] * 4


def test_bytes_held_for_rivals_are_bounded() -> None:
    sctp = SctpAssociations(limit_held_bytes=20 * CHUNK_COST)
    for port in range(100):
        for tag in (7, 8):
            sctp.feed(packet(data(1, bytes(100)), tag=tag, host=bytes((10, 0, 0, port))))
            assert sctp.held_bytes <= sctp.limit_held_bytes
    counts = balanced(sctp)
    assert (counts["delivered"], counts["waiting"] + counts["outside"]) == (100, 100)
    assert len(sctp.close()) == counts["waiting"]


def test_a_copy_of_the_init_ack_restarts_nothing() -> None:
    answer = packet(init_ack(7, 50), tag=9, back=True)
    sctp = SctpAssociations()
    packets = [answer, packet(data(1, INVITE)), packet(data(50, BYE), tag=9, back=True)]
    messages, outcomes = fed([*packets, *packets], sctp)
    assert messages == [INVITE, BYE]
    assert outcomes == {"control": 2, "delivered": 2, "duplicate": 2}
    assert sctp.restarted == 0


def test_fragments_of_before_a_restart_do_not_mix() -> None:
    restart = [packet(init_ack(7, 100), tag=9, back=True), packet(cookie())]
    assert fed([packet(A), *restart, packet(B), packet(C)])[0] == []
    assert fed([packet(A), *restart, packet(B), packet(C), packet(A)])[0] == [SEVEN]


NOW = 1_700_000_000 * SECOND

TIMES = [
    pytest.param([0, TIMEOUT_NS - 1, TIMEOUT_NS - 1], PART, id="just in time"),
    pytest.param([0, -SECOND, -SECOND], PART, id="a little backwards"),
    pytest.param([NOW, 0, NOW], PART, id="one of 1970"),
    pytest.param([NOW, 4_102_444_800 * SECOND, NOW], PART, id="one of 2100"),
    pytest.param([NOW, 4_294_967_295 * SECOND, NOW], PART, id="one of 2106"),
    pytest.param([4_102_444_800 * SECOND, NOW, NOW], PART, id="the first is of 2100"),
    pytest.param([NOW, NOW, 1800 * SECOND + NOW], PART, id="half an hour off"),
    pytest.param([0, 2**62, -(2**62)], PART, id="absurd times"),
]


@pytest.mark.parametrize(("times", "outcomes"), TIMES)
def test_time_is_the_packets(times: list[int], outcomes: dict[str, int]) -> None:
    packets = [packet(part, time_ns=time) for part, time in zip([A, B, C], times, strict=True)]
    assert fed(packets)[1] == outcomes


def pass_time(sctp: SctpAssociations, start_ns: int, seconds: int) -> None:
    """By packets that say nothing, one a second."""
    for second in range(seconds + 1):
        sctp.feed(packet(chunk(4, 0, b"beat"), time_ns=start_ns + second * SECOND))


@pytest.mark.parametrize("odd_ns", [0, 4_102_444_800 * SECOND, 4_294_967_295 * SECOND, NOW + 1800 * SECOND])
def test_waiting_fragments_still_time_out(odd_ns: int) -> None:
    sctp = SctpAssociations()
    fed([packet(A, time_ns=NOW), packet(data(200, b"x", BEGIN), time_ns=odd_ns), packet(B, time_ns=NOW)], sctp)
    pass_time(sctp, NOW, TIMEOUT_NS // SECOND - 1)
    assert balanced(sctp)["waiting"] == 3
    pass_time(sctp, NOW + TIMEOUT_NS, 2 * TIMEOUT_NS // SECOND)
    assert (balanced(sctp).get("waiting"), balanced(sctp)["timed_out"], sctp.fragments.held_bytes) == (None, 3, 0)
    pass_time(sctp, NOW + 3 * TIMEOUT_NS, 2 * IDLE_NS // SECOND)
    assert sctp.associations == 0


def host(n: int) -> bytes:
    return bytes((10, 0, 0, n))


def test_silent_associations_are_forgotten() -> None:
    sctp = SctpAssociations()
    fed([packet(data(1, BYE), host=host(n), time_ns=n * SECOND) for n in range(10)], sctp)
    pass_time(sctp, 9 * SECOND, 91)
    fed([packet(data(1, BYE), host=host(0), time_ns=100 * SECOND)], sctp)  # 0 is alive
    pass_time(sctp, 100 * SECOND, IDLE_NS // SECOND - 91)
    assert sctp.associations == 1
    assert sctp.associations_expired == 9


def test_associations_are_bounded() -> None:
    sctp = SctpAssociations(limit_associations=2)
    messages, _ = fed([packet(data(1, BYE), host=host(n)) for n in (1, 2, 3, 3, 2, 1)], sctp)
    assert len(messages) == 4
    assert sctp.associations_evicted == 2


def test_the_oldest_fragments_are_evicted() -> None:
    sctp = SctpAssociations(limit_bytes=10_000)
    fed([packet(data(tsn, bytes(1000), BEGIN)) for tsn in range(0, 40, 2)], sctp)
    assert balanced(sctp) == {"waiting": 3, "evicted": 17}


def test_one_message_larger_than_the_bound() -> None:
    sctp = SctpAssociations(limit_bytes=10_000)
    fed([packet(data(tsn, bytes(1000), 0 if tsn else BEGIN)) for tsn in range(40)], sctp)
    assert balanced(sctp)["evicted"] > 20


Sent = tuple[list[bytes], list[bytes]]


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    """Messages, and the chunks that carry them, from any TSN on."""
    messages = draw(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6))
    tsn = draw(st.one_of(st.integers(TOP - 20, TOP), st.integers(0, TOP)))
    interleaving = draw(st.booleans())
    chunks = []
    for number, message in enumerate(messages):
        cuts = [0, *sorted(draw(st.sets(st.integers(1, len(message)), max_size=8)) - {len(message)}), len(message)]
        flags = draw(st.sampled_from([0, UNORDERED]))
        stream = draw(st.integers(0, 2))
        for part, (start, end) in enumerate(pairwise(cuts)):
            bits = flags | (BEGIN if start == 0 else 0) | (END if end == len(message) else 0)
            if interleaving:
                chunks.append(i_data(tsn, message[start:end], bits, number, part, stream))
            else:
                chunks.append(data(tsn, message[start:end], bits, stream, number))
            tsn += 1
    return messages, chunks


@given(sent(), st.data())
def test_any_split_in_any_order(given_: Sent, draws: st.DataObject) -> None:
    messages, chunks = given_
    again = draws.draw(st.lists(st.sampled_from(chunks), max_size=10))
    shuffled = draws.draw(st.permutations(chunks + again))
    bundles = draws.draw(st.lists(st.integers(1, 4), min_size=len(shuffled), max_size=len(shuffled)))
    packets = []
    for size in bundles:
        packets.append(packet(*shuffled[:size]))
        shuffled = shuffled[size:]
    got, outcomes = fed(packets)
    assert sorted(got) == sorted(messages)
    assert outcomes.get("duplicate", 0) == len(again)
    assert set(outcomes) <= {"delivered", "joined", "duplicate"}


CHUNKS = st.one_of(
    st.builds(data, st.integers(0, 9), st.binary(max_size=5), st.integers(0, 7), st.integers(0, 1)),
    st.builds(
        i_data, st.integers(0, 99), st.binary(max_size=5), st.integers(0, 7), st.integers(0, 1), st.integers(0, 5)
    ),
    st.builds(data, st.integers(0, TOP), st.binary(max_size=5), st.integers(0, 7)),
    st.builds(init_ack, st.integers(6, 8), st.integers(0, 9)),
    st.builds(chunk, st.sampled_from([0, 2, 64, 3]), st.integers(0, 255), st.binary(max_size=30), st.integers(0, 99)),
    st.binary(max_size=40),
)
PACKETS = st.builds(
    packet,
    CHUNKS, CHUNKS, CHUNKS,
    tag=st.integers(6, 8),
    time_ns=st.one_of(st.integers(0, 9).map(lambda tens: tens * 20 * SECOND), st.integers(-(2**63), 2**63 - 1)),
    back=st.booleans(),
)  # fmt: skip


@given(st.lists(PACKETS, max_size=30), st.integers(0, 12), st.integers(1, 3), st.integers(0, 9000))
def test_garbage_is_accounted_for(packets: list[Datagram], cut: int, associations: int, size: int) -> None:
    sctp = SctpAssociations(associations, size)
    for each in packets:
        length = max(each.end - each.start - cut, 0)
        short = Datagram(
            each.data, each.start, each.start + length, each.address_at, 4, each.source_port, each.destination_port,
            each.time_ns, 1, 132, "sctp", missing=each.end - each.start - length,
        )  # fmt: skip
        for message in sctp.feed(short):
            assert message.payload
        balanced(sctp)


def test_memory_is_bounded() -> None:
    """`limit_bytes` is what the process really holds, and an association is small."""
    sctp = SctpAssociations(limit_associations=1000, limit_bytes=2 * 2**20)
    gc.collect()
    tracemalloc.start()
    try:
        for n in range(12_000):
            chunk_bytes = data(n * 2, bytes(1000 if n < 4000 else 4), BEGIN)
            sctp.feed(packet(chunk_bytes, host=bytes((10, 0, n >> 8, n & 255))))
        for n in range(8000):
            sctp.feed(packet(data(n, bytes(4), 0 if n else BEGIN)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert balanced(sctp)["evicted"] > 0
    assert sctp.seen == 20_000
    assert peak < sctp.fragments.limit_bytes + sctp.limit_associations * 1024


def alternating(count: int) -> Iterator[bytes]:
    """Each second one, then the gaps from the middle outwards, and never the first."""
    for tsn in (*range(0, count, 2), *range(count // 2 | 1, count, 2), *range(count // 2 - 1 | 1, 0, -2)):
        yield data(tsn, b"12345678", 0)


def shuffled(count: int) -> Iterator[bytes]:
    tsns = list(range(count))
    random.Random(3).shuffle(tsns)
    for tsn in tsns:
        yield data(tsn, b"12345678", 0)


@pytest.mark.parametrize("attack", [alternating, shuffled])
def test_effort_grows_with_the_input_only(attack: Callable[[int], Iterator[bytes]]) -> None:
    def seconds(count: int) -> float:
        best = 1e9
        packets = [packet(part) for part in attack(count)]
        for _ in range(5):
            sctp = SctpAssociations(limit_bytes=2**30)
            start = process_time()
            for each in packets:
                sctp.feed(each)
            best = min(best, process_time() - start)
        return best

    # Quadratic would be 16: a noisy machine does not get there, and a linear one not far from 4.
    assert seconds(4000) / seconds(1000) < 9


def test_real_capture(shared: Path) -> None:
    name = "heplify__sip_sctp.pcap"
    truth = [json.loads(line) for line in (shared / "captures" / "truth" / f"{name}.jsonl").read_text().splitlines()]
    theirs = [
        (message["frame"], message["src"], message["dst"], message["sport"], message["dport"], message["sha256"])
        for message in truth
        if message["kind"] == "message"
    ]
    assert len(theirs) == 4
    sctp = SctpAssociations()
    ours = []
    with CaptureFile(shared / "captures" / "files" / name) as source:
        for batch in source.batches():
            for n in range(len(batch)):
                frame = batch.frame(n)  # Linux cooked, IPv4, SCTP
                sctp_at = 16 + (frame[16] & 15) * 4
                end = 16 + int.from_bytes(frame[18:20], "big")
                ports = struct.unpack_from("!HH", frame, sctp_at)
                time_ns = batch.index[n * FRAME_ROW + FRAME_TIME_NS]
                number = batch.first_number + n
                for message in sctp.feed(
                    Datagram(frame, sctp_at + 12, end, 28, 4, *ports, time_ns, number, 132, "sctp")
                ):
                    ours.append(
                        (
                            message.frame, message.source_text, message.destination_text, message.source_port,
                            message.destination_port, hashlib.sha256(message.payload).hexdigest(),
                        )
                    )  # fmt: skip
    assert ours == theirs
    assert balanced(sctp) == {"delivered": 4, "joined": 1}
