"""Connections that break, and what a receiver gets then: nothing is lost, and twice only what docs/delivery.md says."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import struct
import termios
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from faults.peers import LINGER_0, AcceptAndClose, Peer, Read, Vanishing, certificate, until
from free_ports import free_port
from hypothesis import given
from hypothesis import strategies as st
from sink_samples import UdpReceiver, batch_of

from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.delivery.outbox import Outbox, jittered
from capture_agent.net.connecting import Lookup
from capture_agent.net.connection import PROOF, SinkConnection
from capture_agent.net.doubt import ReadDoubt
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink
from hep import Packet, StreamDecoder

MESSAGES = 5000


def packets(peer: Peer) -> list[Packet]:
    return [packet for data in peer.streams for packet in StreamDecoder().feed(bytes(data))]


def wanted(count: int) -> list[bytes]:
    return [one.message.raw for one in batch_of(count)]


class ResetWhenTold(Peer):
    """Reads some bytes of its first connection, then nothing, and resets it; reads all others."""

    def __init__(self, some: int) -> None:
        super().__init__()
        self._some = some
        self.told = threading.Event()

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        if self.connections > 1:
            while data := connection.recv(65536):
                stream += data
            connection.close()
            return
        while len(stream) < self._some:
            stream += connection.recv(min(65536, self._some - len(stream)))
        self.told.wait(30)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
        connection.close()


@pytest.mark.parametrize("mode", ["avoid", "prefer"])
def test_what_was_acknowledged_and_never_read(mode: Any) -> None:
    """100 messages: the receiver reads a part, its kernel acknowledges all; 3 s later it resets."""
    with ResetWhenTold(5000) as there:
        target = HepTarget("127.0.0.1", there.port, "tcp", duplicates_on_reconnect=mode, dead_after_seconds=30.0)
        outbox = Outbox(HepSink(target), first_delay=0.01)
        outbox.put(batch_of(100))
        if mode == "avoid":
            until(lambda: outbox.ledger().outcomes["sent"] == 100)
        else:
            time.sleep(3)
            assert outbox.ledger().outcomes == {"sent": 0, "waiting": 100}
        there.told.set()
        until(lambda: there.connections > 1)
        outbox.close(20)
        again = [packet.payload for packet in StreamDecoder().feed(bytes(there.streams[-1]))]
        assert outbox.ledger().outcomes == {"sent": 100, "waiting": 0}
    assert again == (wanted(100) if mode == "prefer" else [])


def test_nothing_comes_twice_from_a_receiver_that_closes_in_order() -> None:
    """With `prefer`, too."""
    with Read() as first:
        target = HepTarget("127.0.0.1", first.port, "tcp", duplicates_on_reconnect="prefer")
        outbox = Outbox(HepSink(target), first_delay=0.01)
        outbox.put(batch_of(100))
        until(lambda: len(packets(first)) == 100)
    with Read(first.port) as second:
        outbox.put(batch_of(100, 100))
        outbox.close(20)
        assert outbox.ledger().outcomes == {"sent": 200, "waiting": 0}
        assert [packet.payload for packet in packets(first) + packets(second)] == wanted(200)


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 4 * PROOF)), max_size=60), st.floats(2, 60))
def test_doubt_is_bounded(steps: list[tuple[float, int]], seconds: float) -> None:
    """What was acknowledged a window ago becomes certain, soon; what is beyond a kernel's memory is it at once."""
    doubt, now, acknowledged, last = ReadDoubt(seconds), 0.0, 0, 0
    known: list[tuple[float, int]] = []
    for pause, more in steps:
        now, acknowledged = now + pause, acknowledged + more
        known.append((now, acknowledged))
        certain = doubt.certain(acknowledged, now)
        old = max((size for at, size in known if now - at >= seconds), default=0)
        assert acknowledged - PROOF <= certain <= max(old, acknowledged - PROOF, 0)
        assert certain >= last
        last = certain
    for _ in range(40):
        now += seconds / 16
        last = doubt.certain(acknowledged, now)
    assert last == acknowledged


@given(st.floats(0, 30))
def test_attempts_are_spread(delay: float) -> None:
    assert delay / 2 <= jittered(delay) <= delay


def test_agents_do_not_come_back_together() -> None:
    random.seed(1)
    assert len({round(jittered(8.0), 1) for _ in range(500)}) > 30


class Answers(Peer):
    """Answers all that it reads, and reads no more before its answer is taken."""

    def __init__(self, tls: Path | None = None) -> None:
        super().__init__(tls=tls, room=1 << 16)

    def serve(self, connection: socket.socket, stream: bytearray) -> None:
        while data := connection.recv(65536):
            stream += data
            connection.sendall(data)


