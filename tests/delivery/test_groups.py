"""Groups of sinks: who gets a message, what moves when a member is down, and that nothing is lost or doubled."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from group_samples import GROUP_ID, Pool, message_of, numbers, once
from sink_samples import eventually, traced

from capture_agent.config.configured_sinks import ConfiguredGroup
from capture_agent.config.groups import Group
from capture_agent.delivery import spool_writer, spooled_outbox
from capture_agent.delivery.sink_groups import Groups, Relief
from capture_agent.delivery.spool import spool as spool_module
from capture_agent.records.traced import Trace, TracedMessage

GROUP = 1 << GROUP_ID
NAMES = {0: "a", 1: "b", 2: "c"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.01)
    for module in (spooled_outbox, spool_writer):
        monkeypatch.setattr(module, "TOGETHER_SECONDS", 0.005)
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)


@pytest.fixture(params=["memory", "spool"])
def spool(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "spool" else None


@pytest.mark.parametrize("direct", [False, True], ids=["live", "replay"])
def test_a_mirror_gives_everything_to_all(direct: bool) -> None:
    pool = Pool("mirror", direct=direct)
    pool.put(0, 100)
    pool.close()
    assert [numbers(sink) for sink in pool.sinks] == [list(range(100))] * 3


def test_a_member_of_a_mirror_that_is_down_keeps_its_own_messages() -> None:
    pool = Pool("mirror")
    pool.sinks[1].up = False
    pool.put(0, 100)
    eventually(lambda: pool.boxes[0].ledger().outcomes["sent"] == 100)
    assert pool.boxes[1].ledger().outcomes["waiting"] == 100
    pool.sinks[1].up = True
    pool.settle()
    pool.close()
    assert [numbers(sink) for sink in pool.sinks] == [list(range(100))] * 3


@pytest.mark.parametrize("keeps", [0, 30], ids=["confirmed at once", "unconfirmed"])
def test_failover_moves_what_waits_in_order(spool: Path | None, keeps: int) -> None:
    pool = Pool("failover", keeps=keeps, spool=spool, back_after=60)
    pool.put(0, 50)
    eventually(lambda: pool.boxes[0].ledger().outcomes["sent"] + keeps == 50)
    pool.sinks[0].up = False
    for n in range(50, 500, 50):
        pool.put(n, 50)
    eventually(lambda: pool.has_left(0))
    pool.put(500, 50)
    pool.sinks[0].up = True
    eventually(lambda: pool.boxes[0].standing().up)
    pool.put(550, 50)
    assert pool.close() == once(600)
    assert numbers(pool.sinks[0]) == list(range(50 - keeps))
    assert numbers(pool.sinks[1]) == list(range(50 - keeps, 600))
    assert numbers(pool.sinks[2]) == []
    assert pool.boxes[0].ledger().outcomes["moved"] == pool.boxes[0].ledger().seen - (50 - keeps)
    assert pool.lost() == 0


def test_it_goes_back_when_the_first_has_been_up_for_long_enough(spool: Path | None) -> None:
    pool = Pool("failover", spool=spool, back_after=0.3)
    pool.sinks[0].up = False
    pool.put(0, 10)
    eventually(lambda: pool.has_left(0))
    pool.sinks[0].up = True
    eventually(lambda: not pool.has_left(0))
    pool.put(10, 10)
    assert pool.close() == once(20)
    assert numbers(pool.sinks[0]) == list(range(10, 20))
    assert numbers(pool.sinks[1]) == list(range(10))


def test_a_member_that_bounces_gets_nothing() -> None:
    pool = Pool("failover", back_after=60)
    at = 0
    for _ in range(5):
        pool.sinks[0].up = False
        pool.put(at, 10)
        eventually(lambda: pool.has_left(0) and not pool.boxes[0].standing().up)
        pool.sinks[0].up = True
        eventually(lambda: pool.boxes[0].standing().up)
        pool.put(at + 10, 10)
        at += 20
    assert pool.close() == once(at)
    assert numbers(pool.sinks[1]) == list(range(at))


def test_all_down_and_the_second_comes_back_first(spool: Path | None) -> None:
    pool = Pool("failover", spool=spool, back_after=60)
    for sink in pool.sinks:
        sink.up = False
    for n in range(0, 300, 50):
        pool.put(n, 50)
        time.sleep(0.01)
    # The ledgers are read in turn, while messages may move from one to the other.
    eventually(lambda: sum(one.outcomes["waiting"] for one in pool.routes.ledgers()) == 300)
    pool.sinks[1].up = True
    eventually(lambda: sum(len(sink.messages) for sink in pool.sinks) == 300)
    pool.put(300, 50)
    assert pool.close() == once(350)
    assert numbers(pool.sinks[1]) == list(range(350))
    assert pool.lost() == 0


@dataclass
class Known:
    """A member as its group sees it; what it accepts."""

    up_seconds: float = math.inf
    is_busy: bool = False
    is_empty: bool = True
    got: list[TracedMessage] = field(default_factory=list)

    def relieve_by(self, relief: Relief | None) -> None:
        self.relief = relief

    def accept(self, batch: Sequence[TracedMessage]) -> bool:
        self.got += batch
        self.is_empty = False
        return True


@pytest.mark.parametrize("when", ["after it has moved", "while it moves"])
def test_new_messages_follow_those_that_moved_to_one_that_is_down_too(when: str) -> None:
    """Else the first member that comes back gets the new ones before the old ones."""
    first, second, third = members = [Known(), Known(), Known()]
    configured = ConfiguredGroup(Group("all", "failover", ("a", "b", "c"), back_after_seconds=60), GROUP_ID, NAMES)
    groups = Groups([configured], dict(enumerate(members)))
    group, relief = groups.all[0], first.relief
    assert relief is not None
    assert group.active() == (0,)
    first.up_seconds = second.up_seconds = -1.0
    heirs = relief.heirs()
    assert relief.move([traced(message_of(n), trace=Trace(GROUP)) for n in range(3)], heirs) == ([], False)
    if when == "while it moves":
        third.up_seconds = -1.0
    assert relief.move([traced(message_of(3), trace=Trace(GROUP))], heirs) == ([], False)
    assert relief.leave(heirs, lambda: True)
    third.up_seconds = -1.0
    assert [len(member.got) for member in members] == [0, 0, 4]
    assert group.active() == (2,)
    second.up_seconds = 0.0
    assert group.active() == (2,)
    assert third.relief is not None
    third.relief.leave(third.relief.heirs(), lambda: True)
    assert group.active() == (1,)


def test_a_hash_keeps_calls_whole_and_moves_only_those_of_the_member_that_is_down(spool: Path | None) -> None:
    pool = Pool("hash", ("a", "b", "c", "d"), keeps=20, spool=spool, back_after=0.2)
    pool.put(0, 2000, calls=400)
    eventually(lambda: sum(len(sink.messages) for sink in pool.sinks) == 1920)
    before = calls_at(pool, 0)
    pool.sinks[2].up = False
    pool.put(2000, 2000, calls=400)
    eventually(lambda: pool.has_left(2))
    pool.put(4000, 2000, calls=400)
    eventually(lambda: sum(len(sink.messages) for sink in pool.sinks) >= 5920)
    meanwhile = calls_at(pool, 2000)
    pool.sinks[2].up = True
    eventually(lambda: not pool.has_left(2))
    pool.put(6000, 2000, calls=400)
    assert pool.close() == once(8000)
    after = calls_at(pool, 6000)
    assert before[2] and all(before[n] <= meanwhile[n] for n in (0, 1, 3))
    assert set().union(*(meanwhile[n] - before[n] for n in (0, 1, 3))) <= before[2]
    assert after == before
    for sink in pool.sinks:  # each call in order
        by_call: dict[int, list[int]] = {}
        for number in numbers(sink):
            by_call.setdefault(number % 400, []).append(number)
        assert all(found == sorted(found) for found in by_call.values())
    assert pool.lost() == 0


def calls_at(pool: Pool, first: int) -> list[set[int]]:
    """The calls that each member has, of messages from `first` on."""
    return [{number % 400 for number in numbers(sink) if number >= first} for sink in pool.sinks]


def test_what_a_rule_sends_to_a_member_waits_for_it() -> None:
    pool = Pool("failover", back_after=60)
    pool.sinks[0].up = False
    pool.put(0, 50)
    pool.put(50, 50, sinks=1)
    pool.put(100, 50, sinks=1 | GROUP)
    pool.put(150, 50, sinks=2 | GROUP)
    eventually(lambda: pool.has_left(0))
    eventually(lambda: len(pool.sinks[1].messages) == 100)
    assert pool.boxes[0].ledger().outcomes["waiting"] == 100
    pool.sinks[0].up = True
    pool.settle()
    assert pool.close() == once(200)
    assert numbers(pool.sinks[0]) == list(range(50, 150))


def test_what_a_rule_sends_to_a_member_with_a_spool(tmp_path: Path) -> None:
    pool = Pool("failover", spool=tmp_path, back_after=60)
    pool.sinks[0].up = False
    for n in range(0, 600, 20):
        pool.put(n, 20, sinks=1 if n % 3 else GROUP)
    eventually(lambda: pool.has_left(0))
    pool.put(600, 20)
    pool.sinks[0].up = True
    pool.settle()
    assert pool.close() == once(620)
    named = {n for n in range(600) if n // 20 * 20 % 3}
    assert named <= set(numbers(pool.sinks[0]))
    assert numbers(pool.sinks[0]) == sorted(numbers(pool.sinks[0]))
    assert numbers(pool.sinks[1]) == sorted(numbers(pool.sinks[1]))


def test_nothing_is_written_to_disk_while_another_member_is_up(tmp_path: Path) -> None:
    pool = Pool("failover", spool=tmp_path, back_after=60)
    pool.sinks[0].up = False
    for n in range(0, 1000, 20):
        pool.put(n, 20)
        time.sleep(0.002)
    eventually(lambda: len(pool.sinks[1].messages) == 1000)
    assert [box.spool.bytes for box in pool.boxes.values()] == [0, 0, 0]  # type: ignore[union-attr]
    assert pool.close() == once(1000)


def test_all_down_until_the_next_start(tmp_path: Path) -> None:
    pool = Pool("hash", spool=tmp_path)
    for sink in pool.sinks:
        sink.up = False
    pool.put(0, 300)
    eventually(lambda: not any(box.standing().up for box in pool.boxes.values()))
    pool.routes.close(0.2)
    assert sum(one.outcomes["waiting"] for one in pool.routes.ledgers()) == 300
    again = Pool("hash", spool=tmp_path)
    again.put(300, 100)
    again.settle()
    assert again.close() == once(400)


def test_a_full_member_takes_no_more_than_it_has_room_for() -> None:
    pool = Pool("failover", ("a", "b"), limit=100, back_after=60)
    pool.sinks[0].up = pool.sinks[1].up = False
    pool.put(90, 90, sinks=2)
    eventually(lambda: pool.routes.route(1).up_seconds < 0)  # the other does not move its messages there yet
    pool.put(0, 90)
    pool.sinks[1].up = True
    pool.settle()
    assert pool.close() == once(180)
    assert pool.lost() == 0


def test_a_stop_moves_what_waits_at_a_member_that_is_down(spool: Path | None) -> None:
    pool = Pool("failover", spool=spool)
    pool.put(0, 10)
    pool.settle()
    pool.sinks[0].up = False
    pool.put(10, 500)
    assert pool.close() == once(510)
    assert numbers(pool.sinks[1]) == list(range(10, 510))
    assert pool.lost() == 0


@pytest.mark.parametrize("keeps", [0, 13], ids=["confirmed at once", "unconfirmed"])
def test_a_replay_goes_on_with_the_next(keeps: int) -> None:
    pool = Pool("failover", keeps=keeps, direct=True)
    pool.put(0, 100)
    pool.sinks[0].up = False
    pool.put(100, 100)
    assert pool.routes.failure is None
    pool.sinks[1].up = False
    pool.put(200, 100)
    assert pool.routes.failure is None
    assert pool.close() == once(300)
    assert list(pool.routes.failures()) == []
    assert pool.lost() == 0
    got = [number for sink in pool.sinks for number in numbers(sink)]
    assert got == list(range(300))


def test_a_replay_ends_when_all_are_down() -> None:
    pool = Pool("hash", ("a", "b"), direct=True)
    pool.put(0, 100)
    for sink in pool.sinks:
        sink.up = False
    pool.put(100, 100)
    assert pool.routes.failure is not None
    pool.close()
    assert len(list(pool.routes.failures())) == 2
    assert pool.lost() == 100


def test_a_reload_keeps_who_is_out() -> None:
    pool = Pool("failover", back_after=60)
    pool.sinks[0].up = False
    pool.put(0, 10)
    eventually(lambda: pool.has_left(0))
    pool.sinks[0].up = True
    pool.routes.change(pool.boxes, False, 5, [pool.configured()])
    pool.put(10, 10)
    assert pool.has_left(0)
    pool.routes.change(pool.boxes, False, 5, [pool.configured(("c", "b"))])
    pool.put(20, 10)
    pool.routes.change(pool.boxes, False, 5)
    pool.put(30, 10, sinks=1)
    assert pool.close() == once(40)
    assert [numbers(sink) for sink in pool.sinks] == [list(range(30, 40)), list(range(20)), list(range(20, 30))]


def test_a_member_that_is_no_longer_configured_hands_over_what_waits() -> None:
    pool = Pool("failover")
    for sink in pool.sinks:
        sink.up = False
    pool.put(0, 10)
    eventually(lambda: not pool.boxes[0].standing().up)
    rest = {n: box for n, box in pool.boxes.items() if n}
    pool.sinks[1].up = True
    pool.routes.change(rest, False, 5, [pool.configured(("b", "c"))])
    eventually(lambda: len(pool.sinks[1].messages) == 10)
    pool.routes.close(5)


@pytest.mark.parametrize("mode", ["failover", "hash"])
@pytest.mark.parametrize("seed", range(3))
def test_members_that_go_and_come_at_random(spool: Path | None, mode: str, seed: int) -> None:
    dice = random.Random(seed)
    pool = Pool(mode, ("a", "b", "c", "d"), keeps=seed * 7, spool=spool, back_after=0.02)  # type: ignore[arg-type]
    at = 0
    for _ in range(60):
        for sink in pool.sinks:
            sink.up = dice.random() < 0.7
        for _ in range(4):
            pool.put(at, 25, calls=100)
            at += 25
        time.sleep(dice.random() * 0.02)
    for sink in pool.sinks:
        sink.up = True
    eventually(lambda: sum(len(sink.messages) for sink in pool.sinks) >= at - 4 * seed * 7, 30)
    assert pool.close() == once(at)
    assert pool.lost() == 0


def test_what_a_sink_took_before_it_was_in_the_group_stays_there(spool: Path | None) -> None:
    """Only the sink can send it again: the group does not know those messages, and has forgotten earlier ones."""
    pool = Pool("failover", keeps=10, spool=spool, back_after=60)
    pool.put(0, 30)
    eventually(lambda: pool.boxes[0].ledger().outcomes["sent"] == 20)
    pool.routes.change(pool.boxes, False, 5)
    pool.put(30, 30, sinks=1)
    eventually(lambda: pool.boxes[0].ledger().outcomes["sent"] == 50)
    pool.routes.change(pool.boxes, False, 5, [pool.configured()])
    pool.sinks[0].up = False
    pool.put(60, 10)
    eventually(lambda: pool.boxes[1].ledger().seen >= 10)
    pool.sinks[0].up = True
    assert pool.close() == once(70)
    assert pool.lost() == 0
