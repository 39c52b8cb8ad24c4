"""The book of calls: bounded, with deltas for live views; session descriptions and differences of messages."""

from __future__ import annotations

from cli_samples import sip
from sink_samples import TIME_NS, traced

from capture_agent.config.rule_options import Legs
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.message import SipMessage
from capture_agent.sip.scan import scan
from capture_agent.view.call_book import CallBook
from capture_agent.view.details import difference, parts_of
from capture_agent.view.sdp import codecs_of, explained, media_lines

SDP = (
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 101 18\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\nm=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n"
)


def message(call_id: str, seconds: float = 0, more: bytes = b"", method: str = "INVITE") -> CapturedMessage:
    raw = sip(f"{method} sip:b SIP/2.0", call_id, f"1 {method}").replace(b"CSeq", more + b"CSeq", 1)
    found = traced(raw, time_ns=TIME_NS + round(seconds * 1e9)).message
    assert isinstance(found, CapturedMessage)
    return found


def test_changes_and_what_is_forgotten() -> None:
    book = CallBook(calls=3, live=True)
    book.add([message("a"), message("b"), message("c")])
    assert [call.call_id for call in book.changes().calls] == [b"a", b"b", b"c"]
    assert book.changes().calls == ()
    book.add([message("d", 1)])  # the first round marks all as seen, so the oldest goes
    changes = book.changes()
    assert (len(book), book.forgotten) == (3, 1)
    assert [call.call_id for call in changes.calls] == [b"d"]
    assert changes.forgotten == (b"a",)
    book.add([message("b", 2), message("e", 3)])
    assert book.get(b"b") is not None, "what was seen since makes others go first"
    assert book.changes().forgotten == (b"c",)


def test_bytes_are_bounded() -> None:
    book = CallBook(most_bytes=1 << 20)
    book.add(message(f"{n}-{'x' * 50_000}") for n in range(100))
    assert 15 < len(book) < 25
    assert book.forgotten == 100 - len(book)


def test_legs_by_headers_suffixes_and_from_elsewhere() -> None:
    book = CallBook(Legs(suffixes=("_b2b-1",)))
    book.add(
        [
            message("one"),
            message("two", 1, b"X-CID: one\r\n"),
            message("one_b2b-1", 2),
            message("x", 3),
            message("y", 4),
        ]
    )
    book.link(b"x", b"id")
    book.link(b"y", b"id")
    legs = {call.call_id: [leg.call_id for leg in book.legs_of(call)] for call in book}
    assert legs[b"one"] == legs[b"two"] == legs[b"one_b2b-1"] == [b"one", b"two", b"one_b2b-1"]
    assert legs[b"x"] == legs[b"y"] == [b"x", b"y"]


def test_session_descriptions() -> None:
    audio, video = media_lines(SDP)
    assert str(audio) == "audio 192.0.2.9:4000 PCMA, telephone-event, G729 sendonly"
    assert str(video) == "video refused H264"
    assert codecs_of(SDP) == ("PCMA", "G729")
    lines = dict(explained(SDP + b"a=\x1b[31m\r\n"))
    assert lines["m=audio 4000 RTP/AVP 8 101 18"] == "audio to port 4000 over RTP/AVP: PCMA, telephone-event/8000, G729"
    assert lines["a=sendonly"] == "sends only: holds the other end"
    assert all(line.isprintable() for line in lines)
    assert media_lines(b"v=0\r\nm=\r\nm=audio\r\nm=audio 99999999 RTP/AVP\r\n" * 100)
    assert media_lines(b"") == ()


def scanned(raw: bytes) -> SipMessage:
    found = scan(raw, 0, len(raw))
    assert found is not None
    return found


def test_parts_and_differences() -> None:
    one = scanned(sip("INVITE sip:b SIP/2.0", sdp=True))
    other = scanned(sip("INVITE sip:b SIP/2.0", sdp=True).replace(b"CSeq: 1", b"X-New: 1\r\nCSeq: 2"))
    parts = list(parts_of(one))
    assert [(part.kind, part.text) for part in parts[:3]] == [
        ("start", "INVITE sip:b SIP/2.0\n"),
        ("name", "Via:"),
        ("value", " SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\n"),
    ]
    assert parts[-1].text == "o=- 0 0 IN IP4 10.0.0.1\n" or parts[-1].text == "\n"
    changed = [(line.sign, line.line) for line in difference(one, other) if line.sign != " "]
    assert changed == [("-", "CSeq: 1 INVITE"), ("+", "X-New: 1"), ("+", "CSeq: 2 INVITE")]
    assert [line.sign for line in difference(one, one) if line.sign != " "] == []
    long = list(parts_of(scanned(sip("INVITE sip:b SIP/2.0").replace(b"CSeq", b"X: " + b"y" * 65_000 + b"\r\nCSeq"))))
    assert max(len(part.text) for part in long) < 5000
