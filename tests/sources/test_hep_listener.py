"""HEP on our own sockets: real senders on loopback, read through the pipeline or a whole agent."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from free_ports import free_port

from capture_agent.app.agent import Agent
from capture_agent.app.capturing import run
from capture_agent.config import load
from capture_agent.config.sections import ListenSection
from capture_agent.config.uris import parse_listen
from capture_agent.intake.unwrapping import Unwrapping
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import HEP_LINK_TYPE, Frames, Interface
from capture_agent.sources import hep_listener
from capture_agent.sources.hep_listener import open_hep_listener
from capture_agent.sources.sip_listener import Listener
from capture_agent.sources.source import SourceError
from hep import Packet, StreamDecoder, encode

PATIENCE = 20.0
SIP = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
    b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def packet(n: int, **changes: Any) -> Packet:
    usual = Packet(
        source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2", source_port=5060, destination_port=5080, protocol=17,
        seconds=1_700_000_000, microseconds=n, protocol_type=1, capture_id=n, payload=SIP % (n, n),
    )  # fmt: skip
    return replace(usual, **changes)


def listening(scheme: str = "hep+tcp", has_room: Callable[[], bool] | None = None, **options: Any) -> Listener:
    address = parse_listen(f"{scheme}:127.0.0.1:{free_port()}")
    return open_hep_listener(ListenSection(address, **options), has_room=has_room)


def read_until(source: Listener, enough: Callable[[list[CapturedMessage]], bool]) -> list[CapturedMessage]:
    """The messages of this source until there are enough."""
    pipeline, found = Pipeline(unwrapping=Unwrapping(own=b"relay--1")), list[CapturedMessage]()
    give_up = time.monotonic() + PATIENCE
    for frames in source.batches():
        found += pipeline.messages(frames)
        if enough(found) or time.monotonic() > give_up:
            break
    return found


def numbers(found: list[CapturedMessage]) -> list[int | None]:
    return [one.origin.capture_id for one in found if one.origin is not None]


@contextmanager
def peer_of(source: Listener) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", source.port), timeout=PATIENCE) as peer:
        yield peer


@pytest.mark.parametrize("version", [1, 2, 3])
def test_udp(version: int) -> None:
    with closing(listening("hep")) as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for n in range(5):
            peer.sendto(encode(packet(n), version), ("127.0.0.1", source.port))
        found = read_until(source, lambda found: len(found) == 5)
    assert [one.raw for one in found] == [SIP % (n, n) for n in range(5)]
    assert numbers(found) == ([None] * 5 if version == 1 else list(range(5)))


def test_twelve_bytes() -> None:
    """Too short for what they announce: refused by reason, and what follows is read."""
    with closing(listening("hep")) as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for data in (bytes(12), b"HEP3\0\x0c" + bytes(6), encode(packet(1))):
            peer.sendto(data, ("127.0.0.1", source.port))
        pipeline, found = Pipeline(unwrapping=Unwrapping()), list[CapturedMessage]()
        for frames in source.batches():
            found += pipeline.messages(frames)
            if found or frames.count > 3:
                break
    [ledger] = [one for one in pipeline.ledgers() if one.name == "hep"]
    assert [one.raw for one in found] == [SIP % (1, 1)]
    assert {reason: count for reason, count in ledger.rejected.items() if count} == {"magic": 1, "chunk_length": 1}
    assert (ledger.seen, ledger.difference) == (3, 0)


@pytest.mark.parametrize("piece", [1, 7, 1000, 1 << 20])
def test_a_stream_in_any_pieces(piece: int) -> None:
    stream = b"".join(encode(packet(n)) for n in range(20))
    with closing(listening()) as source, peer_of(source) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pieces = [stream[at : at + piece] for at in range(0, len(stream), piece)]
        thread = threading.Thread(target=lambda: [peer.sendall(one) for one in pieces])
        thread.start()
        found = read_until(source, lambda found: len(found) == 20)
        thread.join()
    assert numbers(found) == list(range(20))


@pytest.mark.parametrize(
    "bad", [b"INVITE sip:a@b", b"\1", b"HEX", encode(packet(0), 2), b"HEP3\0\5", b"\x16\3\1\0"], ids=repr
)
def test_what_is_not_hep3_ends_its_connection_alone(bad: bytes) -> None:
    with closing(listening()) as source, peer_of(source) as peer, peer_of(source) as other:
        peer.sendall(encode(packet(1)) + bad)
        read_until(source, lambda found: peer_has_ended(peer))
        other.sendall(encode(packet(2)))
        assert numbers(read_until(source, lambda found: 2 in numbers(found)))[-1] == 2
        assert source.dropped() == {"not_hep": 1}


def peer_has_ended(peer: socket.socket) -> bool:
    peer.settimeout(0.01)
    try:
        return peer.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_half_a_packet_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hep_listener, "LOOK_SECONDS", 0.0)
    with closing(listening(packet_seconds=0.3)) as source, peer_of(source) as slow, peer_of(source) as idle:
        slow.sendall(encode(packet(1))[:-1])
        idle.sendall(encode(packet(2)))  # nothing has begun there: it may be silent
        read_until(source, lambda found: peer_has_ended(slow))
        assert source.dropped() == {"slow_packet": 1}
        idle.settimeout(PATIENCE)
        idle.sendall(encode(packet(3)))
        assert numbers(read_until(source, lambda found: 3 in numbers(found)))[-1] == 3


def test_a_peer_has_a_limited_number_of_connections() -> None:
    with closing(listening(connections_per_peer=2)) as source:
        peers = [socket.create_connection(("127.0.0.1", source.port), timeout=PATIENCE) for _ in range(3)]
        read_until(source, lambda found: "peer_limit" in source.dropped())
        assert source.dropped() == {"peer_limit": 1}
        for peer in peers:
            peer.close()


def test_while_sinks_are_full_it_does_not_read() -> None:
    room = threading.Event()
    stream = b"".join(encode(packet(n)) for n in range(50))
    with closing(listening(has_room=room.is_set, when_full="wait")) as source, peer_of(source) as peer:
        peer.sendall(stream)
        batches = source.batches()
        assert [next(batches).count for _ in range(5)] == [0] * 5
        room.set()
        found = read_until(source, lambda found: len(found) == 50)
        assert numbers(found) == list(range(50))


@pytest.mark.parametrize("client", ["known", "unknown", "none"])
def test_tls(tmp_path: Path, certificate: tuple[Path, Path], client: str) -> None:
    cert, key = certificate
    options: dict[str, Any] = {"tls_cert": str(cert), "tls_key": str(key)}
    if client != "none":
        options["tls_client_ca"] = str(cert)
    context = ssl.create_default_context(cafile=str(cert))
    context.check_hostname = False
    if client == "known":
        context.load_cert_chain(cert, key)
    with closing(listening("hep+tls", **options)) as source:
        raw = socket.create_connection(("127.0.0.1", source.port), timeout=PATIENCE)
        sent = threading.Thread(target=send_over_tls, args=(context, raw), daemon=True)
        sent.start()
        wanted = 0 if client == "unknown" else 2000
        found = read_until(source, lambda found: len(found) == wanted and (wanted > 0 or bool(source.dropped())))
        assert numbers(found) == list(range(wanted))
        assert source.dropped() == ({"tls_failed": 1} if client == "unknown" else {})
    sent.join(PATIENCE)


def send_over_tls(context: ssl.SSLContext, raw: socket.socket) -> None:
    try:
        with context.wrap_socket(raw) as peer:
            peer.sendall(b"".join(encode(packet(n)) for n in range(2000)))
            peer.recv(1)
    except OSError:
        pass  # it was refused


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    from subprocess import run as command

    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return cert, key


def test_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    empty = tmp_path / "cert.pem"
    empty.touch()
    for path in (empty, tmp_path / "none.pem"):
        with pytest.raises(SourceError, match="tls_cert"):
            listening("hep+tls", tls_cert=str(path))


def relayed(
    settings: str, tmp_path: Path, send: Callable[[int], None], wanted: int, waits: float = PATIENCE
) -> tuple[list[Packet], Any, bool]:
    """What comes out of an agent with these settings, its books, and whether the sender had to wait.

    The collector begins to read when everything is sent, or after `waits` seconds.
    """
    collector = socket.create_server(("127.0.0.1", 0))
    port, collected, begin = free_port(), list[Packet](), threading.Event()

    def collect() -> None:
        client, _ = collector.accept()
        begin.wait(PATIENCE)
        decoder = StreamDecoder()
        with client:
            client.settimeout(PATIENCE)
            while data := client.recv(1 << 16):
                collected.extend(decoder.feed(data))

    path = tmp_path / "agent.toml"
    path.write_text(settings.format(port=port, collector=collector.getsockname()[1]))
    agent = Agent(load(path), lossless=False)
    threads = [threading.Thread(target=collect, daemon=True)]
    ready = threading.Event()
    threads.append(threading.Thread(target=run, args=(agent, ready.set), daemon=True))
    for thread in threads:
        thread.start()
    assert ready.wait(PATIENCE)
    sending = threading.Thread(target=send, args=(port,), daemon=True)
    sending.start()
    sending.join(waits)
    held = sending.is_alive()
    begin.set()
    give_up = time.monotonic() + PATIENCE
    while len(collected) < wanted and time.monotonic() < give_up:
        time.sleep(0.02)
    agent.stop.set()
    threads[1].join(PATIENCE)
    books = agent.close()
    collector.close()
    sending.join(PATIENCE)
    return collected, books, held


RELAY = """
[[listen]]
uri = "hep+tcp:127.0.0.1:{port}"
when_full = "wait"

