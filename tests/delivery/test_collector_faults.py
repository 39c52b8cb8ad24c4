"""Collectors that are killed, cut off, frozen or slow, while numbered messages keep coming.

The books and the metrics say where each message is, at every moment. In the end all are sent: in order, none missing and
none twice beyond what docs/delivery.md says.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from faults.collectors import Collector
from faults.interfaces import ip, wires
from faults.peers import certificate
from figure_samples import figures, messages_of_sink
from free_ports import free_port
from sink_samples import batch_of, eventually

from capture_agent.config.targets import HepTarget
from capture_agent.delivery import outbox
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.figures import SinkFigures
from capture_agent.net import connection
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_sink import HepSink

pytestmark = pytest.mark.once
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")

MESSAGES = 100_000
AT_ONCE = 500
MOST_WAITING = 5_000  # messages in the queue that has a spool
PATIENCE = 120.0
DEAD_AFTER = 1.0
LEAST_BYTES = 250  # of a message as HEP
UNCONFIRMED_BYTES = 16 << 20  # docs/delivery.md: what the agent can send again
TLS_RECORD = 16 << 10
KERNEL_BYTES = max(map(int, Path("/proc/sys/net/ipv4/tcp_rmem").read_text().split()))


@lru_cache(1)
def messages() -> list[TracedMessage]:
    return batch_of(MESSAGES)


class Load:
    """An outbox that gets all messages from a thread of its own. `run`: calls an action where the agent is."""

    def __init__(self, target: HepTarget, folder: Path, spooled: bool, run: Callable[[Any], Any] = lambda do: do()):
        self.box: Outbox = run(lambda: self._outbox(target, folder, spooled))
        self.given = 0
        self._may_give = MESSAGES
        self._most = MOST_WAITING if spooled else MESSAGES
        self._exposition = Exposition(lambda: figures(sinks=[self._figures()]))
        self._thread = threading.Thread(target=self._give, daemon=True)

    @staticmethod
    def _outbox(target: HepTarget, folder: Path, spooled: bool) -> Outbox:
        sink, most = HepSink(target), 512 << 20
        if spooled:
            return SpooledOutbox(sink, Spool(folder / "spool" / "s", SpoolLimits()), 2 * MOST_WAITING, most, 0.1)
        return Outbox(sink, MESSAGES, most, 0.1)

    def _give(self) -> None:
        for at in range(0, MESSAGES, AT_ONCE):
            eventually(lambda: self.box._in_memory() + AT_ONCE <= self._most, PATIENCE)
            eventually(lambda at=at: at < self._may_give, PATIENCE)
            self.box.put(messages()[at : at + AT_ONCE])
            self.given = at + AT_ONCE
            time.sleep(0.005)

    def give(self, until: int) -> None:
        """Messages up to this one come now, while the caller goes on."""
        self._may_give = until
        if self._thread.ident is None:
            self._thread.start()

    def _figures(self) -> SinkFigures:
        return SinkFigures(self.box.name, "hep", self.box.ledger(), self.box.standing())

    def metrics(self) -> dict[str, int]:
        """What became of the messages so far."""
        return messages_of_sink(self._exposition.text()[0].decode())

    def check(self) -> None:
        """The books balance at this moment, and nothing is lost."""
        ledger = self.box.ledger()
        assert ledger.difference == 0, str(ledger)
        assert not any(ledger.lost.values()), str(ledger)

    def is_down(self) -> bool:
        return self.box.down() is not None

    def all_sent(self) -> bool:
        self.check()
        return self.given == MESSAGES and not self.box.ledger().outcomes["waiting"]

    def finish(self) -> None:
        """The rest comes, and all of it is delivered: seen = sent, in the books and the metrics."""
        self.give(MESSAGES)
        self._thread.join(PATIENCE)
        eventually(self.all_sent, PATIENCE)
        self.box.close(PATIENCE)
        self.check()
        assert self.metrics() == {"sent": MESSAGES, "waiting": 0}
        assert self.box.ledger().seen == MESSAGES


def received_in_order(collector: Collector, may_miss: int = 0, least: int = 0) -> None:
    """Each connection has messages without a gap. The next one begins with the first message that may not have been
    read; this many bytes may be missing before it. `least`: connections.
    """
    streams = collector.streams()
    assert len(streams) >= least
    for stream in streams:
        assert stream == list(range(stream[0], stream[-1] + 1)), "gap, or not in order"
    assert streams[-1][-1] == MESSAGES - 1
    end = -1
    for stream in streams:
        missing, twice = max(0, stream[0] - end - 1), max(0, end + 1 - stream[0])
        assert missing <= may_miss // LEAST_BYTES, [(one[0], one[-1]) for one in streams]
        assert twice <= UNCONFIRMED_BYTES // LEAST_BYTES
        end = max(end, stream[-1])


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the times that a connection needs to be trusted: nothing here is about their length."""
    monkeypatch.setattr(outbox, "LONGEST_DELAY", 0.2)
    monkeypatch.setattr(connection, "HOLD_SECONDS", 0.25)
    monkeypatch.setattr(connection, "MOST_HOLD_SECONDS", 1.25)
    monkeypatch.setattr(connection, "MOMENT", 0.01)


def target(collector: Collector, pem: Path | None, host: str = "127.0.0.1", **more: Any) -> HepTarget:
    more = {"dead_after_seconds": DEAD_AFTER} | more
    return HepTarget(host, collector.port, "tls" if pem else "tcp", tls_ca=str(pem or ""), **more)


