"""Messages count as sent once acknowledged on a connection that holds: with peers that close, reset, hang, talk, vanish."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import Packet, capture_agent, pcap, sip
from faults.peers import AcceptAndClose, LateClose, NeverRead, Peer, Read, Reset, Silent, Talk, Vanishing, until
from free_ports import free_port
from sink_samples import batch_of, numbered

from capture_agent.config.targets import HepTarget
from capture_agent.delivery import outbox as outboxes
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.net import connection as stream
from capture_agent.net import tcp_sender as tcp
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import handled
from hep import StreamDecoder

PATIENCE: dict[str, float] = {}
MANY = 8000  # more than the kernels keep for a peer that does not read


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATIENCE, "dead_after_seconds", 1.0)
    monkeypatch.setattr(stream, "HOLD_SECONDS", 0.3)
    monkeypatch.setattr(tcp, "GOODBYE_SECONDS", 0.5)
    monkeypatch.setattr(outboxes, "SETTLE_AFTER", 0.1)


@pytest.fixture
def patient(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For peers that read, but on a busy machine not at once."""
    monkeypatch.setitem(PATIENCE, "dead_after_seconds", 20.0)


def sink_to(port: int, tls: Path | None = None) -> HepSink:
    return HepSink(HepTarget("127.0.0.1", port, "tls" if tls else "tcp", tls_ca=str(tls or ""), **PATIENCE))


def read_by(peer: Peer) -> list[bytes]:
    """The messages that it has read, in order, from all its connections."""
    return [packet.payload or b"" for data in peer.streams for packet in StreamDecoder().feed(bytes(data))]


PEERS: dict[str, Callable[[Path | None], Peer]] = {
    "accepts and closes": lambda tls: AcceptAndClose(tls=tls),
    "resets": lambda tls: Reset(tls=tls),
    "resets after some": lambda tls: Reset(50_000, tls=tls),
    "never reads": lambda tls: NeverRead(tls=tls),
    "never accepts": lambda tls: Silent(tls=tls),
}


@pytest.mark.parametrize("count", [11, MANY])
@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize("peer", PEERS)
def test_nothing_is_sent_that_was_not_read(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, peer: str, encrypted: bool, count: int
) -> None:
    # The peer's threads may be slow to close: only the one that reads everything is believed to hold.
    monkeypatch.setattr(stream, "HOLD_SECONDS", 0.8 if (peer, count) == ("resets after some", 11) else 60.0)
    tls = certificate if encrypted else None
    with PEERS[peer](tls) as there:
        direct = Direct(sink_to(there.port, tls))
        for first in range(0, count, 500):
            direct.put(batch_of(min(500, count - first), first, size=500))
            assert direct.ledger().difference == 0
        direct.close()
        ledger = direct.ledger()
        read = set(read_by(there))
    assert (ledger.difference, ledger.outcomes["waiting"]) == (0, 0)
    if peer in ("never reads", "never accepts") and ledger.outcomes["sent"]:
        # Its kernel has acknowledged everything and keeps the connection: it cannot be distinguished from a slow reader.
        assert (ledger.outcomes["sent"], count, direct.failure) == (11, 11, None)
        return
    assert ledger.outcomes["sent"] <= len(read)
    if peer == "resets after some" and count == 11:
        assert ledger.outcomes["sent"] == 11  # it has read them all before it resets
    else:
        assert direct.failure is not None
        assert sum(ledger.lost.values()) == count - ledger.outcomes["sent"]


@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
def test_a_peer_that_closes_late_has_read_no_more(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, encrypted: bool, seconds: float
) -> None:
    # Old enough to hold, if the one before had not been reset at the same age.
    monkeypatch.setitem(PATIENCE, "dead_after_seconds", 10.0)
    tls = certificate if encrypted else None
    with LateClose(seconds, tls) as there:
        direct = Direct(sink_to(there.port, tls))
        for first in range(0, MANY, 500):
            direct.put(batch_of(500, first, size=500))
        direct.close()
        ledger = direct.ledger()
    assert there.connections > 1
    assert (ledger.difference, ledger.outcomes) == (0, {"sent": 0, "waiting": 0})
    assert direct.failure is not None


