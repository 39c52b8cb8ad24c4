"""Groups of HEP sinks with real collectors over TCP, which are killed and restarted under load."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest
from faults.peers import Read, nobody
from sink_samples import eventually, numbered, traced

from capture_agent.config import load
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.sections import QueueSection
from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery import outbox
from capture_agent.delivery.routes import Routes, queued
from capture_agent.net import connection
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sinks import make_sinks
from hep import StreamDecoder

pytestmark = pytest.mark.once
DEAD_AFTER = 5.0  # with `prefer`, so long a message is in doubt; readers here may be slow for a while


class Collectors:
    """On ports of their own, which they keep when they are killed and restarted."""

    def __init__(self, count: int) -> None:
        self.ports = [nobody() for _ in range(count)]
        self._running: list[Read | None] = [None] * count
        self._ended: list[list[Read]] = [[] for _ in range(count)]
        for n in range(count):
            self.start(n)

    def start(self, n: int) -> None:
        self._running[n] = one = Read(self.ports[n])
        one.__enter__()

    def kill(self, n: int) -> None:
        """Its connections are closed at once."""
        one, self._running[n] = self._running[n], None
        assert one is not None
        one.close()
        self._ended[n].append(one)

    def close(self) -> None:
        """Once they have read everything: the agent has closed its connections."""
        for n, one in enumerate(self._running):
            if one is not None:
                eventually(lambda one=one: one.is_at_rest, 60)
                self.kill(n)

    def received(self, n: int) -> list[int]:
        """The numbers of its messages, in the order in which they came."""
        running = self._running[n]
        every = [*self._ended[n], *([] if running is None else [running])]
        streams = [bytes(stream) for one in every for stream in one.streams]
        return [number(packet.payload or b"") for stream in streams for packet in StreamDecoder().feed(stream)]


class Peers(Protocol):
    """What a group of HEP sinks sends to; closed when the sinks are."""

    ports: list[int]

    def close(self) -> None: ...


def number(message: bytes) -> int:
    return int(message.partition(b"CSeq: ")[2].split()[0])


@contextmanager
def group(
    collectors: Peers, folder: Path, options: str, spool: bool = False
) -> Iterator[tuple[Routes, Callable[[TracedMessage], TracedMessage]]]:
    """The routes, and what makes a message one of the group."""
    file = folder / "agent.toml"
    sinks = "".join(
        f'[[hep]]\nuri = "hep+tcp:127.0.0.1:{port}"\nname = "homer-{n}"\nduplicates_on_reconnect = "prefer"\n'
        f"dead_after_seconds = {DEAD_AFTER}\n"
        for n, port in enumerate(collectors.ports)
    )
    members = ", ".join(f'"homer-{n}"' for n in range(len(collectors.ports)))
    file.write_text(f'{sinks}[[group]]\nname = "homers"\nmembers = [{members}]\n{options}\n')
    configured = ConfiguredSinks(load(file))
    section = SpoolSection(directory=str(folder / "spool") if spool else "")
    spools = {one.id: section for one in configured}
    routes = queued(make_sinks(configured), False, QueueSection(messages=400_000, mib=512), spools, configured.groups)
    traces: dict[bytes, Trace] = {}

    def of_group(one: TracedMessage) -> TracedMessage:
        leg = one.trace.correlation_id
        trace = traces.setdefault(leg, Trace(configured.groups[0].bit, leg))
        return TracedMessage(one.message, one.direction, trace)

    try:
        yield routes, of_group
    finally:
        routes.close(60)
        collectors.close()


def message(n: int, call: int, leg: bytes = b"") -> TracedMessage:
    return traced(numbered(call).replace(b"CSeq: 1 ", b"CSeq: %d " % n), trace=Trace(correlation_id=leg))


def balanced(routes: Routes) -> Counter[str]:
    """All outcomes, of books that balance."""
    found: Counter[str] = Counter()
    for ledger in routes.ledgers():
        assert ledger.difference == 0, str(ledger)
        found += Counter(ledger.outcomes) + Counter(ledger.lost) + Counter(ledger.rejected)
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "LONGEST_DELAY", 0.3)
    monkeypatch.setattr(connection, "HOLD_SECONDS", 0.25)
    monkeypatch.setattr(connection, "MOST_HOLD_SECONDS", 1.25)


CALLS = 100_000


def test_a_hundred_thousand_calls_over_four_collectors(tmp_path: Path) -> None:
    """One is killed under load and comes back. Call n has messages n, n + CALLS and n + 2 * CALLS."""
    collectors = Collectors(4)
    with group(collectors, tmp_path, 'mode = "hash"\nback_after_seconds = 0.5') as (routes, of_group):
        for first in range(0, CALLS, 500):
            routes.put([of_group(message(n, n)) for n in range(first, first + 500)])
        eventually(lambda: balanced(routes)["sent"] == CALLS, 60)
        eventually(lambda: sum(len(collectors.received(n)) for n in range(4)) == CALLS, 60)
        before = [set(collectors.received(n)) for n in range(4)]
        for at in range(CALLS, 2 * CALLS, 500):
            routes.put([of_group(message(n, n - CALLS)) for n in range(at, at + 500)])
            if at == CALLS + 30_000:
                collectors.kill(2)
        eventually(lambda: routes.groups()[0].members[2] is False, 30)
        eventually(lambda: balanced(routes)["waiting"] == 0, 60)
        collectors.start(2)
        eventually(lambda: routes.groups()[0].members[2], 30)
        for at in range(2 * CALLS, 3 * CALLS, 500):
            routes.put([of_group(message(n, n - 2 * CALLS)) for n in range(at, at + 500)])
    received = [collectors.received(n) for n in range(4)]
    assert all(abs(len(calls) * 4 / CALLS - 1) < 0.05 for calls in before), [len(calls) for calls in before]
    assert sum(map(len, before)) == CALLS
    middle = [{n - CALLS for n in found if CALLS <= n < 2 * CALLS} for found in received]
    last = [{n - 2 * CALLS for n in found if n >= 2 * CALLS} for found in received]
    for n in (0, 1, 3):
        assert before[n] <= middle[n]  # none of their calls has moved
        assert middle[n] - before[n] <= before[2]
    assert middle[2] <= before[2]
    assert last == before
    everything = Counter(number for found in received for number in found)
    assert set(everything) == set(range(3 * CALLS))
    twice = {number for number, times in everything.items() if times > 1}
    assert all(number % CALLS in before[2] for number in twice)  # what the killed one may not have read
    books = balanced(routes)
    assert books["moved"] > 0
    assert set(books) <= {"sent", "moved", "waiting"}
    assert books["sent"] == 3 * CALLS


@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
def test_a_pair_is_killed_in_turn_under_load(spool: bool, tmp_path: Path) -> None:
    collectors = Collectors(2)
    total, at = 40_000, 0
    with group(collectors, tmp_path, 'mode = "failover"\nback_after_seconds = 0.4', spool) as (routes, of_group):

        def feed(until: int) -> None:
            nonlocal at
            while at < until:
                routes.put([of_group(message(n, n)) for n in range(at, at + 100)])
                at += 100
                time.sleep(0.002)

        def is_active(n: int) -> Callable[[], bool]:
            return lambda: routes.groups()[0].members[n]

        feed(5000)
        collectors.kill(0)
        feed(12_000)
        eventually(is_active(1), 30)
        collectors.start(0)
        eventually(is_active(0), 30)
        feed(20_000)
        collectors.kill(0)
        feed(25_000)
        eventually(is_active(1), 30)
        collectors.kill(1)  # both
        feed(30_000)
        collectors.start(0)
        eventually(is_active(0), 30)
        feed(35_000)
        collectors.start(1)
        feed(total)
    received = [collectors.received(n) for n in range(2)]
    everything = Counter(number for found in received for number in found)
    assert set(everything) == set(range(total))
    books = balanced(routes)
    assert set(books) <= {"sent", "moved", "waiting"}, books
    assert books["sent"] == total
    for found in received:  # in order: what comes again after a break was first read before it
        fresh = list(dict.fromkeys(found))
        assert fresh == sorted(fresh)


def test_a_member_that_bounces_is_left_alone(tmp_path: Path) -> None:
    collectors = Collectors(2)
    with group(collectors, tmp_path, 'mode = "failover"\nback_after_seconds = 30') as (routes, of_group):
        collectors.kill(0)
        routes.put([of_group(message(n, n)) for n in range(100)])
        eventually(lambda: routes.groups()[0].members[1], 30)
        for round_ in range(1, 6):
            collectors.start(0)
            eventually(lambda: routes.route(0).up_seconds >= 0, 30)
            routes.put([of_group(message(n, n)) for n in range(100 * round_, 100 * round_ + 100)])
            collectors.kill(0)
            eventually(lambda: routes.route(0).up_seconds < 0, 30)
            assert routes.groups()[0].members == {0: False, 1: True}
    assert collectors.received(0) == []
    assert collectors.received(1) == list(range(600))


def test_both_legs_at_one_collector(tmp_path: Path) -> None:
    collectors = Collectors(3)
    with group(collectors, tmp_path, 'mode = "hash"\nkey = "leg"') as (routes, of_group):
        for call in range(0, 3000, 2):  # legs `call` and `call + 1`
            leg = b"call-%d" % call
            routes.put([of_group(message(call, call)), of_group(message(call + 1, call + 1, leg))])
    received = [set(collectors.received(n)) for n in range(3)]
    assert sum(map(len, received)) == 3000
    assert all(any({call, call + 1} <= found for found in received) for call in range(0, 3000, 2))
    assert all(len(found) > 700 for found in received)


def test_a_mirror_while_one_is_killed(tmp_path: Path) -> None:
    collectors = Collectors(2)
    with group(collectors, tmp_path, 'mode = "mirror"') as (routes, of_group):
        for n in range(0, 4000, 100):
            if n == 1000:
                collectors.kill(1)
            if n == 3000:
                collectors.start(1)
            routes.put([of_group(message(one, one)) for one in range(n, n + 100)])
            time.sleep(0.002)
        eventually(lambda: balanced(routes)["sent"] == 8000, 30)
    assert collectors.received(0) == list(range(4000))
    assert set(collectors.received(1)) == set(range(4000))
    assert "moved" not in balanced(routes)
