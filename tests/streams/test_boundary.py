"""SIP after other bytes: headers of load balancers, bodies with a wrong length, WebSockets joined in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest
from stream_samples import numbered, parts, payloads, request, response, run, syn

from capture_agent.pipeline import Pipeline
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.streams.boundary import find_boundary
from capture_agent.streams.streams import Streams

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"
ONE, TWO = request(1, b"v=0\r\n"), request(2)
V1 = b"PROXY TCP4 192.0.2.9 192.0.2.2 40000 5060\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\0\x02\x09\x0a\0\x02\x02\x9c\x40\x13\xc4"
FOREIGN = [
    pytest.param(V1, id="PROXY v1"),
    pytest.param(b"PROXY UNKNOWN\r\n", id="PROXY v1, unknown"),
    pytest.param(V2, id="PROXY v2"),
    pytest.param(V2[:-2] + b"0I", id="PROXY v2, a port of letters"),
    pytest.param(b"\r\n\r\n\0\0", id="keep-alives"),
    pytest.param(b"\0\0\0\x05", id="NULs, a number"),
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)), id="like TLS"),
    pytest.param(b"hello", id="letters"),
    pytest.param(b"hello world ", id="words"),
    pytest.param(b"GARBAGE\n", id="a line"),
]  # fmt: skip


def sent(stream: bytes, *cuts: int) -> list[bytes]:
    return [message.payload for message in run([syn(), *numbered(parts(stream, cuts))])[0]]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("first", [ONE, response(3)], ids=["request", "response"])
def test_bytes_before_the_first_message(foreign: bytes, first: bytes) -> None:
    assert sent(foreign + first + TWO) == [first, TWO]
    assert sent(foreign + first + TWO, len(foreign)) == [first, TWO]
    assert sent(foreign + first + TWO, len(foreign) + len(first) - 3) == [first, TWO]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("cut", range(1, 45))
def test_foreign_bytes_and_part_of_the_request_line(foreign: bytes, cut: int) -> None:
    assert sent(foreign + ONE + TWO, len(foreign) + cut) == [ONE, TWO]


@pytest.mark.parametrize("cut", range(1, 45))
def test_a_proxy_header_and_part_of_the_request_line(cut: int) -> None:
    assert sent(V1 + ONE + TWO, len(V1) + cut) == [ONE, TWO]


def message(length: bytes, body: bytes, method: bytes = b"MESSAGE") -> bytes:
    return b"%s sip:b SIP/2.0\r\nCSeq: 1 %s\r\nContent-Length: %s\r\n\r\n%s" % (method, method, length, body)


LENGTHS = [b"-1", b"+5", b"five", b"", b"3", b"0", b"4", b"5", b"6", b"7", b"9", b"11"]
BODIES = [
    pytest.param(b"hello", id="letters"),
    pytest.param(b"{a}", id="JSON"),
    pytest.param(b"Hello, World", id="words"),
    pytest.param(b"one\r\ntwo\r\nthree", id="lines"),
    pytest.param(b"HELLO", id="capitals"),
]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("method", [b"OPTIONS", b"NEWMETHOD", b"INVITE"])
def test_the_request_line_is_where_a_method_begins(length: bytes, body: bytes, method: bytes) -> None:
    """As long as the length does not reach beyond it."""
    if length.isdigit() and int(length) > len(body) + 2 * (method != b"NEWMETHOD"):
        length = b"0"
    following = message(b"0", b"", method)
    stream = message(length, body) + following + ONE
    for cuts in ([], [len(stream) - len(ONE) - len(following) + 30]):
        assert sent(stream, *cuts)[-2:] == [following, ONE]


FOLLOWING = [
    pytest.param(message(b"0", b"", b"OPTIONS"), id="request"),
    pytest.param(request(7, method=b"PRACK"), id="without CSeq"),
    pytest.param(message(b"3", b"abc", b"NEWMETHOD"), id="of a method of its own"),
    pytest.param(message(b"0", b"", b"MYINFO"), id="its method ends like another"),
    pytest.param(b"SIP/2.0 200 OK\r\nCSeq: 1 MESSAGE\r\nVia: SIP/2.0/TCP a\r\nl: 2\r\n\r\nab", id="response"),
]
TEXTS = [
    pytest.param(b"hello", id="letters"),
    pytest.param(b'{"a": "SIP/2.0 OPTIONS"}', id="like a line"),
    pytest.param(b"one\r\ntwo", id="lines"),
    pytest.param(b"see INVITE", id="a method"),
]


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize("body", TEXTS)
@pytest.mark.parametrize("between", [b"", b"\r\n\r\n"], ids=["glued", "keep-alives"])
@pytest.mark.parametrize("batch", [1, 9], ids=["batches", "one batch"])
def test_a_wrong_length_loses_no_other_message(following: bytes, body: bytes, between: bytes, batch: int) -> None:
    """However the stream is cut, each message comes with its last byte, and the first has as much as it says."""
    for length in range(len(body) + 1):
        first = message(b"%d" % length, body)
        want = [first[: len(first) - len(body) + length], following, ONE]
        for cut in range(len(first) - len(body) + 1, len(first) + len(between) + 45, 5):
            segments = [syn(), *numbered(parts(first + between + following + ONE, [cut]))]
            assert [each.payload for each in run(segments, batch=batch)[0]] == want, (length, cut)


@pytest.mark.parametrize("following", FOLLOWING)
@pytest.mark.parametrize("body", TEXTS)
@pytest.mark.parametrize("batch", [1, 9], ids=["batches", "one batch"])
def test_a_length_that_reaches_into_the_next_message(following: bytes, body: bytes, batch: int) -> None:
    """What it takes is in both: the first message came out before anyone could know that its length is wrong.

    So it would be in batches of their own, and what comes out does not depend on batches. As long as the length ends
    within a line, and not after the next headers.
    """
    for more in range(1, min(41, following.index(b"\r\n\r\n"))):
        if following[more - 1 : more] == b"\n":
            continue
        first = message(b"%d" % (len(body) + more), body)
        want = [first + following[:more], following, ONE]
        for cut in (0, *range(len(first) + more - 3, len(first) + more + 45, 6)):
            segments = [syn(), *numbered(parts(first + following + ONE, [cut]))]
            assert [each.payload for each in run(segments, batch=batch)[0]] == want, (more, cut)


def test_a_message_does_not_wait_for_what_follows_it() -> None:
    streams = Streams()
    first = message(b"8", b"hello")
    [one] = streams.messages([syn(), *numbered(parts(first + TWO[:3], []))])
    [two] = streams.messages(numbered([(1001 + len(first) + 3, TWO[3:])], 2))
    assert (one.payload, two.payload) == (first + TWO[:3], TWO)


def test_after_a_gap_nothing_is_taken_from_the_body_before() -> None:
    """A body that ends like the beginning of a method, and what may be the rest of that method."""
    first, rest = message(b"7", b"hello N"), message(b"0", b"", b"NEWMETHOD")[1:]
    out, streams = run([syn(), *numbered([(1001, first), (1001 + len(first) + 99, rest + ONE)])])
    assert [each.payload for each in out] == [first, rest, ONE]
    assert streams.counts.lost_bytes == 99


def test_a_method_of_its_own_is_left_alone() -> None:
    for name in (b"REINVITE", b"MYINFO", b"x"):
        wanted = message(b"0", b"", name)
        assert sent(ONE + wanted + TWO) == [ONE, wanted, TWO]


@pytest.mark.parametrize(
    ("data", "at"),
    [
        pytest.param(b"xSIP/2.0 200 OK\r\nVia: a\r\n", 1, id="response"),
        pytest.param(b"Via: SIP/2.0/TCP a\r\nX: SIP/2.0\r\n", -1, id="headers"),
        pytest.param(b"\xffINVITE sip:a SIP/2.0\r\nVia: a\r\n", 1, id="request"),
        pytest.param(b"\xffINVITE sip:a SIP/2.0\r\n\r\n", -1, id="alone"),
        pytest.param(b"\xffINVITE sip:a SI", 1, id="incomplete"),
    ],
)
def test_find_boundary(data: bytes, at: int) -> None:
    assert find_boundary(data, 0, len(data)) == at


FILES = [
    ("spoofed_syn", ["INVITE"] * 100),
    ("websocket_inflate", []),
    ("proxy_preamble.proxy_v1_same", ["REGISTER", "INVITE"]),
    ("ws_mid_control.ws_mid_ka_same_seg", ["INVITE", "ACK"]),
    ("ws_leading_crlf", ["MESSAGE"]),
    ("body_glued_method", ["MESSAGE", "OPTIONS"]),
]


@pytest.mark.parametrize(("name", "methods"), FILES)
def test_inputs(name: str, methods: list[str]) -> None:
    pipeline = Pipeline()
    with CaptureFile(INPUTS / f"{name}.pcap") as source:
        found = [each for batch in pipeline.read(source.batches()) for each in batch]
    assert [each.sip.method for each in found] == [method.encode() for method in methods]
    assert all(
        ledger.difference == 0 for ledger in pipeline.ledgers() if ledger.name in ("frames", "segments", "websocket")
    )


def test_a_line_that_only_looks_like_a_beginning_is_passed_by() -> None:
    """The search for the next message must not come back to it for ever."""
    first = b"INVITE sip:a SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n"
    bad = b"OPTIONS sip:b@example.com0SIP/2.0\r\nCall-ID: 7\r\nl: 2\r\n\r\nab"
    last = b"OPTIONS sip:b@example.com SIP/2.0\r\nCall-ID: 8\r\nContent-Length: 0\r\n\r\n"
    assert payloads(numbered(parts(first + bad + last, [])))[-1] == last