def test_packets_after_a_trial_count_once_the_connection_has_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each connection takes 100,000 bytes and is reset, even after it has passed a trial."""
    monkeypatch.setitem(PATIENCE, "dead_after_seconds", 20.0)
    with Reset(100_000) as there:
        outbox = Outbox(sink_to(there.port), first_delay=0.1)
        for first in range(0, 2000, 100):
            outbox.put(batch_of(100, first, size=500))
        until(lambda: there.connections >= 6)
        outbox.close(0.1)
        ledger = outbox.ledger()
        read = set(read_by(there))
    assert ledger.difference == 0
    assert ledger.outcomes["sent"] <= len(read)


@pytest.mark.parametrize("peer", ["resets once", "reads"])
def test_possible_duplicates_are_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, peer: str
) -> None:
    monkeypatch.setattr(stream, "HOLD_SECONDS", 2.0)  # it has not held when it is reset
    monkeypatch.setitem(PATIENCE, "dead_after_seconds", 20.0)
    with Reset(2000 * 500, times=1) if peer == "resets once" else Read() as there:
        direct = Direct(sink_to(there.port))
        for first in range(0, 4000, 500):
            direct.put(batch_of(500, first, size=500))
        direct.close()
        read = read_by(there)
    said = [record.getMessage() for record in caplog.records if "may have them twice: about" in record.getMessage()]
    assert bool(said) == (peer == "resets once") == (len(read) > 4000)


@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(lambda tls: Read(tls=tls), id="reads"),
        pytest.param(lambda tls: Read(slowly=60_000, tls=tls), id="reads slowly"),
        pytest.param(lambda tls: Reset(times=1, tls=tls), id="resets once"),
        pytest.param(lambda tls: Reset(50_000, times=1, tls=tls), id="resets once, after some"),
    ],
)
@pytest.mark.usefixtures("patient")
def test_everything_arrives(certificate: Path, peer: Callable[[Path | None], Peer], encrypted: bool) -> None:
    tls = certificate if encrypted else None
    with peer(tls) as there:
        direct = Direct(sink_to(there.port, tls))
        for first in range(0, 2000, 500):
            direct.put(batch_of(500, first, size=500))
        direct.close()
        assert direct.failure is None
        assert direct.ledger().outcomes == {"sent": 2000, "waiting": 0}
        last = list(StreamDecoder().feed(bytes(there.streams[-1])))
        assert [packet.payload for packet in last] == [numbered(n, 500) for n in range(2000)][-len(last) :]
        assert set(read_by(there)) == {numbered(n, 500) for n in range(2000)}


@pytest.mark.parametrize("quickly", [False, True], ids=["trickles", "floods"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["tcp", "tls"])
def test_a_peer_that_talks_does_not_keep_us(certificate: Path, encrypted: bool, quickly: bool) -> None:
    tls = certificate if encrypted else None
    with Talk(quickly, tls) as there:
        sink = sink_to(there.port, tls)
        direct = Direct(sink)
        direct.put(batch_of(10))
        ending = threading.Thread(target=direct.close, daemon=True)
        ending.start()
        ending.join(30)
        assert not ending.is_alive()
        assert read_by(there) == [numbered(n) for n in range(10)]
        assert direct.ledger().difference == 0


@pytest.mark.usefixtures("patient")
def test_a_place_without_a_server_is_down_and_nothing_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Like a load balancer that accepts connections without a server."""
    with caplog.at_level(logging.INFO), AcceptAndClose() as balancer:
        outbox = Outbox(sink_to(balancer.port), first_delay=0.2)
        for first in range(0, 2000, 100):
            outbox.put(batch_of(100, first))
            ledger = outbox.ledger()
            assert (ledger.difference, ledger.outcomes["sent"]) == (0, 0)
        until(lambda: balancer.connections >= 4)
        assert (
            1 <= len(caplog.records) == len({record.getMessage() for record in caplog.records}) <= 3
        )  # each reason once
        balancer.close()
        with Read(balancer.port) as server:
            until(lambda: outbox.ledger().outcomes == {"sent": 2000, "waiting": 0})
            outbox.close()
            assert read_by(server) == [numbered(n) for n in range(2000)]
    assert balancer.connections < 12
    assert outbox.failure is None
    said = [record.getMessage() for record in caplog.records if record.name == "capture_agent.delivery.outbox"]
    assert 2 <= len(said) == len(set(said)) <= 5
    assert ": up again after " in said[-1]


def test_unconfirmed_messages_are_sent_again_without_new_ones() -> None:
    with Reset(times=1) as there:
        outbox = Outbox(sink_to(there.port))
        outbox.put(batch_of(3))
        until(lambda: outbox.ledger().outcomes == {"sent": 3, "waiting": 0})
        outbox.close()
        assert read_by(there) == [numbered(n) for n in range(3)]


