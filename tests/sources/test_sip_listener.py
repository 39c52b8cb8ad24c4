"""SIP duplicates on our own sockets: real senders on loopback, read through the pipeline."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from faults.descriptors import none_left

from capture_agent.books import joined
from capture_agent.config.uris import ListenAddress
from capture_agent.net import accepting
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import Frames
from capture_agent.sources import duplicate_connections
from capture_agent.sources.sip_listener import Listener, TcpListener, open_listener
from capture_agent.sources.source import SourceError, lost_frames

PATIENCE = 20.0


def message(n: int, body: int = 4) -> bytes:
    return (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
        b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: %d\r\n\r\n" % (n, n, body)
    ) + b"x" * body


def listening(host: str, transport: str = "udp") -> Listener:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with probe:
        probe.bind((host, 0))
        port = probe.getsockname()[1]
    return open_listener(ListenAddress(host, port, transport))  # type: ignore[arg-type]


def messages(source: Listener, pipeline: Pipeline, count: int) -> list[CapturedMessage]:
    """The next `count` messages of this source."""
    found: list[CapturedMessage] = []
    give_up = time.monotonic() + PATIENCE
    for frames in source.batches():
        found += pipeline.messages(frames)
        if len(found) >= count or time.monotonic() > give_up:
            break
    return found


def ends(message: CapturedMessage) -> tuple[str, int, str, int, str]:
    at = message.datagram
    return at.source_text, at.source_port, at.destination_text, at.destination_port, at.transport


def sender(host: str, kind: socket.SocketKind) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)


@pytest.mark.parametrize(
    ("bound", "to"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.2"), ("::1", "::1"), ("::", "::1")],
)
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_addresses_are_the_peers_and_ours(bound: str, to: str, transport: str) -> None:
    kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
    with closing(listening(bound, transport)) as source, sender(to, kind) as peer:
        before = time.time_ns()
        peer.connect((to, source.port))
        peer.sendall(message(1))
        (got,) = messages(source, Pipeline(), 1)
        own, port = peer.getsockname()[:2]
        assert ends(got) == (own, port, to, source.port, transport)
        assert got.raw == message(1)
        assert before <= got.time_ns <= time.time_ns()


def test_many_in_order() -> None:
    with closing(listening("127.0.0.1")) as source, sender("127.0.0.1", socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", source.port))
        wanted = [message(n, n % 900) for n in range(1200)]
        thread = threading.Thread(target=lambda: [peer.send(each) for each in wanted])
        thread.start()
        pipeline = Pipeline()
        got = messages(source, pipeline, len(wanted))
        thread.join()
        assert [each.raw for each in got] == wanted
        assert [each.datagram.frame for each in got] == list(range(1, len(wanted) + 1))


def test_the_longest_datagram() -> None:
    with closing(listening("127.0.0.1")) as source, sender("127.0.0.1", socket.SOCK_DGRAM) as peer:
        peer.connect(("127.0.0.1", source.port))
        head = len(message(1, 65000)) - 65000
        longest = message(1, 65507 - head)
        peer.send(b"")
        peer.send(longest)
        (got,) = messages(source, Pipeline(), 1)
        assert got.raw == longest


@pytest.mark.parametrize("piece", [1, 7, 100, 1_000_000])
def test_a_stream_in_any_pieces(piece: int) -> None:
    wanted = [message(n, n * 300) for n in range(6)]
    stream = b"\r\n\r\n".join(wanted)
    with closing(listening("127.0.0.1", "tcp")) as source, sender("127.0.0.1", socket.SOCK_STREAM) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.connect(("127.0.0.1", source.port))

        def send() -> None:
            for at in range(0, len(stream), piece):
                peer.sendall(stream[at : at + piece])

        thread = threading.Thread(target=send)
        thread.start()
        got = messages(source, Pipeline(), len(wanted))
        thread.join()
        assert [each.raw for each in got] == wanted


def test_connections_in_sequence_and_in_parallel() -> None:
    pipeline = Pipeline()
    with closing(listening("127.0.0.1", "tcp")) as source:
        peers = [socket.create_connection(("127.0.0.1", source.port)) for _ in range(5)]
        for n, peer in enumerate(peers):
            peer.sendall(message(n)[:50])
        for n, peer in enumerate(peers):
            peer.sendall(message(n)[50:])
        assert {each.raw for each in messages(source, pipeline, 5)} == {message(n) for n in range(5)}
        for peer in peers:
            peer.close()
        with socket.create_connection(("127.0.0.1", source.port)) as peer:
            peer.sendall(message(9))
            assert [each.raw for each in messages(source, pipeline, 1)] == [message(9)]
    pipeline.close()
    frames, segments, _ = joined([lost_frames([source.dropped()]), *pipeline.ledgers()])
    assert (frames.difference, segments.difference) == (0, 0)
    assert pipeline.streams.counts.joined == 0  # each was seen from its start


def connected(source: Listener, host: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", source.port), source_address=(host, 0))


def test_of_too_many_connections_the_newest_of_the_biggest_holder_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_connections, "MOST_CONNECTIONS", 3)
    pipeline = Pipeline()
    source = listening("127.0.0.1", "tcp")
    with closing(source):
        quiet = connected(source, "127.0.0.9")
        greedy = []
        for n in range(20):
            greedy.append(connected(source, "127.0.0.1"))
            greedy[-1].sendall(message(n))
        assert {each.raw for each in messages(source, pipeline, 2)} >= {message(0), message(1)}
        quiet.sendall(message(77))
        found: list[bytes] = []
        while message(77) not in found:
            found += [each.raw for each in messages(source, pipeline, 1)]
        for peer in (quiet, *greedy):
            peer.close()
    assert source.dropped()["connection_limit"] >= 1  # also when it is closed


def test_a_peer_has_a_limited_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_connections, "MOST_OF_PEER", 2)
    pipeline = Pipeline()
    with closing(listening("127.0.0.1", "tcp")) as source:
        peers = [connected(source, "127.0.0.1") for _ in range(3)]
        peers[0].sendall(message(1))
        assert [each.raw for each in messages(source, pipeline, 1)] == [message(1)]
        other = connected(source, "127.0.0.5")
        other.sendall(message(2))
        assert [each.raw for each in messages(source, pipeline, 1)] == [message(2)]
        assert source.dropped() == {"peer_limit": 1}
        for peer in (other, *peers):
            peer.close()


def test_without_descriptors_it_waits_and_continues(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.1)
    pipeline = Pipeline()
    with closing(listening("127.0.0.1", "tcp")) as source, socket.socket() as peer:
        assert isinstance(source, TcpListener)
        with none_left():
            peer.connect(("127.0.0.1", source.port))
            peer.sendall(message(1))
            batches = source.batches()
            while source.accept_failures.pauses < 2:
                assert next(batches).count == 0
        assert [each.raw for each in messages(source, pipeline, 1)] == [message(1)]
        assert source.dropped() == {}
    assert caplog.messages == [f"{source.name}: cannot accept connections for now: too many open files"]


def test_nothing_comes() -> None:
    with closing(listening("127.0.0.1")) as source:
        batches = source.batches()
        assert next(batches).count == 0
        source.close()
        assert list(batches) == []


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_close_ends_a_reader(transport: str) -> None:
    source = listening("127.0.0.1", transport)
    read: list[Frames] = []
    thread = threading.Thread(target=lambda: read.extend(source.batches()))
    thread.start()
    source.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        yield other.getsockname()[1]


def test_where_it_cannot_listen(taken: int) -> None:
    with pytest.raises(SourceError, match=f"^sip:127.0.0.1:{taken}: cannot listen: address already in use$") as raised:
        open_listener(ListenAddress("127.0.0.1", taken))
    assert raised.value.usage
    with pytest.raises(SourceError, match=r"^sip:192\.0\.2\.77:5060;transport=tcp: cannot listen: cannot assign"):
        open_listener(ListenAddress("192.0.2.77", 5060, "tcp"))
