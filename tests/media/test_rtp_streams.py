"""Packets of RTP through the pipeline: which are measured, which streams they make, and when these are reported."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_samples import SIP_A, SIP_B, START_NS, A, B, answer, bye, frames, invite, packet, sdp
from rtp_samples import Sent, Speech, as_frames, call_with, dtmf, rtp

from capture_agent.config import Capture
from capture_agent.config.media_options import MediaSection
from capture_agent.pipeline import Pipeline
from capture_agent.records.kinds import RtpReport
from capture_agent.records.traced import TracedMessage

ALL = MediaSection(rtp="all")
OUTSIDE = ("203.0.113.7", 61_000)
A6, B6 = ("2001:db8::1", 4000), ("2001:db8::2", 5000)
Said = dict[str, Any]


def reports(traced: Iterable[TracedMessage]) -> list[Said]:
    return [json.loads(one.message.raw) for one in traced if isinstance(one.message, RtpReport)]


def counted(made: Pipeline) -> dict[str, int]:
    assert all(one.difference == 0 for one in made.ledgers())
    [ledger] = [one for one in made.ledgers() if one.name == "rtp"]
    return {str(name): count for name, count in {**ledger.outcomes, **ledger.rejected}.items() if count}


def run(made: Pipeline, packets: list[bytes], seconds: list[float], size: int = 1000) -> list[Said]:
    """The reports of these packets, in their order; the capture goes on."""
    return [said for batch in as_frames(packets, seconds, size) for said in reports(made.process(batch))]


def measured(sent: list[Sent], options: MediaSection = ALL, ends: tuple[Any, Any] = (A, B)) -> list[Said]:
    made = Pipeline(media=options)
    return run(made, *call_with([(*ends, sent)])) + reports(made.close())


HEADERS = {
    "as it is": (rtp(1, 1, payload=bytes(160)), 160),
    "two sources": (b"\x82" + rtp(1, 1)[1:12] + bytes(8) + bytes(160), 160),
    "an extension": (b"\x90" + rtp(1, 1)[1:12] + b"\xbe\xde\0\x02" + bytes(8) + bytes(160), 160),
    "padding": (b"\xa0" + rtp(1, 1)[1:12] + bytes(160) + b"\0\0\0\x04", 160),
    "all of it": (b"\xb1" + rtp(1, 1)[1:12] + bytes(4) + b"\0\0\0\x01" + bytes(4) + bytes(160) + b"\0\x02", 160),
    "nothing else": (rtp(1, 1, payload=b""), 0),
}
BROKEN = {
    "sources": b"\x8f" + rtp(1, 1)[1:12] + bytes(4),
    "an extension": b"\x90" + rtp(1, 1)[1:12] + b"\0\0\xff\xff" + bytes(4),
    "half an extension": b"\x90" + rtp(1, 1)[1:12] + b"\0",
    "padding": b"\xa0" + rtp(1, 1)[1:12] + b"\xff",
}


@pytest.mark.parametrize("name", HEADERS)
def test_bytes_of_payload(name: str) -> None:
    data, size = HEADERS[name]
    [said] = measured([(1.0, data), (1.02, rtp(2, 161, payload=b""))])
    assert said["TL_BYTE"] == size


@pytest.mark.parametrize("name", BROKEN)
def test_headers_that_do_not_fit(name: str) -> None:
    made = Pipeline(media=ALL)
    assert run(made, *call_with([(A, B, [(1.0, BROKEN[name])])])) == []
    assert counted(made) == {"header": 1}


FOUND: dict[str, tuple[bytes, tuple[str, int], tuple[str, int], dict[str, int]]] = {
    "to an announced place": (sdp(*A), B, A, {"measured": 2}),
    "from an announced place": (sdp(*A), A, OUTSIDE, {"measured": 2}),
    "to the next port": (sdp(*A), B, (A[0], A[1] + 1), {"unannounced": 2}),
    "between others": (sdp(*A), OUTSIDE, B, {"unannounced": 2}),
    "to a fax": (sdp(*A).replace(b"RTP/AVP", b"udptl"), B, A, {"unannounced": 2}),
    "SRTP": (sdp(*A, profile="UDP/TLS/RTP/SAVPF"), B, A, {"measured": 2}),
    "to a candidate": (sdp(*A, "a=candidate:1 1 UDP 1 192.0.2.77 7000 typ host"), B, ("192.0.2.77", 7000), {"measured": 2}),
    "IPv6": (sdp(*A6), B6, A6, {"measured": 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found(name: str) -> None:
    offer, source, destination, wanted = FOUND[name]
    made = Pipeline(media=ALL)
    given = [packet(SIP_A, SIP_B, invite(offer)), *(packet(source, destination, rtp(n, 160 * n)) for n in (1, 2))]
    made.process(frames(given))
    found = reports(made.close())
    assert counted(made) == wanted
    assert [one["SECURE"] for one in found] == ([name == "SRTP"] if "measured" in wanted else [])


def test_the_order_of_packets_counts() -> None:
    """Within one batch: RTP before its description is of nobody, RTP after it is of the call."""
    made = Pipeline(media=ALL)
    early, late = packet(B, A, rtp(1, 0)), packet(B, A, rtp(2, 160))
    made.process(frames([early, packet(SIP_A, SIP_B, invite(sdp(*A))), late]))
    assert counted(made) == {"unannounced": 1, "measured": 1}


def test_a_report_is_a_message_of_the_call() -> None:
    made = Pipeline(media=ALL)
    packets, seconds = call_with([(A, B, Speech(count=50).sent())])
    traced = [one for batch in as_frames(packets, seconds) for one in made.process(batch)] + made.close()
    [one] = [one for one in traced if isinstance(one.message, RtpReport)]
    assert one.message.origin is not None
    assert (one.message.origin.correlation_id, one.sinks) == (b"call-1", traced[0].sinks)
    datagram = one.message.datagram
    assert ((datagram.source_text, datagram.source_port), (datagram.destination_text, datagram.destination_port)) == (
        A,
        B,
    )
    assert datagram.time_ns == START_NS + 1_980_000_000


def test_tracing_is_switched_off() -> None:
    made = Pipeline(media=ALL)
    run(made, *call_with([(A, B, Speech(count=50).sent())]))
    made.policy.on = False
    assert reports(made.close()) == []
    assert counted(made) == {"measured": 50}


def test_a_single_packet_is_no_stream() -> None:
    assert measured([(1.0, rtp(1, 1))]) == []


def test_a_call_that_is_over_has_its_report_soon() -> None:
    made = Pipeline(media=ALL)
    assert run(made, *call_with([(A, B, Speech(count=50).sent())])) == []
    other = packet(SIP_A, SIP_B, bye("other"))
    assert run(made, [other], [6.0]) == []
    assert [one["TOTAL_PK"] for one in run(made, [other], [8.0])] == [50]
    assert reports(made.close()) == []


def test_a_silent_stream_is_over_and_may_come_back() -> None:
    made = Pipeline(media=ALL)
    again = Speech(count=30, sequence=5000, begin=91.0).sent()
    time = [(2.0 + 8 * n, packet(SIP_A, SIP_B, invite(sdp(*A)))) for n in range(11)]
    packets, seconds = call_with([(A, B, Speech(count=50).sent())], end=90.0)
    given = sorted(
        [*zip(seconds[:-1], packets[:-1], strict=True), *time, *((at, packet(A, B, data)) for at, data in again)]
    )
    found = run(made, [data for _, data in given], [at for at, _ in given], size=10)
    assert [(one["TOTAL_PK"], one["PACKET_LOSS"]) for one in found + reports(made.close())] == [(50, 0), (30, 0)]


def test_reports_in_between_have_the_figures_of_their_interval() -> None:
    speech = Speech(count=1000, lost=frozenset({300, 301, 700}), twice=frozenset({10, 990}), jitter_ms=5)
    *parts, whole = measured(speech.sent(), MediaSection(rtp="all", report_seconds=5))
    [alone] = measured(speech.sent())
    assert [one["TYPE"] for one in parts] == ["PERIODIC"] * 3
    assert whole == alone
    assert [(one["EXPECTED_PK"], one["PACKET_LOSS"], one["DUPLICATES"]) for one in parts] == [
        (250, 0, 1), (250, 2, 0), (250, 1, 0)
    ]  # fmt: skip
    assert all(one["MAX_JITTER"] <= whole["MAX_JITTER"] for one in parts)


def test_another_source_in_the_same_place_is_a_change() -> None:
    """The old one is over 20 s after its last packet, or with its call."""
    sent = Speech(count=100).sent()
    sent += Speech(count=100, ssrc=2, begin=3.1).sent() + Speech(count=2500, ssrc=3, begin=5.2).sent()
    assert [(one["SSRC"][-1], one["TOTAL_PK"], one["SSRC_CHG"]) for one in measured(sent)] == [
        ("1", 100, 0), ("2", 100, 1), ("3", 2500, 2)
    ]  # fmt: skip


def test_two_sources_at_the_same_time_are_two_streams() -> None:
    """Audio and video in one pair of places (BUNDLE): nothing has changed."""
    sent = sorted(Speech(count=1500).sent() + Speech(count=1500, ssrc=2, kind=8, jitter_ms=9).sent())
    found = measured(sent)
    assert sorted((one["SSRC"], one["TOTAL_PK"], one["SSRC_CHG"], one["CODEC_NAME"]) for one in found) == [
        ("0x00000002", 1500, 0, "PCMA"), ("0x11111111", 1500, 0, "PCMU")
    ]  # fmt: skip


def test_sources_without_end_are_bounded() -> None:
    """Of one pair of places, of one call, and in all; a stream of one packet has no report."""
    made = Pipeline(media=MediaSection(rtp="all", streams=100))
    call = packet(SIP_A, SIP_B, invite(sdp(*B)))
    given = [call, *(packet(A, B, rtp(1, 1, ssrc=n)) for n in range(300))]
    assert reports(made.process(frames(given, [n / 1000 for n in range(len(given))]))) == []
    rtp_table = made.media and made.media.rtp and made.media.rtp.streams
    assert rtp_table is not None and rtp_table.held == 8
    assert counted(made) == {"measured": 8, "crowded": 292}
    given = [packet((A[0], 10_000 + n), B, rtp(1, 1)) for n in range(300)]
    made.process(frames(given, [1 + n / 1000 for n in range(len(given))]))
    assert rtp_table.held == 64
    for n in range(10):
        here = (B[0], 5100 + n)
        given = [packet(SIP_A, SIP_B, invite(sdp(*here), f"other-{n}"))]
        given += [packet((A[0], 10_000 + m), here, rtp(1, 1)) for m in range(30)]
        made.process(frames(given, [2 + n + m / 1000 for m in range(len(given))]))
    assert (rtp_table.held, rtp_table.evicted) == (100, 264)
    assert {one.name: one.evicted for one in made.tables()}["rtp_streams"] == 264
    assert counted(made) == {"measured": 364, "crowded": 536}


def test_a_crowd_does_not_end_the_streams_that_go_on() -> None:
    """More sources than a pair of places may have: each would end another one with every packet."""
    given = [one for n in range(10) for one in Speech(count=1500, ssrc=n + 1, begin=1.0 + n / 1000).sent()]
    given += Speech(count=200, ssrc=11, begin=61.0).sent()
    found = measured(sorted(given))
    assert sorted((int(one["SSRC"], 16), one["TOTAL_PK"]) for one in found) == [
        *((n + 1, 1500) for n in range(8)), (11, 200)
    ]  # fmt: skip


def test_one_port_for_all_media() -> None:
    """BUNDLE: each media line maps its own types."""
    audio = sdp(*B, "a=rtpmap:111 opus/48000/2")
    answered = audio + b"m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    made = Pipeline(media=ALL)
    sent = sorted(Speech(kind=111, rate=48_000).sent() + Speech(kind=96, rate=90_000, ssrc=2).sent())
    found = run(made, *call_with([(A, B, sent)], answered=answered)) + reports(made.close())
    assert sorted(one["CODEC_NAME"] for one in found) == ["VP8", "opus"]


CHANGED: dict[str, tuple[list[str], list[str], int, str]] = {
    "another codec": (["a=rtpmap:96 iLBC/8000"], ["a=rtpmap:97 opus/48000/2"], 97, "opus"),
    "one that is not offered any more": (["a=rtpmap:96 iLBC/8000"], [], 96, "iLBC"),
    "another meaning": (["a=rtpmap:96 iLBC/8000"], ["a=rtpmap:96 opus/48000/2"], 96, "opus"),
    "none": ([], [], 127, ""),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_stream_whose_place_is_described_again(name: str) -> None:
    before, after, kind, codec = CHANGED[name]
    made = Pipeline(media=ALL)
    made.process(frames([packet(SIP_A, SIP_B, invite(sdp(*B, *before))), packet(A, B, rtp(1, 0, kind=96))]))
    again = [packet(SIP_A, SIP_B, invite(sdp(*B, *after)))]
    made.process(frames([*again, *(packet(A, B, rtp(n, 160 * n, kind=kind)) for n in range(2, 9))], [1.0] * 8))
    assert [one["CODEC_NAME"] for one in reports(made.close())] == [codec]


def test_key_presses_alone_are_no_speech() -> None:
    made = Pipeline(media=ALL)
    answered = sdp(*B, "a=rtpmap:101 telephone-event/8000")
    [said] = run(made, *call_with([(A, B, dtmf(1.0, 1, 160))], answered=answered)) + reports(made.close())
    assert (said["CODEC_NAME"], said["CODEC_PT"], said["DTMF"], said.get("MOS")) == ("telephone-event", 101, 1, None)


def test_a_branch_that_fails_does_not_end_the_call_of_another_one() -> None:
    """Its answer needs no description: the one of 183 was acknowledged (RFC 3262)."""
    made = Pipeline(media=ALL)
    call = [invite(sdp(*A)), answer(183, sdp(*B)), answer(486), answer(200)]
    made.process(frames([packet(SIP_A, SIP_B, one) for one in call]))
    later = [(10.0 * n, packet(A, B, rtp(n, 160 * n))) for n in range(1, 12)]
    made.process(frames([one for _, one in later], [at for at, _ in later]))
    assert counted(made) == {"measured": 11}


SEQUENCES: dict[str, tuple[list[int], dict[str, int]]] = {
    "far ahead within no time": (
        [1, 2, 3, 20_000, 4, 5], {"TOTAL_PK": 5, "EXPECTED_PK": 5, "PACKET_LOSS": 0, "OUT_ORDER": 0}
    ),
    "they begin anew": (
        [1, 2, 3, 20_000, 20_001, 20_002], {"TOTAL_PK": 6, "EXPECTED_PK": 6, "PACKET_LOSS": 0, "OUT_ORDER": 0}
    ),
    "they begin anew from zero": (
        [40_000, 40_001, 0, 1, 3], {"TOTAL_PK": 5, "EXPECTED_PK": 6, "PACKET_LOSS": 1, "OUT_ORDER": 0}
    ),
    "before the first one": ([10, 9, 8, 11], {"TOTAL_PK": 4, "EXPECTED_PK": 4, "OUT_ORDER": 2}),
    "before the first one, over the end": ([0, 65_535, 1], {"TOTAL_PK": 3, "EXPECTED_PK": 3, "OUT_ORDER": 1}),
    "twice, after others": ([1, 2, 3, 1, 4], {"TOTAL_PK": 4, "DUPLICATES": 1, "OUT_ORDER": 0}),
    "too late to tell": ([1, 90, 2, 2], {"TOTAL_PK": 4, "DUPLICATES": 0, "OUT_ORDER": 2, "EXPECTED_PK": 90}),
}  # fmt: skip


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence_numbers(name: str) -> None:
    numbers, wanted = SEQUENCES[name]
    [said] = measured([(1 + 0.02 * n, rtp(number, 160 * n)) for n, number in enumerate(numbers)])
    assert {key: said[key] for key in wanted} == wanted


@given(st.lists(st.integers(-30, 30), min_size=2, max_size=120), st.integers(0, 65_535))
def test_any_order_within_the_window(moves: list[int], begin: int) -> None:
    """Compared with sets of numbers."""
    numbers, at = [begin + 70_000], begin + 70_000
    for move in moves:
        at = max(at + move, max(numbers) - 60)
        numbers.append(at)
    found = measured([(1 + 0.02 * n, rtp(number, 160 * number)) for n, number in enumerate(numbers)])
    if len(set(numbers)) == 1:
        return  # a single packet
    [said] = found
    late = Counter(number < max(numbers[:n]) and number not in numbers[:n] for n, number in enumerate(numbers) if n)
    assert said["TOTAL_PK"] == len(set(numbers))
    assert said["DUPLICATES"] == len(numbers) - len(set(numbers))
    assert said["OUT_ORDER"] == late[True]
    assert said["EXPECTED_PK"] == max(numbers) - min(numbers) + 1


def test_timestamps_that_begin_anew_are_no_jitter() -> None:
    sent = Speech(count=100).sent() + Speech(count=100, sequence=1100, timestamp=3_000_000_000, begin=3.0).sent()
    [said] = measured(sent)
    assert (said["TOTAL_PK"], said["PACKET_LOSS"]) == (200, 0)
    assert said["MAX_JITTER"] < 0.01


def test_events_do_not_disturb_jitter() -> None:
    """RFC 4733: the timestamp stands still while a key is pressed, and each key counts once."""
    event = dtmf(3.0, 1100, 66_000, packets=20) + dtmf(3.4, 1120, 69_200)
    sent = Speech(count=100).sent() + event + Speech(count=100, sequence=1128, timestamp=70_480, begin=3.56).sent()
    lines = sdp(*B, "a=rtpmap:101 telephone-event/8000")
    made = Pipeline(media=ALL)
    [said] = run(made, *call_with([(A, B, sent)], answered=lines)) + reports(made.close())
    assert (said["DTMF"], said["CODEC_NAME"], said["PACKET_LOSS"]) == (2, "PCMU", 0)
    assert said["MAX_JITTER"] < 0.01


def test_the_codec_is_that_of_the_receiver() -> None:
    """RFC 3264 5.1: a packet has the payload type that its receiver has mapped."""
    made = Pipeline(media=ALL)
    offer, answered = sdp(*A, "a=rtpmap:96 opus/48000/2"), sdp(*B, "a=rtpmap:96 iLBC/8000", "a=rtpmap:97 opus/48000/2")
    streams = [(A, B, Speech(count=20, kind=96).sent()), (B, A, Speech(count=20, kind=96, rate=48_000).sent())]
    found = run(made, *call_with(streams, offer, answered)) + reports(made.close())
    assert sorted((one["CODEC_NAME"], one["CLOCK"]) for one in found) == [("iLBC", 8000), ("opus", 48_000)]


@pytest.mark.parametrize(("ends", "at", "number"), [((A, B), 1, 0xB8), ((A6, B6), 0, 0x6B)])
def test_dscp(ends: tuple[tuple[str, int], tuple[str, int]], at: int, number: int) -> None:
    made = Pipeline(media=ALL)
    marked = [bytearray(packet(*ends, rtp(n, 160 * n))) for n in (1, 2)]
    for one in marked:
        one[at] = number
        one[1] = one[1] if at else 0x80
    made.process(frames([packet(SIP_A, SIP_B, invite(sdp(*ends[1]))), *map(bytes, marked)]))
    assert [one["DSCP"] for one in reports(made.close())] == [46]


def test_what_the_capture_has_cut() -> None:
    """The header is enough; the bytes of payload are those of the wire."""
    made = Pipeline(media=ALL)
    made.process(frames([packet(SIP_A, SIP_B, invite(sdp(*B)))]))
    for number, kept in enumerate((12, 12, 11)):
        one = frames([packet(A, B, rtp(number, 160 * number, payload=bytes(160)))], [1 + number / 50])
        one.index[1] -= 172 - kept
        made.process(one)
    assert [(one["TOTAL_PK"], one["TL_BYTE"]) for one in reports(made.close())] == [(2, 320)]
    assert counted(made) == {"measured": 2, "cut": 1}


def test_copies_are_no_duplicates() -> None:
    made = Pipeline(Capture(drop_copies=True), media=ALL)
    sent = [packet(A, B, rtp(n, 160 * n)) for n in (1, 2, 3) for _ in range(2)]
    made.process(frames([packet(SIP_A, SIP_B, invite(sdp(*B))), *sent], [n / 1000 for n in range(7)]))
    assert [(one["TOTAL_PK"], one["DUPLICATES"]) for one in reports(made.close())] == [(3, 0)]
    assert counted(made) == {"measured": 3, "duplicate": 3}


def test_a_sample_is_of_calls() -> None:
    """Both directions of a call or none, and some of a hundred calls."""
    made = Pipeline(media=MediaSection(rtp="sample", rtp_sample=4))
    for n in range(100):
        here, there = (A[0], 10_000 + 2 * n), (B[0], 20_000 + 2 * n)
        given = [packet(SIP_A, SIP_B, invite(sdp(*here), f"{n}"))]
        given += [packet(SIP_B, SIP_A, answer(200, sdp(*there), f"{n}"))]
        given += [packet(*ends, rtp(m, 160 * m)) for m in range(2) for ends in ((here, there), (there, here))]
        made.process(frames(given, [(n + m / 10) / 10 for m in range(len(given))]))
    found = [one.message.datagram for one in made.close()]
    ports = Counter(min(one.source_port, one.destination_port) for one in found)
    assert set(ports.values()) == {2}
    assert 5 <= len(ports) <= 50
    assert counted(made) == {"measured": 4 * len(ports), "not_sampled": 400 - 4 * len(ports)}


def test_another_round_begins_anew() -> None:
    made = Pipeline(media=ALL)
    run(made, *call_with([(A, B, Speech(count=50).sent())]))
    assert [one["TOTAL_PK"] for one in reports(made.restart())] == [50]
    made.process(frames([packet(A, B, rtp(1, 1))] * 2))
    assert reports(made.close()) == []
    assert counted(made) == {"measured": 50, "unannounced": 2}


def test_rtcp_goes_its_own_way() -> None:
    """RFC 5761: 64 to 95 with the marker are no payload types. Without `rtcp` it stays what it was."""
    made = Pipeline(media=ALL)
    made.process(frames([packet(SIP_A, SIP_B, invite(sdp(*B))), packet(A, B, rtp(1, 1, kind=72, marker=True))]))
    assert counted(made) == {}
    assert {one.name: one for one in made.ledgers()}["messages"].rejected["rtcp"] == 1
