"""SIP over WebSocket (RFC 7118): upgrade seen or missed, masks, fragments, control frames, compression."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_samples import parts, request, response, run, segment, syn

from capture_agent.records.datagram import Datagram
from capture_agent.streams import websocket
from capture_agent.streams.websocket import CREDIT, CREDIT_OF_MESSAGE

KEY = b"\x12\x34\x56\x78"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
SYNC = b"\x00\x00\xff\xff"
DEFLATE = b"permessage-deflate"
GET = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ONE, TWO, THREE = request(1, b"v=0\r\n" * 40), response(2, b"x" * 60), request(3)


def switching(extensions: bytes = b"") -> bytes:
    more = b"Sec-WebSocket-Extensions: %s\r\n" % extensions if extensions else b""
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n%s\r\n" % more


def frame(payload: bytes, opcode: int = TEXT, fin: bool = True, key: bytes = b"", rsv1: bool = False) -> bytes:
    first = fin << 7 | rsv1 << 6 | opcode
    size = len(payload)
    length = bytes([min(size, 126)])
    if size > 125:
        length = b"\x7f" + struct.pack(">Q", size) if size > 65_535 else b"\x7e" + struct.pack(">H", size)
    masked = bytes(c ^ key[n % 4] for n, c in enumerate(payload)) if key else payload
    return bytes([first, length[0] | (0x80 if key else 0)]) + length[1:] + key + masked


class Deflater:
    def __init__(self, takeover: bool = True) -> None:
        self.takeover = takeover
        self.engine = zlib.compressobj(wbits=-15)

    def __call__(self, payload: bytes) -> bytes:
        if not self.takeover:
            self.engine = zlib.compressobj(wbits=-15)
        return (self.engine.compress(payload) + self.engine.flush(zlib.Z_SYNC_FLUSH)).removesuffix(SYNC)


def messages(stream: bytes, size: int = 1400, begun: bool = True) -> list[Datagram]:
    pieces = parts(stream, range(size, len(stream), size))
    segments = [segment(payload, sequence, frame=n) for n, (sequence, payload) in enumerate(pieces, 1)]
    return run([syn(), *segments] if begun else segments)[0]


STREAMS = [
    pytest.param(GET + frame(ONE, key=KEY) + frame(TWO, key=KEY), [ONE, TWO], id="client, masked"),
    pytest.param(switching() + frame(ONE) + frame(TWO, BINARY), [ONE, TWO], id="server"),
    pytest.param(
        GET + frame(ONE[:50], fin=False, key=KEY) + frame(b"hello", PING, key=KEY) + frame(ONE[50:70], 0, False)
        + frame(b"", PONG) + frame(ONE[70:], 0, key=KEY) + frame(TWO),
        [ONE, TWO], id="fragmented, control frames between",
    ),
    pytest.param(GET + frame(b"\r\n\r\n") + frame(ONE) + frame(b"{}") + frame(TWO), [ONE, TWO], id="keep-alives, others"),
    pytest.param(GET + frame(ONE) + frame(b"\x03\xe8", CLOSE), [ONE], id="closed"),
    pytest.param(GET + frame(b"x" * 70_000) + frame(ONE), [ONE], id="64-bit length"),
    pytest.param(GET + frame(b"x" * 1_100_000) + frame(ONE), [ONE], id="too long"),
]  # fmt: skip


@pytest.mark.parametrize(("stream", "want"), STREAMS)
@pytest.mark.parametrize("size", [1400, 37, 1])
def test_streams(stream: bytes, want: list[bytes], size: int) -> None:
    if len(stream) > 100_000 and size < 100:
        size = 900
    out = messages(stream, size)
    assert [message.payload for message in out] == want
    assert {message.transport for message in out} == {"ws"}
    assert all(message.address_at == 0 and message.source_text == "192.0.2.1" for message in out)


@pytest.mark.parametrize("key", [b"", KEY])
@pytest.mark.parametrize("begun", [False, True])
def test_the_upgrade_is_missed(key: bytes, begun: bool) -> None:
    stream = frame(ONE, key=key) + frame(TWO, key=key)
    assert [message.payload for message in messages(stream, begun=begun)] == [ONE, TWO]


def test_it_is_joined_in_the_middle_of_a_frame() -> None:
    frames = [frame(message, key=KEY) for message in (ONE, TWO, THREE)]
    torn = frames[0][100:]
    at, segments = 1001, []
    for n, payload in enumerate([torn, *frames[1:]], 1):
        segments.append(segment(payload, at, frame=n))
        at += len(payload)
    assert [message.payload for message in run(segments)[0]] == [TWO, THREE]


def test_a_lost_segment_within_a_payload_loses_one_message() -> None:
    stream = GET + frame(ONE, key=KEY) + frame(TWO, key=KEY) + frame(THREE, key=KEY)
    at = len(GET) + 40
    pieces = [(1001, stream[:at]), (1001 + at + 30, stream[at + 30 :])]
    out, _ = run([syn(), *(segment(p, s, frame=n) for n, (s, p) in enumerate(pieces, 1))])
    assert [message.payload for message in out] == [TWO, THREE]


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("size", [1400, 11])
def test_deflate(takeover: bool, side: str, size: int) -> None:
    agreed = DEFLATE if takeover else DEFLATE + b"; server_no_context_takeover; client_no_context_takeover"
    deflate, key = Deflater(takeover), KEY if side == "client" else b""
    sent = [ONE, TWO, THREE, ONE, TWO]
    start = GET if side == "client" else switching(agreed)
    stream = start + b"".join(frame(deflate(message), key=key, rsv1=True) for message in sent) + frame(ONE, key=key)
    assert [message.payload for message in messages(stream, size)] == [*sent, ONE]


def test_the_response_agrees_on_compression_for_both_directions() -> None:
    there, back = (40000, 443), (443, 40000)
    deflated = frame(Deflater()(TWO), key=KEY, rsv1=True)
    reverse = bytes((192, 0, 2, 2, 192, 0, 2, 1))

    def talk(extensions: bytes) -> list[bytes]:
        segments = [
            syn(ports=there), syn(ports=back, addresses=reverse), segment(GET, ports=there, frame=1),
            segment(switching(extensions), ports=back, addresses=reverse, frame=2),
            segment(deflated, 1001 + len(GET), ports=there, frame=3),
        ]  # fmt: skip
        return [message.payload for message in run(segments)[0]]

    assert talk(DEFLATE) == [TWO]
    assert talk(b"") == []  # not agreed: that bit breaks RFC 6455


def test_compressed_messages_that_refer_to_missing_ones() -> None:
    deflate = Deflater()
    frames = [frame(deflate(message), rsv1=True) for message in (ONE, ONE, ONE)]
    segments = [segment(frames[2], 1001)]
    out, streams = run(segments)
    assert out == []
    other = Deflater(takeover=False)
    assert [m.payload for m in messages(frame(other(ONE), rsv1=True) + frame(other(TWO), rsv1=True), begun=False)] == [
        ONE,
        TWO,
    ]
    stream = switching(DEFLATE) + frames[1] + frames[2]
    out, streams = run([syn(), segment(stream)])
    assert out == []
    assert streams.counts.undecoded == 2


def test_a_bomb_is_not_inflated() -> None:
    bomb = Deflater()(request(1) + b"\0" * 20_000_000)
    out, streams = run(
        [
            syn(),
            *(
                segment(p, s, frame=s)
                for s, p in parts(switching(DEFLATE) + frame(bomb, rsv1=True), range(1400, 60_000, 1400))
            ),
        ]
    )
    assert out == []
    assert (streams.counts.undeflated, streams.counts.websocket_refused) == (1, 0)


def bombs(count: int, make: Callable[[int], bytes]) -> list[Datagram]:
    stream = switching(DEFLATE) + b"".join(frame(make(n), rsv1=True) for n in range(count))
    return [syn(), *(segment(p, s, frame=s) for s, p in parts(stream, range(1400, len(stream), 1400)))]


def bomb(_: int) -> bytes:
    return Deflater()(request(1) + b"\0" * 1_000_000)


def small_bomb(_: int) -> bytes:
    return Deflater()(request(1) + b"\0" * 60_000)


def broken_bomb(_: int) -> bytes:
    """Inflated a long way, and then it refers to what was not there."""
    return Deflater()(b"\0" * 300_000)[:-4] + b"\xff" * 9


@pytest.mark.parametrize("make", [bomb, small_bomb, broken_bomb])
def test_inflated_bytes_are_in_proportion_to_received_bytes(
    make: Callable[[int], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated = 0
    whole = websocket.inflate

    def noted(payload: bytes, history: bytes, limit: int) -> tuple[bytes | None, int]:
        nonlocal inflated
        plain, size = whole(payload, history, limit)
        inflated += size
        return plain, size

    monkeypatch.setattr(websocket, "inflate", noted)
    segments = bombs(300, make)
    came = sum(len(each.payload) for each in segments)
    out, streams = run(segments)
    assert len(out) <= 30
    assert inflated <= CREDIT + 300 * CREDIT_OF_MESSAGE + 64 * came
    assert streams.counts.undeflated + streams.counts.undecoded + streams.counts.websocket_refused + len(out) == 300


def test_sip_that_repeats_itself_is_inflated_without_end() -> None:
    deflate = Deflater()
    sent = [ONE + b"%05d\r\n" % n + b"v=0\r\n" * 1500 for n in range(400)]
    sent = [request(n, each) for n, each in enumerate(sent)]
    stream = switching(DEFLATE) + b"".join(frame(deflate(message), rsv1=True) for message in sent)
    assert [message.payload for message in messages(stream)] == sent


def test_endless_fragments_are_bounded() -> None:
    tiny = frame(b"", 0, False) * 60_000
    stream = GET + frame(b"x", TEXT, False) + tiny
    _, streams = run([syn(), *(segment(p, s, frame=1) for s, p in parts(stream, range(30_000, len(stream), 30_000)))])
    assert streams.counts.websocket_refused == 1


def test_decrypted_elsewhere_it_is_wss() -> None:
    [message] = run([syn(), segment(GET + frame(ONE), transport="tls")])[0]
    assert (message.payload, message.transport) == (ONE, "wss")


def test_http_without_upgrade_is_left_alone() -> None:
    out, streams = run([syn(), segment(GET.replace(b"Upgrade: websocket", b"Accept: */*") + ONE)])
    assert out == []
    assert streams.rejected()["not_sip"] == 1


@given(
    st.lists(st.sampled_from([ONE, TWO, THREE, b"\r\n\r\n"]), max_size=6),
    st.integers(1, 700),
    st.booleans(),
    st.booleans(),
)
def test_segmentation_changes_nothing(sent: list[bytes], size: int, masked: bool, compressed: bool) -> None:
    deflate, key = Deflater(), KEY if masked else b""
    frames = [frame(deflate(m), key=key, rsv1=True) if compressed else frame(m, key=key) for m in sent]
    stream = switching(DEFLATE) + b"".join(frames)
    assert [message.payload for message in messages(stream, size)] == [m for m in sent if m.strip()]
