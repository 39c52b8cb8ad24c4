"""Receivers that are down while the agent is stopped or killed and started again: each message once, and in order.

An agent here is a process with an outbox. The books and the metrics say where each message is.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.databases import KINDS, Database
from faults.peers import Read, certificate
from figure_samples import figures
from free_ports import free_port
from sink_samples import batch_of, eventually

from capture_agent.config.targets import HepTarget, SqlTarget
from capture_agent.delivery import outbox as outbox_module
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.figures import SinkFigures
from capture_agent.net import connection
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import Sink
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink
from hep import StreamDecoder

pytestmark = pytest.mark.once

PATIENCE = 60.0
UP, DOWN = 2_000, 5_000  # messages while the receiver is up, and in each run while it is down
AT_ONCE = 500

AGENT = """
import sys
from pathlib import Path
from test_spool_restarts import QUICK, give, is_sent, is_stored, outbox
from sink_samples import eventually
for (module, name), value in QUICK.items():
    setattr(module, name, value)
box = outbox(sys.argv[1], Path(sys.argv[2]))
first, last = int(sys.argv[3]), int(sys.argv[4])
give(box, first, last)
eventually(lambda: is_stored(box) if sys.argv[5] == "down" else is_sent(box), 60)
print("ready", flush=True)
sys.stdin.readline()
box.close(0.3)
print(box.ledger().difference, *box.ledger().outcomes.values(), box.ledger().lost.total())
"""


QUICK = {
    (outbox_module, "LONGEST_DELAY"): 0.2,
    (connection, "HOLD_SECONDS"): 0.25,
    (connection, "MOST_HOLD_SECONDS"): 1.25,
}  # nothing here is about their length


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for (module, name), value in QUICK.items():
        monkeypatch.setattr(module, name, value)


def sink_of(place: str) -> Sink:
    """`place`: the URL of a database, or the port of a HEP collector and the file of its certificate."""
    if "://" in place:
        return SqlSink(SqlTarget(place))
    port, tls_ca = place.split(" ")
    return HepSink(HepTarget("127.0.0.1", int(port), "tls", tls_ca=tls_ca))


def outbox(place: str, folder: Path) -> SpooledOutbox:
    return SpooledOutbox(sink_of(place), Spool(folder / "spool" / "s", SpoolLimits()), first_delay=0.05)


def give(box: SpooledOutbox, first: int, last: int) -> None:
    for at in range(first, last, AT_ONCE):
        box.put(batch_of(min(AT_ONCE, last - at), at))


def is_sent(box: SpooledOutbox) -> bool:
    return not box.ledger().outcomes["waiting"]


def is_stored(box: SpooledOutbox) -> bool:
    return not (box._in_memory() or box._hand)


class Receiver:
    """The database, or a collector over TLS."""

    def __init__(self, kind: str, database: Database | None, folder: Path) -> None:
        self._database = database
        self._certificate = certificate(folder) if database is None else folder
        self._port = free_port()
        self._peers: list[Read] = []
        if database is not None:
            create_tables(database.url)
        self.place = database.url if database is not None else f"{self._port} {self._certificate}"

    def start(self) -> None:
        if self._database is None:
            self._peers.append(Read(self._port, self._certificate))
            self._peers[-1].__enter__()
        elif self._database.server is not None:
            self._database.server.start()
        else:
            self._away().rename(self._database.path.parent)

    def stop(self) -> None:
        if self._database is None:
            self._peers[-1].close()
        elif self._database.server is not None:
            self._database.server.stop()
        else:
            self._database.path.parent.rename(self._away())

    def _away(self) -> Path:
        assert self._database is not None
        return self._database.path.parent.with_name("away")

    def received(self) -> list[str]:
        if self._database is not None:
            return [str(one) for one in self._database.rows()]
        streams = [bytes(stream) for peer in self._peers for stream in peer.streams]
        packets = [packet.payload or b"" for stream in streams for packet in StreamDecoder().feed(stream)]
        return [one.partition(b"Call-ID: ")[2].partition(b"\r")[0].decode() for one in packets]


@pytest.fixture(params=[*KINDS, "tls"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    """It is up."""
    kind = str(request.param)
    database = None
    (tmp_path / "receiver").mkdir()
    if kind == "sqlite":
        database = Database(kind, None, tmp_path / "receiver")
    elif kind != "tls":
        server = request.getfixturevalue("fault_servers")[kind]
        server.start()
        database = Database(kind, server, tmp_path)
    made = Receiver(kind, database, tmp_path / "receiver")
    if database is None:
        made.start()
    yield made
    for peer in made._peers:
        peer.close()


@contextmanager
def agent(place: str, folder: Path, first: int, last: int, state: str) -> Iterator[subprocess.Popen[str]]:
    """It has given these messages to its sink: they are sent, or stored."""
    process = subprocess.Popen(
        [sys.executable, "-c", AGENT, place, str(folder), str(first), str(last), state],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def end(process: subprocess.Popen[str], how: str) -> list[int]:
    """Its books: difference, sent, waiting, lost; none of one that is killed."""
    if how == "killed":
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        return []
    return list(map(int, process.communicate("\n", timeout=PATIENCE)[0].split()))


def measured(box: SpooledOutbox) -> dict[str, int]:
    """What the metrics say of the messages."""
    sink = SinkFigures(box.name, "sink", box.ledger(), box.standing())
    text = Exposition(lambda: figures(sinks=[sink])).text()[0].decode()
    found = re.findall(r'^capture_agent_sink_messages_total\{outcome="(\w+)".*?\} ([0-9.]+)$', text, re.MULTILINE)
    waiting = re.findall(r"^capture_agent_sink_(queue_messages)\{.*?\} ([0-9.]+)$", text, re.MULTILINE)
    return {name: int(float(count)) for name, count in [*found, *waiting] if float(count)}


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_an_outage_over_several_runs(receiver: Receiver, tmp_path: Path, how: str) -> None:
    with agent(receiver.place, tmp_path, 0, UP, "up") as process:
        receiver_was_up = end(process, how)
    assert receiver_was_up in ([], [0, UP, 0, 0])
    receiver.stop()
    at = UP
    for run in (1, 2):
        with agent(receiver.place, tmp_path, at, at + DOWN, "down") as process:
            assert end(process, how) in ([], [0, 0, run * DOWN, 0])
        at += DOWN
    box = outbox(receiver.place, tmp_path)
    give(box, at, at + DOWN)
    eventually(lambda: box.ledger().outcomes["waiting"] == 3 * DOWN, PATIENCE)
    assert measured(box) == {"queue_messages": 3 * DOWN}
    receiver.start()
    give(box, at + DOWN, at + 2 * DOWN)
    eventually(lambda: is_sent(box), PATIENCE)
    box.close(PATIENCE)
    ledger = box.ledger()
    assert (ledger.seen, ledger.difference, ledger.lost.total()) == (4 * DOWN, 0, 0)
    assert measured(box) == {"sent": 4 * DOWN}
    eventually(lambda: len(receiver.received()) >= UP + 4 * DOWN, PATIENCE)
    assert receiver.received() == [f"call-{n}" for n in range(UP + 4 * DOWN)]
