"""HEP in captured connections, in plain TCP and in TLS whose keys are known: whole packets come out, also beside SIP."""

from __future__ import annotations

import ssl
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_samples import request, response, run, segment, syn
from tls_samples import Ends, segments, streams_with

from capture_agent.config import Capture
from capture_agent.pipeline import Pipeline
from capture_agent.records.datagram import Datagram
from capture_agent.streams.layers import layers_with_hep
from capture_agent.streams.streams import Streams
from capture_agent.streams.tls.key_store import KeyStore
from hep import Packet, encode

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
SIP = [request(1), response(1), request(2, b"v=0\r\n" * 400)]
PACKETS = [
    encode(Packet(source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2", protocol=17, capture_id=n, payload=payload))
    for n, payload in enumerate(SIP)
]


def encrypted(said: list[bytes], version: ssl.TLSVersion) -> Ends:
    ends = Ends(version)
    for text in said:
        ends.say(True, text)
    return ends


def payloads(messages: list[Datagram]) -> list[bytes]:
    return [message.payload for message in messages]


@pytest.mark.parametrize("version", [V12, V13])
@pytest.mark.parametrize("size", [7, 100, 1400, 60_000])
@pytest.mark.parametrize(
    ("said", "found"),
    [
        pytest.param(PACKETS, PACKETS, id="a packet in a record"),
        pytest.param([b"".join(PACKETS)], PACKETS, id="packets in one record"),
        pytest.param([b"".join(PACKETS)[:3], b"".join(PACKETS)[3:]], PACKETS, id="a packet in two records"),
        pytest.param(SIP, SIP, id="sip"),
    ],
)
def test_hep_in_tls(said: list[bytes], found: list[bytes], size: int, version: ssl.TLSVersion) -> None:
    ends = encrypted(said, version)
    streams = streams_with(ends.keys, make_layers=layers_with_hep)
    messages, streams = run(segments(ends.written, size), streams)
    assert payloads(messages) == found
    assert {message.transport for message in messages} == {"tls"}
    assert (streams.counts.not_sip_bytes, streams.buffered) == (0, 0)


@pytest.mark.parametrize(("said", "found"), [(PACKETS, PACKETS), (SIP, SIP)], ids=["hep", "sip"])
def test_what_is_not_encrypted_beside_it(said: list[bytes], found: list[bytes]) -> None:
    streams = streams_with(make_layers=layers_with_hep)
    messages, _ = run([syn(1000), segment(b"".join(said), 1001)], streams)
    assert payloads(messages) == found


@pytest.mark.parametrize("late", [False, True], ids=["a key log", "keys within the capture"])
def test_a_pipeline_with_both(late: bool) -> None:
    ends = encrypted(PACKETS, V13)
    keys = b"\n".join(ends.keys)
    store = None
    if not late:
        store = KeyStore(1 << 20)
        store.add_all(keys)
    pipeline = Pipeline(Capture(hep_in=True), keys=store)
    if late:
        pipeline.take_secrets(keys)
    streams: Streams = pipeline.streams
    messages = pipeline._accepted(streams.messages(segments(ends.written)))
    assert [message.raw for message in messages] == SIP
    assert [one.origin.capture_id for one in messages if one.origin is not None] == [0, 1, 2]


@pytest.mark.parametrize("at", [1, 5, 50, 90])
def test_a_capture_that_begins_within_a_packet(at: int) -> None:
    stream, size = b"".join(PACKETS * 4)[at:], 1400
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    segments = [segment(piece, 1001 + size * n, frame=n) for n, piece in enumerate(pieces)]
    found = payloads(run(segments, Streams(make_layers=layers_with_hep))[0])
    assert found == (PACKETS * 4)[1:]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 400), max_size=8), st.sets(st.integers(0, 20), max_size=3))
def test_a_gap_loses_no_more_than_its_packets(cuts: list[int], lost: set[int]) -> None:
    """Whole packets that came after a gap, or before it, come out."""
    stream, places, at = b"".join(PACKETS * 3), [0], 0
    for cut in cuts:
        at += cut
        if at < len(stream):
            places.append(at)
    places.append(len(stream))
    pieces = [(start, stream[start:end]) for start, end in pairwise(places)]
    kept = [(start, data) for n, (start, data) in enumerate(pieces) if n not in lost]
    gaps = [(start, start + len(data)) for n, (start, data) in enumerate(pieces) if n in lost]
    given_segments = [segment(data, 1001 + start, frame=n) for n, (start, data) in enumerate(kept, 1)]
    messages, _ = run([syn(1000), *given_segments], Streams(make_layers=layers_with_hep))
    whole, start = [], 0
    for packet in PACKETS * 3:
        if not any(begin < start + len(packet) and end > start for begin, end in gaps):
            whole.append(packet)
        start += len(packet)
    found = payloads(messages)
    if 0 not in lost:  # else nothing may say at first that it is HEP
        assert found == whole
