"""Segments in, messages out: tables and properties."""

from __future__ import annotations

import random
import tracemalloc
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_samples import (
    ACK,
    FIN,
    MILLISECOND,
    RST,
    SECOND,
    START,
    SYN,
    A,
    B,
    balanced,
    numbered,
    parts,
    payloads,
    request,
    response,
    run,
    segment,
    syn,
)  # fmt: skip

from capture_agent.records.datagram import Datagram
from capture_agent.streams.limits import MAX_BYTES, MAX_HELD, PIECE_COST, SegmentReject
from capture_agent.streams.streams import Streams

ONE, TWO, THREE = request(1, b"v=0\r\n"), response(2, b"x" * 48 + b"\r\n"), request(3, method=b"NEWMETHOD")
ALL = ONE + TWO + THREE
N = len(ONE)


def at(offset: int, payload: bytes, **more: object) -> Datagram:
    return segment(payload, 1001 + offset, **more)  # type: ignore[arg-type]


JOINED = 7_000_000
TABLE = [
    pytest.param([syn(), at(0, ALL)], [ONE, TWO, THREE], id="three in one segment"),
    pytest.param([syn(), at(0, ALL[:9]), at(9, ALL[9:])], [ONE, TWO, THREE], id="cut in the request line"),
    pytest.param([syn(), at(0, ONE), at(0, ONE), at(N, TWO)], [ONE, TWO], id="retransmitted"),
    pytest.param([syn(), at(N, TWO), at(0, ONE)], [ONE, TWO], id="reordered"),
    pytest.param([syn(), at(N, TWO), at(0, ALL)], [ONE, TWO, THREE], id="filled by a longer one"),
    pytest.param([syn(), at(0, ONE[:20]), at(10, ALL[10:])], [ONE, TWO, THREE], id="overlapping"),
    pytest.param([syn(), at(0, ONE[:20]), at(10, b"#" * 10 + ALL[20:])], [ONE, TWO, THREE], id="the first bytes stay"),
    pytest.param([syn(), at(N - 5, b"#" * 5), at(0, ONE)], [ONE[:-5] + b"#" * 5], id="also of what waits"),
    pytest.param([syn(), at(0, ONE), at(N - 1, b"\0"), at(N, TWO)], [ONE, TWO], id="TCP keep-alive with a byte"),
    pytest.param([syn(), at(0, ONE), at(N - 1, b""), at(N, TWO)], [ONE, TWO], id="TCP keep-alive without"),
    pytest.param([syn(), at(0, ONE), at(N, TWO[:1]), at(N, TWO)], [ONE, TWO], id="zero window probe"),
    pytest.param([syn(), at(0, b"\r\n\r\n" + ONE + b"\r\n\r\n"), at(N + 8, TWO)], [ONE, TWO], id="CRLF keep-alives"),
    pytest.param([at(0, ONE), at(N, TWO)], [ONE, TWO], id="joined at a boundary"),
    pytest.param([at(20, ALL[20:])], [TWO, THREE], id="joined in the middle"),
    pytest.param([at(20, ALL[20:80]), at(0, ALL[:20]), at(80, ALL[80:])], [ONE, TWO, THREE], id="joined, first is late"),
    pytest.param([at(N, TWO), at(0, ONE), at(N, TWO)], [TWO, ONE], id="joined, a complete message is late"),
    pytest.param([at(20, ONE[20:]), at(N, TWO), at(0, ONE[:20])], [TWO, ONE], id="joined, both"),
    pytest.param([syn(), at(N, TWO + THREE)], [TWO, THREE], id="the first segment is lost"),
    pytest.param([syn(), at(0, ONE + TWO[:70]), at(N + 80, ALL[N + 80 :])], [ONE, THREE], id="lost within a body"),
    pytest.param([syn(), at(0, ONE + TWO[:20]), at(N + 40, ALL[N + 40 :])], [ONE, THREE], id="lost within headers"),
    pytest.param([syn(), at(0, ONE), at(N, TWO, flags=FIN), at(N, TWO, flags=FIN)], [ONE, TWO], id="FIN, twice"),
    pytest.param([syn(), at(N, TWO, flags=FIN), at(0, ONE)], [ONE, TWO], id="FIN too early"),
    pytest.param([syn(), at(0, ONE), at(N, b"why", flags=RST), at(N, TWO)], [ONE, TWO], id="a new one after RST"),
    pytest.param([syn(), at(0, ONE), at(N, b"", flags=RST), at(N, b"more")], [ONE], id="nothing after RST"),
    pytest.param([syn(), at(0, ONE), syn(JOINED), segment(TWO, JOINED + 1)], [ONE, TWO], id="ports used again"),
    pytest.param([syn(), at(0, ONE), segment(TWO, 3_000_000_000)], [ONE, TWO], id="used again, SYN not seen"),
    pytest.param([syn(), at(0, ONE), segment(b"junk", 3_000_000_000), at(N, TWO)], [ONE, TWO], id="from nowhere"),
    pytest.param([syn(), syn(), at(0, ONE), syn(), at(N, TWO)], [ONE, TWO], id="SYN again"),
    pytest.param([segment(ONE, 1000, SYN), at(N, TWO)], [ONE, TWO], id="data with SYN"),
    pytest.param([at(0, ONE), syn(), at(N, TWO)], [ONE, TWO], id="SYN too late"),
    pytest.param([syn(), at(0, request(1, length=b"l: x\r\n") + b"??\r\n" + TWO)],
                 [request(1, length=b"l: x\r\n"), TWO], id="no number"),
    pytest.param([syn(), at(0, request(1, length=b"l: 2000000\r\n") + b"??\r\n" + TWO)],
                 [request(1, length=b"l: 2000000\r\n"), TWO], id="absurd length"),
    pytest.param([syn(), at(0, ONE + b"garbage\r\n" + TWO)], [ONE, TWO], id="garbage between"),
    pytest.param([syn(), at(0, request(1, length=b"") + TWO)], [request(1, length=b""), TWO], id="no length"),
    pytest.param([syn(), at(0, b"\x16\x03\x01" + bytes(500)), at(503, ONE)], [ONE], id="TLS first, then SIP"),
    pytest.param([syn(), at(0, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")], [], id="HTTP"),
]  # fmt: skip


@pytest.mark.parametrize(("segments", "want"), TABLE)
@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("shift", [0, 2**32 - 1100])
def test_table(segments: list[Datagram], want: list[bytes], twice: bool, shift: int) -> None:
    """Also with every segment captured twice, as on interface `any`, and where sequence numbers wrap."""
    if shift and any(one.sequence > 2_000_000 for one in segments):
        shift = 0
    given_ = [
        segment(one.payload, one.sequence + shift, one.flags, frame=n)
        for n, one in enumerate(segments, 1)
        for _ in range(2 if twice else 1)
    ]
    out, _ = run(given_)
    assert [message.payload for message in out] == want
    assert [message.time_ns for message in out] == sorted({message.time_ns for message in out})


def test_without_tcp_it_is_the_same_list() -> None:
    udp = [Datagram(b"x" * 20, 8, 20, 0, 4, 1, 2)]
    assert Streams().messages(udp) is udp


def test_udp_passes_in_its_place() -> None:
    udp = [Datagram(b"x" * 20, 8, 20, 0, 4, 1, 2, frame=n) for n in range(3)]
    out = Streams().messages([udp[0], syn(), udp[1], at(0, ONE), udp[2]])
    assert [out[0], out[1], out[3]] == udp
    assert out[2].payload == ONE


def test_a_message_in_one_segment_is_not_copied() -> None:
    carrier = at(0, ONE + TWO, frame=7)
    one, two = Streams().messages([syn(), carrier])
    assert one.data is two.data is carrier.data
    assert (one.source, one.destination, one.frame) == (A, B, 7)
    assert (one.time_ns, two.time_ns) == (carrier.time_ns, carrier.time_ns + 1000)


@pytest.mark.parametrize("addresses", [A + B, bytes(range(32))], ids=["IPv4", "IPv6"])
def test_a_message_over_segments_has_its_addresses(addresses: bytes) -> None:
    pieces = [segment(ONE[:9], 1001, addresses=addresses), segment(ONE[9:], 1010, frame=9, addresses=addresses)]
    [message] = Streams().messages([syn(addresses=addresses), *pieces])
    assert (message.payload, message.address_at, message.source + message.destination) == (ONE, 0, addresses)
    assert (message.time_ns, message.frame, message.transport) == (START + 9 * MILLISECOND, 9, "tcp")
    assert (message.source_port, message.destination_port) == (40000, 5060)


def test_time_is_that_of_the_completing_segment() -> None:
    out, _ = run([syn(), at(N, TWO, frame=2), at(0, ONE, frame=5), at(len(ONE + TWO), THREE, frame=6)])
    assert [(message.frame, message.time_ns - START) for message in out] == [
        (5, 5_000_000), (5, 5_001_000), (6, 6_000_000),
    ]  # fmt: skip


LATEST = 2**62 - 1  # as the decoder bounds times


@pytest.mark.parametrize("times", [(LATEST, -LATEST), (0, LATEST, -LATEST), (LATEST, LATEST, -LATEST)])
def test_times_as_far_apart_as_can_be(times: tuple[int, ...]) -> None:
    """Their difference and the step to the next message do not fit into 64 bits: the sanitizer sees that."""
    out, _ = run([syn(), *(at(n * N, ONE, frame=n + 1, time_ns=time) for n, time in enumerate(times))], batch=1)
    assert [message.time_ns for message in out] == [
        time + 1000 * (n > 0 and time == times[n - 1]) for n, time in enumerate(times)
    ]


def test_messages_after_a_gap_have_their_own_times() -> None:
    out, streams = run([syn(), at(N, TWO, frame=2), at(len(ONE + TWO), THREE, frame=5)])
    assert [(message.frame, message.time_ns - START) for message in out] == [(2, 2_000_000), (5, 5_000_000)]
    assert (streams.counts.gaps, streams.counts.lost_bytes) == (1, N)


def test_patience_ends_by_packet_time() -> None:
    streams = Streams()
    assert streams.messages([syn(), at(N, TWO)]) == []
    other = segment(b"", ports=(1, 2), time_ns=START + 9 * SECOND)
    assert streams.messages([other]) == []
    other = segment(b"", ports=(1, 2), time_ns=START + 11 * SECOND)
    [message] = streams.messages([other])
    assert (message.payload, message.time_ns, message.source_port) == (TWO, START + MILLISECOND, 40000)


LONG = [request(1, b"a" * 69_500), *(request(n) for n in range(2, 60))]


def of_long(start: int, end: int, cut: int = 0) -> Datagram:
    """These bytes of LONG; the snap length has cut off the last `cut` of them."""
    return at(start, b"".join(LONG)[start : end - cut], missing=cut)


# One packet far ahead, and two far ahead that adjoin each other. The stream comes up to them, and then there is a
# segment of which the snap length has left five bytes.
FAR = [of_long(70_000, 70_010), of_long(70_020, 70_030), of_long(70_030, 70_040)]
UP_TO = [syn(), of_long(0, 60_000), of_long(60_000, 69_990)]
WAITING = [of_long(69_994, 70_999, cut=1_000), of_long(69_990, 69_994)]


@pytest.mark.parametrize(
    ("far", "cut", "lost"),
    [
        pytest.param(FAR, [*WAITING, of_long(70_999, 71_100)], [(69_999, 70_020), (70_040, 70_999)], id="it waited"),
        pytest.param(FAR, [of_long(69_990, 70_995, cut=1_000)], [(69_995, 70_020), (70_040, 70_995)], id="in order"),
        pytest.param(FAR, [of_long(69_990, 70_015, cut=20), of_long(70_015, 70_020)], [(69_995, 70_015)], id="before"),
        pytest.param(FAR, [of_long(69_990, 70_025, cut=30)], [(69_995, 70_020)], id="within"),
        pytest.param(FAR[:1], WAITING, [(69_999, 70_999)], id="one alone"),
    ],
)
def test_a_cut_ends_where_other_segments_have_the_bytes(
    far: list[Datagram], cut: list[Datagram], lost: list[tuple[int, int]]
) -> None:
    """The stream passes nothing that waits: it never goes back, nor takes bytes from before a segment."""
    end = max(one.sequence - 1001 + one.end - one.start + one.missing for one in [*far, *cut])
    rest = [of_long(end, end + 20), of_long(end + 20, 75_000)]
    out, streams = run([*UP_TO[:1], *far, *UP_TO[1:], *cut, *rest])
    assert streams.counts.lost_bytes == sum(stop - start for start, stop in lost)
    assert streams.counts.rejected[SegmentReject.OUTSIDE] == 1
    edges = list(accumulate(map(len, LONG), initial=0))
    assert [message.payload for message in out if not message.missing] == [
        message
        for message, start, stop in zip(LONG, edges, edges[1:], strict=False)
        if stop <= 75_000 and not any(first < stop and start < last for first, last in lost)
    ]


def test_a_message_cut_by_the_snap_length_goes_out_as_far_as_it_was_captured() -> None:
    cut = at(0, TWO[:70], missing=len(TWO) - 70)
    out, streams = run([syn(), cut, at(len(TWO), ONE)])
    assert [(message.payload, message.missing) for message in out] == [(TWO[:70], len(TWO) - 70), (ONE, 0)]
    assert streams.counts.truncated == 1


def pass_time(streams: Streams, start_ns: int, seconds: int) -> None:
    """By packets of others, as many at a time as set the time."""
    for second in range(0, seconds + 1, 1_250):
        streams.messages([segment(b"", ports=(1, 2), time_ns=start_ns + second * SECOND)] * 9)


def test_idle_streams_are_forgotten() -> None:
    streams = Streams()
    streams.messages([syn(), at(0, ONE[:30])])
    assert (len(streams), streams.buffered) == (1, 30)
    pass_time(streams, START, 7_500)
    assert (len(streams), streams.buffered) == (0, 0)
    assert (streams.counts.expired, streams.counts.broken) == (1, 1)


def test_one_wrong_time_ends_no_stream_and_keeps_none() -> None:
    streams = Streams()
    out = streams.messages([syn(), at(0, ONE[:30])])
    out += streams.messages([syn(ports=(1, 2), time_ns=4_102_444_800 * SECOND)])
    out += streams.messages([at(30, ONE[30:], time_ns=4_102_444_800 * SECOND), at(N, TWO, time_ns=0)])
    assert [message.payload for message in out] == [ONE, TWO]
    assert (len(streams), streams.counts.expired) == (2, 0)
    pass_time(streams, START, 7_500)
    assert (len(streams), streams.counts.expired) == (0, 2)


def test_sip_after_foreign_bytes_is_put_in_order() -> None:
    """Out of order while SIP is still looked for: what comes late is not lost."""
    stream = b"ID: 1\r\nContent-Length: 45\r\n\r\n" + b"v=0\r\n" * 9 + TWO
    edges = [(0, 7), (7, 24), (28, 29), (29, 44), (24, 28), (117, 127), (44, 117), (127, len(stream))]
    streams = Streams()
    out = streams.messages([syn(), *(at(start, stream[start:end]) for start, end in edges)]) + streams.close()
    assert [message.payload for message in out] == [TWO]


ODD_TIMES = [
    pytest.param(0, id="1970"),
    pytest.param(4_102_444_800 * SECOND, id="2100"),
    pytest.param(4_294_967_295 * SECOND, id="2106"),
    pytest.param(START + 1_800 * SECOND, id="half an hour"),
]


@pytest.mark.parametrize("odd_ns", ODD_TIMES)
def test_one_wrong_time_skips_no_gap_and_dates_nothing_else(odd_ns: int) -> None:
    """The odd one is a segment of another connection, then one that waits after a gap, then the one that fills it."""
    three = ONE + TWO + ONE
    for odd in range(3):
        streams = Streams()
        times = [odd_ns if n == odd else START + n * MILLISECOND for n in range(3)]
        out = streams.messages([syn(), at(0, three[:30])])
        out += streams.messages([syn(ports=(1, 2), time_ns=times[0])])
        out += streams.messages([at(60, three[60:-9], time_ns=times[1])])
        out += streams.messages([at(30, three[30:60], time_ns=times[2])])
        out += streams.messages([at(len(three) - 9, three[-9:], time_ns=START + 9 * MILLISECOND)])
        assert [message.payload for message in out] == [ONE, TWO, ONE]
        assert out[-1].time_ns == START + 9 * MILLISECOND
        assert (streams.counts.gaps, streams.counts.expired) == (0, 0)


@pytest.mark.parametrize("odd_ns", ODD_TIMES)
def test_after_one_wrong_time_gaps_are_still_given_up(odd_ns: int) -> None:
    """Also where the odd one is what waits, and other connections wait after it."""
    streams = Streams()
    streams.messages([syn(ports=(9, 9)), segment(TWO, 1009, ports=(9, 9), time_ns=odd_ns)])
    streams.messages([syn(), at(9, TWO)])
    out: list[Datagram] = []
    for second in range(30):
        out += streams.messages([segment(b"", ports=(1, 2), time_ns=START + second * SECOND)])
    assert TWO in [message.payload for message in out if message.source_port == 40000]
    assert sum(message.source_port == 9 for message in streams.close()) == (0 if len(out) == 2 else 1)


def test_a_stream_that_always_waits_does_not_hold_up_another() -> None:
    streams, out = Streams(), []
    streams.messages([syn(), syn(ports=(1, 2)), at(1, b"x"), at(N, TWO, ports=(1, 2))])
    for n in range(1, 15):
        out += streams.messages([segment(b"x", 1000 + 2 * n, frame=1000 * n), at(2 * n + 1, b"x", frame=1000 * n)])
    assert [message.payload for message in out] == [TWO]


def spoofed(*forged: Datagram, quiet: int = 1) -> list[Datagram]:
    """A connection of three messages over five segments, and these in the middle of the second message."""
    end = len(ALL)
    real = [syn(), at(0, ONE), at(N, TWO[:30], frame=2), at(N + 30, TWO[30:], frame=2 + 1000 * quiet)]
    return [
        *real[:3],
        *forged,
        *real[3:],
        at(N + len(TWO), THREE, frame=3 + 1000 * quiet),
        at(end, ONE, frame=4 + 1000 * quiet),
    ]


HERE = N + 30
FORGED = request(66, method=b"FORGED")
IGNORED = [
    pytest.param([syn(JOINED)], id="SYN"),
    pytest.param([syn(2_000_000_000)], id="SYN far away"),
    pytest.param([segment(b"", JOINED, SYN | ACK)], id="SYN and ACK"),
    pytest.param([syn(1000 + HERE)], id="SYN in the window"),
    pytest.param([segment(FORGED, JOINED, SYN)], id="SYN with a message"),
    pytest.param([syn(JOINED + n) for n in range(9)], id="many SYN"),
    pytest.param([syn(JOINED), syn(JOINED)], id="one SYN captured twice"),
    pytest.param([segment(FORGED, JOINED, SYN)] * 2, id="SYN with a message captured twice"),
    pytest.param([at(HERE + 1, b"", flags=RST)], id="RST in the window"),
    pytest.param([at(HERE - 1, b"", flags=RST)], id="RST before it"),
    pytest.param([at(HERE + 99, b"why", flags=RST)], id="RST with a text"),
    pytest.param([segment(b"", JOINED, RST)], id="RST far away"),
    pytest.param([segment(b"", JOINED, FIN)], id="FIN far away"),
    pytest.param([at(HERE + 7, b"", flags=FIN)], id="FIN in the window"),
    pytest.param([at(HERE - 7, b"", flags=FIN)], id="FIN before it"),
    pytest.param([segment(FORGED, JOINED, FIN)], id="FIN with a message"),
    pytest.param([at(HERE + 70_000, FORGED)], id="data after the window"),
    pytest.param([at(HERE + 1_000_000, FORGED)], id="data long after the window"),
    pytest.param([segment(FORGED, JOINED)], id="data far away"),
    pytest.param([segment(FORGED, 3_000_000_000)], id="data before"),
    pytest.param([segment(FORGED, JOINED), segment(FORGED, 3_000_000_000)], id="data here and there"),
    pytest.param([syn(JOINED), segment(FORGED, 3_000_000_000), at(HERE + 70_000, b"?"), at(HERE + 3, b"", flags=RST)], id="all of it"),
]  # fmt: skip


@pytest.mark.parametrize("forged", IGNORED)
@pytest.mark.parametrize("begun", [True, False])
def test_segments_that_real_ends_ignore_change_nothing(forged: list[Datagram], begun: bool) -> None:
    """RFC 5961, RFC 9293 3.10.7.4."""
    segments = spoofed(*forged)
    out, streams = run(segments if begun else segments[1:])
    assert [message.payload for message in out] == [ONE, TWO, THREE, ONE]
    assert streams.counts.broken == 0


@pytest.mark.parametrize(
    "forged", [each for each in IGNORED if "data" in str(each.id) or "with a message" in str(each.id)]
)
def test_after_a_silence_the_real_connection_goes_on(forged: list[Datagram]) -> None:
    """Nobody can know, after ten seconds, which of two connections is real: both are."""
    out, _ = run(spoofed(*forged, quiet=15), batch=1)
    assert [message.payload for message in out if b"FORGED" not in message.payload] == [ONE, TWO, THREE, ONE]


USED_AGAIN = [
    pytest.param([syn(JOINED), segment(THREE, JOINED + 1)], id="SYN, then data"),
    pytest.param([syn(JOINED), segment(THREE[:20], JOINED + 1), segment(THREE[20:], JOINED + 21)], id="over segments"),
    pytest.param([syn(JOINED), syn(JOINED), segment(THREE, JOINED + 1, FIN)], id="SYN twice, FIN"),
    pytest.param([segment(THREE, JOINED, SYN)], id="data with SYN"),
    pytest.param([segment(THREE, JOINED)], id="SYN missed"),
    pytest.param([segment(THREE[:20], JOINED), segment(THREE[20:], JOINED + 20)], id="SYN missed, over segments"),
    pytest.param([segment(b"?", 3_000_000_000), segment(THREE[:20], JOINED), segment(b"?", 3_100_000_000), segment(THREE[20:], JOINED + 20)], id="strangers between"),
    pytest.param([segment(THREE, 1001 + N + len(TWO) + 90_000), segment(ONE, 1001 + N + len(TWO) + 90_000 + len(THREE))], id="long after a gap"),
]  # fmt: skip


@pytest.mark.parametrize("second", USED_AGAIN)
def test_ports_that_are_used_again(second: list[Datagram]) -> None:
    """The FIN of the first connection was not captured."""
    out, _ = run([syn(), at(0, ONE), at(N, TWO[:-2]), *second])
    assert [message.payload for message in out][:2] == [ONE, THREE]


def test_a_connection_that_a_rival_has_replaced_goes_on() -> None:
    """Two packets that belong together may have been forged, too."""
    forged = [syn(JOINED), segment(FORGED, JOINED + 1)]
    out, streams = run([syn(), at(0, ONE + TWO[:30]), *forged, at(N + 30, TWO[30:]), at(N + len(TWO), THREE)])
    assert [message.payload for message in out if b"FORGED" not in message.payload] == [ONE, TWO, THREE]
    assert streams.counts.broken == 0


def test_the_least_recently_used_stream_is_evicted() -> None:
    streams = Streams(max_streams=2)
    ports = [(1, 5060), (2, 5060), (3, 5060)]
    streams.messages([syn(ports=port) for port in ports[:2]])
    streams.messages([at(0, ONE, ports=ports[0]), syn(ports=ports[2])])
    assert (len(streams), streams.counts.evicted) == (2, 1)
    assert [m.payload for m in streams.messages([at(N, TWO, ports=ports[0])])] == [TWO]
    assert streams.counts.joined == 0


def test_bytes_are_bounded_in_all() -> None:
    streams = Streams(max_bytes=100_000)
    for port in range(1, 400):
        streams.messages([syn(ports=(port, 5060)), at(2000, b"x" * 1000, ports=(port, 5060))])
        assert streams.buffered <= 100_000
    assert streams.counts.evicted >= 299
    assert streams.close() == []


def test_a_stream_holds_a_bounded_amount() -> None:
    streams = Streams()
    streams.messages([syn()])
    for n in range(1200):
        streams.messages([at(10_000 + 2000 * n, b"x" * 1999)])
    assert streams.buffered <= 1_048_576 + MAX_HELD * PIECE_COST + 70_000
    assert streams.counts.gaps > 0
    streams = Streams()
    streams.messages([syn()])
    for n in range(5000):
        streams.messages([at(10_000 + 2 * n, b"x")])
    assert streams.counts.waiting <= 1024


def test_half_open_streams_stay_within_the_bound() -> None:
    streams = Streams(max_streams=1000)
    for n in range(5000):
        streams.messages([segment(b"", n, SYN, ports=(n % 60_000 + 1, 5060 + n // 60_000))])
    assert (len(streams), streams.counts.evicted) == (1000, 4000)


def test_a_hundred_thousand_half_open_streams() -> None:
    """With the default bounds: streams with only a SYN, then each with a message that never ends."""
    streams = Streams()
    tracemalloc.start()
    try:
        for n in range(0, 110_000, 100):
            ports = [(k % 60_000 + 1, 5060 + k // 60_000) for k in range(n, n + 100)]
            streams.messages([segment(b"", 0, SYN, time_ns=0, ports=each) for each in ports])
        assert (len(streams), streams.counts.evicted) == (100_000, 10_000)
        for n in range(10_000, 110_000, 100):
            ports = [(k % 60_000 + 1, 5060 + k // 60_000) for k in range(n, n + 100)]
            streams.messages(
                [segment(b"INVITE sip:a SIP/2.0\r\nX: " + b"x" * 975, 1, time_ns=0, ports=each) for each in ports]
            )
            assert streams.buffered <= MAX_BYTES
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 100,000 messages of 1000 bytes are more than MAX_BYTES: a third of their streams gave way.
    assert streams.counts.evicted == 10_000 + 100_000 - len(streams)
    assert 60_000 < len(streams) <= MAX_BYTES // 1000
    assert size < MAX_BYTES + 100_000 * 2048
    assert streams.close() == []
    assert streams.counts.broken == 100_000
    assert balanced(streams)


def test_bulk_data_that_is_not_sip_is_not_kept() -> None:
    streams = Streams()
    streams.messages([syn()])
    noise = random.Random(1).randbytes(1400)
    for n in range(200):
        assert streams.messages([at(1400 * n, b"\x17" + noise[1:])]) == []
        assert streams.buffered == 0
    assert streams.rejected()["not_sip"] == 200
    assert streams.counts.not_sip_bytes == 200 * 1400


MESSAGES = st.lists(
    st.builds(request, st.integers(0, 99), st.sampled_from([b"", b"v=0\r\n", b"SIP/2.0 200 OK\r\n", b"\0" * 40]))
    | st.builds(response, st.integers(0, 99), st.binary(max_size=30))
    | st.just(b"\r\n\r\n"),
    min_size=1,
    max_size=8,
)


@given(
    MESSAGES, st.lists(st.integers(1, 900), max_size=12), st.randoms(use_true_random=False), st.integers(0, 2**32 - 1)
)
def test_any_cut_any_order_any_duplicate(
    messages: list[bytes], cuts: list[int], chance: random.Random, isn: int
) -> None:
    pieces = parts(b"".join(messages), cuts, isn)
    pieces += [chance.choice(pieces) for _ in range(chance.randrange(4))]
    chance.shuffle(pieces)
    out, streams = run([syn(isn), *numbered(pieces)], batch=chance.randrange(1, 5))
    want = [message for message in messages if message.strip()]
    assert [message.payload for message in out] == want
    assert [message.time_ns for message in out] == sorted({message.time_ns for message in out})
    assert streams.counts.skipped_bytes == streams.counts.lost_bytes == streams.counts.broken == 0


@given(MESSAGES, st.integers(1, 60))
def test_any_segment_size_without_syn(messages: list[bytes], size: int) -> None:
    stream = b"".join(messages)
    want = [message for message in messages if message.strip()]
    assert payloads(numbered(parts(stream, range(size, len(stream), size)))) in (want, want[1:])


@given(st.integers(0, 400), st.integers(1, 60))
def test_joined_anywhere_it_has_all_but_the_torn_one(join: int, size: int) -> None:
    messages = [request(n, b"a=b\r\n") for n in range(8)]
    stream = b"".join(messages)
    edges = [0]
    for message in messages:
        edges.append(edges[-1] + len(message))
    want = [message for message, edge in zip(messages, edges, strict=False) if edge >= join]
    pieces = [(1001 + a, stream[a : a + size]) for a in range(join, len(stream), size)]
    out = payloads(numbered(pieces))
    # A start line that itself is cut at the join may take the next one with it.
    assert out == want or (size < 40 and out == want[1:])


@given(st.integers(0, 30), st.lists(st.integers(1, 1200), min_size=3, max_size=15))
def test_a_lost_segment_loses_only_what_it_touched(lost: int, cuts: list[int]) -> None:
    messages = [request(n, b"a=b\r\n" * 4) for n in range(12)]
    stream = b"".join(messages)
    pieces = parts(stream, cuts)
    gone = pieces.pop(lost % len(pieces))
    out, streams = run([syn(), *numbered(pieces)])
    low, high = gone[0] - 1001, gone[0] - 1001 + len(gone[1])
    edge, want = 0, []
    for message in messages:
        if edge + len(message) <= low or edge >= high:
            want.append(message)
        edge += len(message)
    assert [message.payload for message in out] == want
    if high < len(stream):
        assert streams.counts.lost_bytes == len(gone[1])


WORDS = st.sampled_from([ONE, TWO[:40], b"\r\n", b"\n", b"l: 5\r\n", b"INVITE ", b" SIP/2.0\r\n", b"SIP/2.0 200", b"\x81\x05",
                         b"\xc1\xfe", b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", b"\0", b"Content-Length: 99\r\n\r\n"])  # fmt: skip


@given(
    st.lists(
        st.tuples(
            st.lists(WORDS | st.binary(max_size=20), max_size=4).map(b"".join),
            st.integers(900, 1500) | st.integers(0, 2**32 - 1),
            st.sampled_from([ACK, ACK, ACK, SYN, FIN, RST, SYN | FIN]),
            st.integers(0, 3) | st.just(1000),
            st.integers(0, 60),
            st.sampled_from([(1, 2), (2, 1)]),
        ),
        max_size=40,
    )
)
def test_whatever_comes_is_survived_and_counted(
    given_: list[tuple[bytes, int, int, int, int, tuple[int, int]]],
) -> None:
    segments = [
        segment(payload, sequence, flags, n, START + second * SECOND, ports, missing=missing)
        for n, (payload, sequence, flags, missing, second, ports) in enumerate(given_, 1)
    ]
    out, _ = run(segments, Streams(max_streams=2, max_bytes=2000))
    for message in out:
        assert 0 <= message.start < message.end <= len(message.data)
        assert message.source + message.destination == A + B