def test_unconfirmed_messages_are_lost_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    with AcceptAndClose() as there, caplog.at_level(logging.WARNING):
        outbox = Outbox(sink_to(there.port))
        outbox.put(batch_of(3))
        outbox.close()
    assert outbox.ledger().outcomes == {"sent": 0, "waiting": 0}
    assert sum(outbox.ledger().lost.values()) == 3
    assert "the other side has closed the connection" in caplog.text or "connection reset by peer" in caplog.text


def test_who_keeps_the_connection_and_has_acknowledged_everything_has_held_it() -> None:
    with NeverRead() as there:
        outbox = Outbox(sink_to(there.port))
        outbox.put(batch_of(3))
        outbox.close()
    assert outbox.ledger().outcomes == {"sent": 3, "waiting": 0}
    assert outbox.failure is None


def test_a_message_that_makes_the_other_side_close_does_not_hold_up_the_others() -> None:
    class Picky(Peer):
        """Like a SIP server with messages that it cannot parse."""

        def serve(self, connection, stream):  # type: ignore[no-untyped-def]
            while data := connection.recv(1000):
                stream += data
                if numbered(150) in stream:
                    break
            connection.close()

    with Picky() as there:
        outbox = Outbox(sink_to(there.port), first_delay=0.01)
        outbox.put(batch_of(300))
        until(lambda: outbox.ledger().outcomes == {"sent": 300, "waiting": 0})
        outbox.close()
        assert set(read_by(there)) == {numbered(n) for n in range(300)}


def test_the_endpoints_are_those_of_the_open_connection() -> None:
    with Reset(after=1, times=1) as there:
        sink = sink_to(there.port)
        assert sink.endpoints_now is None
        sink.open()
        first = sink.endpoints_now
        assert first is not None
        assert first[1] == (bytes([127, 0, 0, 1]), there.port)
        sink.send(batch_of(1))
        until(lambda: not sink.send([]) and there.connections == 2)
        assert sink.endpoints_now not in (None, first)
        sink.close()
        assert sink.endpoints_now is None


def test_a_refused_connection_keeps_unconfirmed_messages() -> None:
    with AcceptAndClose() as there:
        sink = sink_to(there.port)
        with pytest.raises(SinkError):
            sink.send(batch_of(10))
            until(lambda: sink.send([]))  # which says nothing until it raises
        taken = handled(sink)
    assert (sink.sent, sink.unconfirmed) == (0, taken)
    with pytest.raises(SinkError, match="connection refused$"):
        sink.send(batch_of(1))
    assert handled(sink) == taken
    sink.close()
    assert (sum(sink.lost.values()), sink.unconfirmed) == (taken, 0)


def test_nobody_listens() -> None:
    with pytest.raises(SinkError, match="connection refused$"):
        sink_to(free_port()).send(batch_of(1))


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_a_host_that_vanishes_is_noticed_by_the_kernel() -> None:
    """Unacknowledged messages do not count as sent."""
    with Vanishing() as host:
        sink = HepSink(HepTarget(host.address, host.port, "tcp", dead_after_seconds=2.0))
        outbox = Outbox(sink)
        outbox.put(batch_of(10))
        until(lambda: outbox.ledger().outcomes == {"sent": 10, "waiting": 0})
        host.vanish()
        outbox.put(batch_of(10, 10))
        until(lambda: outbox.down() is not None)
        assert outbox.ledger().outcomes == {"sent": 10, "waiting": 10}
        outbox.close(0.1)


def test_replay_says_it(tmp_path: Path) -> None:
    frames = [Packet(n, "10.0.0.1", "10.0.0.2", sip("OPTIONS sip:b SIP/2.0", f"c{n}")) for n in range(50)]
    (tmp_path / "a.pcap").write_bytes(pcap(frames))
    with AcceptAndClose() as there:
        name = f"hep+tcp:127.0.0.1:{there.port}"
        ended = capture_agent("replay", "a.pcap", "--hep", name, folder=tmp_path)
    assert ended.status == 1
    assert f"{name}: 50 seen, 0 sent, 0 waiting, 50 lost (" in ended.err or "sent" not in ended.err  # closed too early
    assert ended.err.splitlines()[-1].startswith(f"capture-agent: replay: {name}: ")
