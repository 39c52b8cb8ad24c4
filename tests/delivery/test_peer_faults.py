"""Connections that break for reasons of their own: a forged reset, a name with another address, a bad certificate.

As in test_collector_faults.py, all numbered messages are sent in the end: in order, none missing.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doctor.patients import certificate
from faults.collectors import Collector
from faults.interfaces import Namespace, wires
from faults.names import Names
from free_ports import free_port
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from sink_samples import eventually
from test_collector_faults import DEAD_AFTER, PATIENCE, TLS_RECORD, Load, needs_root, received_in_order, target

from capture_agent.config.targets import HepTarget
from capture_agent.delivery import outbox
from capture_agent.net import connection

pytestmark = pytest.mark.once

AGENT = "import sys; from test_peer_faults import agent; agent(*sys.argv[1:])"
ETH_P_ALL = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LONGEST_DELAY", 0.2)
    monkeypatch.setattr(connection, "HOLD_SECONDS", 0.25)
    monkeypatch.setattr(connection, "MOST_HOLD_SECONDS", 1.25)
    monkeypatch.setattr(connection, "MOMENT", 0.01)


def forge_reset(there: Namespace, port: int) -> None:
    """To the agent, with the number that it expects next: the collector says nothing, so that is the one in each ACK."""

    def forge() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as wire:
            wire.bind(("eth1", 0))
            wire.settimeout(PATIENCE)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                seen = Ether(wire.recv(65535))
                if TCP in seen and seen[TCP].sport == port and seen[TCP].flags == "A":
                    break
            ends = {"sport": port, "dport": seen[TCP].dport}
            packet = IP(src=seen[IP].src, dst=seen[IP].dst) / TCP(**ends, flags="R", seq=seen[TCP].seq)
            wire.send(bytes(Ether(src=seen.src, dst=seen.dst) / packet))

    there.run(forge)


@needs_root
def test_a_reset_in_the_middle_of_load(tmp_path: Path) -> None:
    """That neither end has sent, as of a firewall."""
    with (
        wires() as (here, there),
        Collector(tmp_path / "read", 9060, address="0.0.0.0", inside=there.command()) as collector,
    ):
        load = Load(target(collector, None, "192.0.2.2", duplicates_on_reconnect="prefer"), tmp_path, True, here.run)
        for connections, until in enumerate((20_000, 50_000, 80_000), 1):
            load.give(until)
            eventually(lambda until=until: collector.bytes_read > (until - 15_000) * 250, PATIENCE)
            load.give(until + 5000)
            forge_reset(there, 9060)
            load.give(until + 10_000)
            eventually(lambda n=connections: len(list(collector.folder.glob("*.hep"))) > n, PATIENCE)
            load.check()
        load.finish()
        received_in_order(collector, least=2)


@pytest.mark.parametrize(
    "bad", [pytest.param({"days": -1}, id="expired"), pytest.param({"names": "DNS:other.test"}, id="of another name")]
)
def test_a_certificate_that_is_bad_for_a_while(
    bad: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is sent meanwhile, and the log says why."""
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    known, other = certificate(tmp_path / "good"), certificate(tmp_path / "bad", **bad)  # type: ignore[arg-type]
    trusted, used = tmp_path / "trusted.pem", tmp_path / "used.pem"
    trusted.write_bytes(known.read_bytes() + other.read_bytes())
    used.write_bytes(known.read_bytes())
    with Collector(tmp_path / "read", free_port(), used) as collector:
        one = target(collector, trusted, duplicates_on_reconnect="prefer")
        load = Load(one, tmp_path, True)
        load.give(40_000)
        eventually(lambda: collector.bytes_read > 20_000 * 250, PATIENCE)
        collector.kill()
        used.write_bytes(other.read_bytes())
        collector.start()
        eventually(lambda: load.is_down() and "certificate" in caplog.text, PATIENCE)
        before = collector.bytes_read
        load.give(60_000)
        eventually(lambda: load.given == 60_000, PATIENCE)
        load.check()
        assert load.metrics()["waiting"] >= 20_000
        assert collector.bytes_read == before
        collector.kill()
        used.write_bytes(known.read_bytes())
        collector.start()
        load.finish()
        received_in_order(collector, TLS_RECORD, least=2)


def agent(folder: str) -> None:
    """A process with a load: lines on its standard input say how many messages may come; the end, that all do."""
    outbox.LONGEST_DELAY, connection.HOLD_SECONDS, connection.MOST_HOLD_SECONDS = 0.3, 0.25, 1.25
    one = HepTarget(
        "collector.test", 9060, "tcp", dead_after_seconds=DEAD_AFTER, duplicates_on_reconnect="prefer"
    )  # fmt: skip
    load = Load(one, Path(folder), True)
    for line in sys.stdin:
        load.give(int(line))
    load.finish()


@needs_root
def test_a_name_whose_address_changes(tmp_path: Path) -> None:
    """While it is connected, nothing happens; after a break the agent goes where the name leads then."""
    with Names() as host:
        one, two = (
            Collector(tmp_path / "read", 9060, address=address, inside=host.inside())
            for address in ("127.0.0.2", "127.0.0.3")
        )
        host.say("collector.test", one_address := "127.0.0.2")
        with one, two:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            process = host.start(
                sys.executable, "-c", AGENT, str(tmp_path), stdin=subprocess.PIPE, env=environment
            )  # fmt: skip
            assert process.stdin is not None

            def give(until: int) -> None:
                assert process.stdin is not None
                process.stdin.write(b"%d\n" % until)
                process.stdin.flush()

            try:
                give(20_000)
                eventually(lambda: one.bytes_read > 15_000 * 250, PATIENCE)
                host.say("collector.test", "127.0.0.3")
                give(40_000)
                eventually(lambda: one.bytes_read > 35_000 * 250, PATIENCE)
                assert len(list(one.folder.glob("*.hep"))) == 1
                one.kill()
                give(60_000)
                eventually(lambda: one.bytes_read > 50_000 * 250, PATIENCE)  # of both: the folder is the same
                host.say("collector.test")
                two.kill()
                give(80_000)
                time.sleep(DEAD_AFTER)
                one.start()
                host.say("collector.test", "127.0.0.3", one_address)  # the first one is down
                process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
                process.wait()
            assert process.returncode == 0
            received_in_order(one, least=3)
