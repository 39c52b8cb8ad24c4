"""A copy on a stream is exactly one message for every receiver, whatever the datagram was; or it is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import TcpReceiver, traced

from capture_agent.config.targets import SipTarget
from capture_agent.sinks.sip.exact_message import framed
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink

ROOT = Path(__file__).parents[2]
INPUTS = ROOT / "tests" / "faults" / "inputs"
sys.path.insert(0, str(ROOT / "tools"))

import capture_files  # noqa: E402

pytestmark = pytest.mark.once

START = b"MESSAGE sip:b@192.0.2.10 SIP/2.0\r\nCall-ID: outer\r\n"
BYE = b"BYE sip:b@192.0.2.10 SIP/2.0\r\nCall-ID: victim\r\nContent-Length: 0\r\n\r\n"


def strict(stream: bytes) -> list[bytes]:
    """RFC 3261 18.3 to the letter: CRLF ends lines, folded lines are joined, the first Content-Length counts."""
    messages = []
    while stream := stream.removeprefix(b"\r\n"):
        headers, end, rest = stream.partition(b"\r\n\r\n")
        assert end, "headers without an end"
        lines = re.sub(rb"\r\n[ \t]+", b" ", headers).split(b"\r\n")
        values = [
            value.strip(b" \t")
            for name, _, value in (line.partition(b":") for line in lines[1:])
            if name.rstrip(b" \t").lower() in (b"content-length", b"l")
        ]
        size = int(values[0])
        assert size <= len(rest), "a body that takes what follows"
        assert all(int(value) == size for value in values)
        messages.append(headers + end + rest[:size])
        stream = rest[size:]
    return messages


def lenient(stream: bytes) -> list[bytes]:
    """Like Kamailio's tcp_read.c: LF alone ends lines, too; folding is unknown; the last Content-Length counts."""
    messages = []
    while stream := stream.lstrip(b"\r\n"):
        found = re.search(rb"\n\r?\n", stream)
        assert found is not None, "headers without an end"
        lengths = re.findall(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", stream[: found.start()])
        size = int(lengths[-1])
        assert size <= len(stream) - found.end()
        messages.append(stream[: found.end() + size])
        stream = stream[found.end() + size :]
    return messages


def line_by_line(stream: bytes) -> list[bytes]:
    """A program that strips each line, and treats a line of white space as empty."""
    messages = []
    while stream := stream.lstrip():
        end, at, size = 0, 0, None
        for line in stream.splitlines(keepends=True):
            at += len(line)
            text = line.strip().lower()
            if not text:
                end = at
                break
            if found := re.match(rb"(?:content-length|l)\s*:\s*(\d+)", text):
                size = int(found[1])
        assert end and size is not None and end + size <= len(stream)
        messages.append(stream[: end + size])
        stream = stream[end + size :]
    return messages


RECEIVERS = [strict, lenient, line_by_line]


@pytest.mark.parametrize(
    ("headers", "want"),
    [
        pytest.param(b"Content-Length: 3\r\n", b"Content-Length: 3\r\n", id="right"),
        pytest.param(b"l:3\r\n", b"l:3\r\n", id="compact"),
        pytest.param(b"Content-Length: \t 3 \r\n", b"Content-Length: \t 3 \r\n", id="white space"),
        pytest.param(b"", b"Content-Length: 3\r\n", id="missing"),
        pytest.param(b"Content-Length: 2\r\n", b"Content-Length: 3\r\n", id="short"),
        pytest.param(b"CONTENT-length:400\r\n", b"CONTENT-length: 3\r\n", id="long, and its name stays"),
        pytest.param(b"l: 0\r\nSubject: x\r\n", b"l: 3\r\nSubject: x\r\n", id="compact, wrong, in its place"),
        pytest.param(b"Content-Length: 3\r\nl: 900\r\n", b"Content-Length: 3\r\nl: 3\r\n", id="twice"),
        pytest.param(b"l : 9\r\nL\t:1\r\n", b"l: 3\r\nL: 3\r\n", id="blanks before the colon"),
        pytest.param(b"Content-Length :3\r\n", b"Content-Length: 3\r\n", id="right, but not for everybody"),
        pytest.param(b"Content-Length:\r\n 3\r\n", b"Content-Length: 3\r\n", id="folded"),
        pytest.param(b"Content-Length: 3\r\n\t0\r\nX: y\r\n", b"Content-Length: 3\r\nX: y\r\n", id="folded digits"),
        pytest.param(b"Content-Length: 0003\r\n", b"Content-Length: 3\r\n", id="zeros"),
        pytest.param(b"Content-Length: -1\r\n", b"Content-Length: 3\r\n", id="negative"),
        pytest.param(b"Content-Length: 3, 3\r\n", b"Content-Length: 3\r\n", id="a list"),
        pytest.param(b"Content-Length: 0x3\r\n", b"Content-Length: 3\r\n", id="hexadecimal"),
        pytest.param(b"Content-Length: " + b"9" * 400 + b"\r\n", b"Content-Length: 3\r\n", id="huge"),
        pytest.param(b"Content-Length:\r\n", b"Content-Length: 3\r\n", id="empty"),
        pytest.param(b"Subject: a\r\n b\r\n", b"Subject: a\r\n b\r\nContent-Length: 3\r\n", id="another one is folded"),
        pytest.param(
            b"X: Content-Length: 9\r\nContent-Lengthy: 8\r\n",
            b"X: Content-Length: 9\r\nContent-Lengthy: 8\r\nContent-Length: 3\r\n",
            id="what is none",
        ),
    ],
)
def test_content_length_is_made_right(headers: bytes, want: bytes) -> None:
    assert framed(START + headers + b"\r\nabc") == START + want + b"\r\nabc"
    assert framed(b"\r\n\r\n" + START + headers + b"\r\nabc") == START + want + b"\r\nabc"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(START + b"Content-Length: 0", "no_header_end", id="the headers do not end"),
        pytest.param(START, "no_header_end", id="no empty line"),
        pytest.param(START.replace(b"\r\n", b"\n") + b"\n" + BYE, "framing", id="LF alone, and a smuggled message"),
        pytest.param(START + b"X: y\nl: 9\r\n\r\n", "framing", id="LF alone, once"),
        pytest.param(START + b"X: y\rl: 9\r\n\r\n", "framing", id="CR alone"),
        pytest.param(START + b"X: y\r\r\n\r\n", "framing", id="CR CR LF"),
        pytest.param(START + b"X: y\n\nBYE sip:b SIP/2.0\r\n\r\n", "framing", id="LF LF"),
        pytest.param(START + b"X: \0\r\n\r\n", "framing", id="NUL"),
        pytest.param(START + b"Content-Length\x0b: 5\r\n\r\n", "framing", id="vertical tab"),
        pytest.param(START + b"Content-Length\xa0: 5\r\n\r\n", "framing", id="no-break space"),
        pytest.param(START + b"Content-Length 5\r\n\r\n", "framing", id="no colon"),
        pytest.param(START + b"X: y\r\n \t\r\n" + BYE, "framing", id="a line of blanks"),
        pytest.param(START + b"X: y\r\n Content-Length: 9\r\n\r\n", "framing", id="hidden by folding"),
        pytest.param(START + b"X: y\r\n\tl :9\r\n\r\n", "framing", id="compact, hidden by folding"),
        pytest.param(b"MESSAGE sip:b SIP/2.0\r\n l: 9\r\n\r\n", "framing", id="a folded start line"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "not_sip", id="no SIP"),
        pytest.param(b"a text\r\n\r\n", "not_sip", id="a text"),
        pytest.param(b"", "no_header_end", id="nothing"),
    ],
)
def test_a_message_without_a_certain_end_is_refused(message: bytes, reason: str) -> None:
    assert framed(message) == reason