[[hep]]
uri = "hep+tcp:127.0.0.1:{collector}?node=relay"

[queue]
messages = 50000
mib = 64
"""


def test_an_agent_passes_everything_on_without_loss(tmp_path: Path) -> None:
    kinds = [1, 5, 100, 1, 35]
    # Half of the queue is 32 MiB.
    long = SIP % (1, 1) + bytes(4000)
    packets = [
        packet(n, protocol_type=kinds[n % 5], agent_name=b"sbc", vlan=n % 4095, payload=long) for n in range(16_000)
    ]
    stream = b"".join(map(encode, packets))

    def send(port: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
            peer.sendall(stream)

    collected, books, held = relayed(RELAY, tmp_path, send, len(packets), 3.0)
    assert held
    path = collected[0].extra
    assert len(path) == 1
    collected.sort(key=lambda one: one.capture_id or 0)
    assert collected == [replace(one, extra=path, family=2) for one in packets]
    ledgers = {ledger.name: ledger for ledger in books.ledgers}
    assert ledgers["hep"].outcomes == {"sip": 6400, "rtcp_json": 3200, "log": 3200, "mos_short_json": 3200}
    assert all(ledger.difference == 0 and not sum(ledger.lost.values()) for ledger in books.ledgers)


def test_wrong_keys_are_logged_at_a_limited_rate(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('[[listen]]\nuri = "hep:127.0.0.1:9060"\nauth_key = "right"\n[[hep]]\nuri = "hep:127.0.0.1:9"\n')
    agent = Agent(load(path), lossless=False)

    def take(*keys: bytes | None) -> list[str]:
        batch = Frames.of([encode(packet(1, auth_key=key)) for key in keys], HEP_LINK_TYPE)
        batch.interfaces[0] = Interface("hep:127.0.0.1:9060", HEP_LINK_TYPE)
        agent.pipeline.messages(batch)
        agent._watcher.look()
        return [line for line in caplog.messages if line.startswith("hep: ")]

    with closing(agent):
        agent._watcher.close()  # its thread
        assert take(b"right") == []
        assert take(b"wrong", b"", None) == ["hep: 3 packets rejected (auth_key 3)"]
        assert take(*[b"wrong"] * 500) == ["hep: 3 packets rejected (auth_key 3)"]  # not again within a minute