over = pytest.mark.parametrize("transport", ["tcp", "tls"])
with_and_without = pytest.mark.parametrize("spooled", [False, True], ids=["queue", "spool"])


@over
@with_and_without
@pytest.mark.parametrize("duplicates", ["avoid", "prefer"])
def test_killed_and_restarted_under_load(
    transport: str, spooled: bool, duplicates: Any, pem: Path, tmp_path: Path
) -> None:
    """At once; later, when the connection is trusted; and between two messages."""
    tls = pem if transport == "tls" else None
    with Collector(tmp_path / "read", free_port(), tls) as collector:
        # With `prefer`, so long a message is in doubt: on a busy machine the collector may not read for a while.
        doubt = DEAD_AFTER if duplicates == "avoid" else 2.5
        made = target(collector, tls, duplicates_on_reconnect=duplicates, dead_after_seconds=doubt)
        load = Load(made, tmp_path, spooled)
        for until in (20_000, 60_000, 80_000):
            load.give(until)
            eventually(lambda until=until: load.given >= until // 2 and collector.bytes_read > until * 100, PATIENCE)
            collector.kill()
            load.give(until + 5000)
            eventually(load.is_down, PATIENCE)
            eventually(lambda: load.metrics()["waiting"] > 0, PATIENCE)
            load.check()
            collector.start()
            eventually(lambda: not load.is_down(), PATIENCE)
        load.finish()
        read_but_not_kept = TLS_RECORD if tls else 0  # by the program, in OpenSSL's buffer
        received_in_order(collector, KERNEL_BYTES if duplicates == "avoid" else read_but_not_kept, least=3)


@over
def test_frozen_for_longer_than_it_may_be(transport: str, pem: Path, tmp_path: Path) -> None:
    """It is sent everything that it has not acknowledged again; nothing is missing once it goes on."""
    tls = pem if transport == "tls" else None
    with Collector(tmp_path / "read", free_port(), tls) as collector:
        load = Load(target(collector, tls), tmp_path, True)
        load.give(40_000)
        eventually(lambda: collector.bytes_read > 3_000_000, PATIENCE)
        collector.freeze()
        load.give(MESSAGES)
        time.sleep(DEAD_AFTER * 2)
        load.check()
        collector.thaw()
        load.finish()
        received_in_order(collector)


@over
@with_and_without
def test_a_slow_reader(transport: str, spooled: bool, pem: Path, tmp_path: Path) -> None:
    """It is slower than the messages come, and its connection does not break."""
    tls = pem if transport == "tls" else None
    with Collector(tmp_path / "read", free_port(), tls, slowly=1 << 18) as collector:
        load = Load(target(collector, tls, dead_after_seconds=30.0), tmp_path, spooled)
        load.finish()
        received_in_order(collector)
        assert len(collector.streams()) == 1


CUTS = {
    "its link": lambda here, there: (there.down("eth1"), lambda: there.up("eth1")),
    "our link": lambda here, there: (here.down("eth1"), lambda: here.up("eth1")),
    "its address": lambda here, there: (
        ip("-n", there.name, "addr", "flush", "dev", "eth1"),
        lambda: ip("-n", there.name, "addr", "add", "192.0.2.2/24", "dev", "eth1"),
    ),
    "our route": lambda here, there: (
        ip("-n", here.name, "route", "add", "unreachable", "192.0.2.2"),
        lambda: ip("-n", here.name, "route", "del", "unreachable", "192.0.2.2"),
    ),
}


@needs_root
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.parametrize(
    ("seconds", "forgets"), [(DEAD_AFTER / 4, False), (DEAD_AFTER * 2, True)], ids=["short", "long, it forgets"]
)
def test_network_cut_and_healed(cut: Any, seconds: float, forgets: bool, tmp_path: Path) -> None:
    """`forgets`: during the cut the collector is killed and restarted, so a segment that reaches it later is reset."""
    with (
        wires() as (here, there),
        Collector(tmp_path / "read", 9060, address="0.0.0.0", inside=there.command()) as collector,
    ):
        load = Load(target(collector, None, "192.0.2.2", duplicates_on_reconnect="prefer"), tmp_path, True, here.run)
        load.give(60_000)
        eventually(lambda: collector.bytes_read > 3_000_000, PATIENCE)
        _, heal = cut(here, there)
        if forgets:
            collector.kill()
            collector.start()
        time.sleep(seconds)
        load.check()
        heal()
        load.finish()
        received_in_order(collector)


@needs_root
def test_half_open_while_idle(tmp_path: Path) -> None:
    """The collector is restarted while the network is cut: the agent finds it out before the next message."""
    with (
        wires() as (here, there),
        Collector(tmp_path / "read", 9060, address="0.0.0.0", inside=there.command()) as collector,
    ):
        load = Load(target(collector, None, "192.0.2.2"), tmp_path, False, here.run)
        load.give(20_000)
        eventually(lambda: load.box.ledger().outcomes["sent"] == 20_000, PATIENCE)
        there.down("eth1")
        collector.kill()
        eventually(load.is_down, PATIENCE)
        there.up("eth1")
        collector.start()
        eventually(lambda: not load.is_down(), PATIENCE)
        load.finish()
        received_in_order(collector, least=2)
        twice = sum(map(len, collector.streams())) - MESSAGES
        assert twice == 0