PIECES = [
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b"\t", b"\0", b"\x0b", b"\x0c", b"\x85", b":", b"l", b"L", b"0", b"5", b"999999",
    b"Content-Length", b"content-length: ", b"l: 7", b"Content-Length: 0\r\n", b"\r\nl :1\r\n", b"X: y\r\n", b"abc", START, BYE,
    b"SIP/2.0 200 OK\r\n", b"OPTIONS sip:x SIP/2.0\r\n",
]  # fmt: skip


@pytest.mark.parametrize("receiver", RECEIVERS)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=5), max_size=12).map(b"".join), st.booleans())
def test_one_copy_is_one_message(receiver, rest: bytes, starts: bool) -> None:  # type: ignore[no-untyped-def]
    copy = framed(START + rest if starts else rest)
    if not isinstance(copy, str):
        assert receiver(BYE + copy + BYE) == [BYE, copy, BYE]


def datagrams(name: str) -> list[bytes]:
    return [packet.frame[42:] for packet in capture_files.read(INPUTS / f"{name}.pcap").packets]


@pytest.mark.parametrize("x_headers", [False, True])
@pytest.mark.parametrize(
    ("name", "refused"),
    [("smuggling.inject", {}), ("smuggling.forge", {}), ("dup_tcp_no_length", {"no_header_end": 1})],
)
def test_nothing_is_smuggled(tcp: TcpReceiver, name: str, refused: dict[str, int], x_headers: bool) -> None:
    messages = datagrams(name)
    sink = SipDuplicateSink(SipTarget("127.0.0.1", tcp.port, "tcp", x_headers=x_headers))
    sink.send([traced(message) for message in messages])
    sink.close()
    assert (sink.sent, sink.rejected) == (len(messages) - sum(refused.values()), refused)
    for receiver in RECEIVERS:
        assert len(receiver(bytes(tcp.streams[0]))) == sink.sent