@pytest.mark.parametrize("kind", [HepTarget, SipTarget])
@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
def test_a_receiver_that_answers_everything(tmp_path: Path, kind: type, encrypted: bool) -> None:
    tls = certificate(tmp_path) if encrypted else None
    with Answers(tls) as there:
        target = kind("127.0.0.1", there.port, "tls" if tls else "tcp", tls_ca=str(tls or ""))
        outbox = Outbox(HepSink(target) if kind is HepTarget else SipDuplicateSink(target), limit=MESSAGES)
        for first in range(0, MESSAGES, 500):
            outbox.put(batch_of(500, first, size=2000))
        outbox.close(60)
        assert outbox.ledger().outcomes == {"sent": MESSAGES, "waiting": 0}
        assert there.connections == 1


def unread(connection: socket.socket) -> int:
    """Bytes of the datagram that is next."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, bytes(4)))[0]


def test_answers_to_datagrams_are_discarded() -> None:
    server = UdpReceiver()
    outbox = Outbox(sink := SipDuplicateSink(SipTarget("127.0.0.1", server.port)))
    outbox.put(batch_of(100))
    until(lambda: outbox.ledger().outcomes["sent"] == 100)
    connection: socket.socket = sink._sender._socket  # type: ignore[attr-defined]
    for _ in range(100):
        server.socket.sendto(b"SIP/2.0 404 Not Found\r\n\r\n", connection.getsockname())
    until(lambda: unread(connection) == 0)
    outbox.close(5)
    server.close()


def places(*ports: int) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]


def of_name(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """A name with these places as its addresses."""
    monkeypatch.setattr(Lookup, "answer", lambda self, seconds: places(*ports))


def test_all_addresses_are_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody, one that does not speak TLS, one with a certificate of nobody, and the right one."""
    good = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    with Read() as plain, Read(tls=certificate(other)) as stranger, Read(tls=good) as there:
        of_name(monkeypatch, free_port(), plain.port, stranger.port, there.port)
        sink = HepSink(HepTarget("127.0.0.1", 1, "tls", tls_ca=str(good)))
        sink.send(batch_of(10))
        sink.flush()
        assert sink.sent == 10
        assert there.connections >= 1


def test_an_address_where_connections_break_at_once_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with AcceptAndClose() as balancer, Read() as there:
        of_name(monkeypatch, balancer.port, there.port)
        outbox = Outbox(HepSink(HepTarget("127.0.0.1", 1, "tcp")), first_delay=0.01)
        outbox.put(batch_of(100))
        until(lambda: outbox.ledger().outcomes["sent"] == 100)
        outbox.close(20)
        assert [packet.payload for packet in packets(there)] == wanted(100)


def test_ipv6_that_refuses_and_ipv4_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """UDP: `localhost` is ::1 first on most hosts."""
    server = UdpReceiver()
    found = [
        (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", server.port)),
        (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", server.port)),
    ]
    monkeypatch.setattr(Lookup, "answer", lambda self, seconds: found)
    sink = HepSink(HepTarget("localhost", server.port))
    for n in range(10):
        sink.send(batch_of(1, n))
        sink.send([])
    assert sink.sent >= 7
    assert len(server.received()) == sink.sent
    sink.close()
    server.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_an_idle_dead_host_is_noticed() -> None:
    """There is nothing to send, and nothing that is not acknowledged."""
    with Vanishing() as host:
        outbox = Outbox(HepSink(HepTarget(host.address, host.port, "tcp", dead_after_seconds=2.0)))
        outbox.put(batch_of(10))
        until(lambda: outbox.ledger().outcomes == {"sent": 10, "waiting": 0})
        host.vanish()
        until(lambda: outbox.down() is not None)
        assert outbox.ledger().outcomes == {"sent": 10, "waiting": 0}
        outbox.close(0.1)


@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
def test_keep_alive_packets_are_no_messages(tmp_path: Path, encrypted: bool) -> None:
    tls = certificate(tmp_path) if encrypted else None
    with Read(tls=tls) as there:
        target = HepTarget(
            "127.0.0.1",
            there.port,
            "tls" if tls else "tcp",
            tls_ca=str(tls or ""),
            keep_alive_seconds=0.5,
            dead_after_seconds=2.0,
            capture_id=7,
            node_name="core",
        )
        outbox = Outbox(HepSink(target))
        outbox.put(batch_of(10))
        until(lambda: len(packets(there)) >= 12)
        outbox.put(batch_of(10, 10))
        outbox.close(20)
        assert outbox.ledger().seen == outbox.ledger().outcomes["sent"] == 20
        found = packets(there)
    silent = [packet for packet in found if packet.protocol_type == 0]
    assert [packet.payload for packet in found if packet.protocol_type] == wanted(20)
    assert {(one.payload, one.keep_alive, one.capture_id, one.agent_name) for one in silent} == {(b"", 1, 7, b"core")}
    assert len(silent) >= 2


def test_a_receiver_that_acknowledges_is_not_dead_while_it_is_on_trial() -> None:
    """Trust may take longer than a receiver may be silent: until then its acknowledgements show that it lives."""
    with Read() as there, socket.create_connection(("127.0.0.1", there.port)) as raw:
        connection = SinkConnection(raw, hold_seconds=1.5, dead_after=0.3)
        assert connection.push(memoryview(b"some bytes")) == (10, None)
        assert connection.hold() is None
        assert connection.held
