"""The spool of one sink: in order, bounded, counted, and whole after a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sink_samples import batch_of

from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.spool import Change, Spool, SpoolLimits, Taken
from capture_agent.records.traced import TracedMessage

pytestmark = pytest.mark.once

GENEROUS = SpoolLimits()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)


def raw(messages: Sequence[TracedMessage]) -> list[bytes]:
    return [one.message.raw for one in messages]


def taken(spool: Spool) -> Taken:
    _, found = spool.take()
    assert found is not None
    return found


def drained(spool: Spool) -> list[bytes]:
    found: list[bytes] = []
    while (one := spool.take()[1]) is not None:
        found += raw(one.messages)
        spool.remove(one)
    return found


def opened(path: Path, limits: SpoolLimits = GENEROUS) -> Spool:
    spool = Spool(path, limits)
    spool.open()
    return spool


def test_in_order_and_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "spool" / "sink"
    spool = opened(path)
    for n in range(0, 30, 10):
        assert spool.append(batch_of(10, n)).stored == 10
    first = taken(spool)
    assert raw(first.messages) == raw(batch_of(10))
    spool.remove(first)
    second = taken(spool)
    spool.give_back(second, 4)
    assert (spool.messages, spool.failing) == (16, "")
    spool.close()
    again = Spool(path, GENEROUS)
    assert again.open() == Change(found=16)
    assert drained(again) == raw(batch_of(16, 14))
    assert (again.messages, again.bytes, again.standing().oldest_seconds) == (0, 0, 0.0)
    again.close()


def test_what_is_put_back_is_first(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    spool.append(batch_of(2, 10))
    change, none = spool.put_back(batch_of(2, 5), taken=False)
    assert (change.stored, none) == (2, None)
    _, hand = spool.put_back(batch_of(2, 3), taken=True)
    assert hand is not None
    assert spool.messages == 4
    spool.give_back(hand, 1)
    assert drained(spool) == raw([*batch_of(1, 4), *batch_of(2, 5), *batch_of(2, 10)])


def test_others_cannot_read_it_or_use_it(tmp_path: Path) -> None:
    spool = opened(tmp_path / "dir" / "s")
    spool.append(batch_of(1))
    assert stat.S_IMODE((tmp_path / "dir").stat().st_mode) == 0o700
    assert {stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "dir").iterdir()} == {0o600}
    other = opened(tmp_path / "dir" / "s")
    assert "still uses it" in other.failing
    assert other.append(batch_of(1)).stored == 0
    spool.close()
    assert other.open().found == 1
    assert other.failing == ""
    other.close()


def test_folders_that_are_made_are_its_own(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        opened(tmp_path / "a" / "b" / "c" / "s").close()
    finally:
        os.umask(before)
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [stat.S_IMODE(one.stat().st_mode) for one in made] == [0o700] * 3


@pytest.mark.parametrize("end", [".spool", ".lock", ".spool-wal", ".spool-shm"])
@pytest.mark.parametrize("exists", [True, False], ids=["to a file", "to nothing"])
def test_a_symbolic_link_in_its_place_is_not_followed(tmp_path: Path, end: str, exists: bool) -> None:
    other = tmp_path / "other"
    if exists:
        other.write_bytes(b"somebody's")
    (tmp_path / f"s{end}").symlink_to(other)
    spool = opened(tmp_path / "s.spool")
    assert spool.append(batch_of(1)).stored == 0
    assert spool.failing == f"s{end} is a symbolic link"
    spool.close()
    assert other.exists() == exists
    assert not exists or other.read_bytes() == b"somebody's"
    (tmp_path / f"s{end}").unlink()
    assert spool.append(batch_of(1)).stored == 1
    spool.close()


def test_the_oldest_make_room(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", SpoolLimits(bytes=20_000))
    lost: Counter[str] = Counter()
    for n in range(100):
        lost += spool.append(batch_of(3, 3 * n, size=500)).lost
        assert spool.bytes <= 20_000
    left = drained(spool)
    assert left == raw(batch_of(300, size=500))[-len(left) :]
    assert lost == Counter(spool_full=300 - len(left))
    assert spool.standing().full


def test_what_is_in_hand_makes_no_room(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s", SpoolLimits(bytes=2_200))
    spool.append(batch_of(5, size=300))
    hand = taken(spool)
    change = spool.append(batch_of(5, 5, size=300))
    assert (change.stored, change.lost) == (5, Counter(spool_full=5))
    spool.remove(hand)
    assert spool.append(batch_of(5, 10, size=300)).lost == Counter()
    assert drained(spool) == raw(batch_of(5, 10, size=300))


def test_old_ones_expire(tmp_path: Path) -> None:
    now = 1_000_000.0
    spool = Spool(tmp_path / "s", SpoolLimits(seconds=100), clock=lambda: now)
    spool.append(batch_of(3))
    now += 60
    spool.append(batch_of(3, 3))
    assert spool.standing().oldest_seconds == 60
    now += 50
    assert spool.expire().lost == Counter(expired=3)
    assert raw(taken(spool).messages) == raw(batch_of(3, 3))
    spool.append(batch_of(3, 6))
    now += 101
    change, none = spool.take()
    assert (change.lost, none, spool.messages) == (Counter(expired=3), None, 0)


def flip(path: Path, at: bytes) -> None:
    """One bit of the stored text, in the file or its log."""
    for end in ("", "-wal"):
        file = Path(f"{path}{end}")
        if file.exists():
            data = bytearray(file.read_bytes())
            where = data.find(at)
            if where >= 0:
                data[where] ^= 1
                file.write_bytes(data)
                return
    raise AssertionError("not found")


def batches_in(path: Path) -> list[bytes]:
    database = sqlite3.connect(path)
    try:
        return [data for (data,) in database.execute("SELECT data FROM contents ORDER BY id")]
    finally:
        database.close()


def test_a_damaged_batch_is_lost_alone(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    for n in range(3):
        spool.append(batch_of(2, 2 * n))
    spool.close()
    flip(tmp_path / "s", batches_in(tmp_path / "s")[1][-40:])
    spool = opened(tmp_path / "s")
    first = taken(spool)
    change, third = spool.take()
    assert change.lost == Counter(spool_failed=2)
    assert third is not None
    assert raw([*first.messages, *third.messages]) == raw([*batch_of(2), *batch_of(2, 4)])


@pytest.mark.parametrize("content", [b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_spool_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s").write_bytes(content)
    spool = opened(tmp_path / "s")
    assert spool.append(batch_of(2)).stored == 2
    assert spool.failing == ""
    assert (tmp_path / "s.damaged").read_bytes() == content
    assert drained(spool) == raw(batch_of(2))


@pytest.mark.parametrize("schema", ["CREATE TABLE batches (x)", "CREATE TABLE calls (x)"])
@pytest.mark.parametrize("mode", ["delete", "wal", "wal that is open"])
def test_the_database_of_another_program_is_refused_and_not_written_to(tmp_path: Path, schema: str, mode: str) -> None:
    file = tmp_path / "s"
    database = sqlite3.connect(file, isolation_level=None)
    database.execute(f"PRAGMA journal_mode = {mode.partition(' ')[0]}")
    database.executescript(f"PRAGMA user_version = 1; {schema}")
    if mode != "wal that is open":
        database.close()
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir() if not one.name.endswith("-shm")}
    spool = opened(file)
    assert spool.failing == "it is the database of another program"
    assert spool.append(batch_of(2)).stored == 0
    assert spool.take()[1] is None
    spool.close()
    after = {one.name: one.read_bytes() for one in tmp_path.iterdir() if not one.name.endswith(("-shm", ".lock"))}
    assert after == before
    database.close()
    file.unlink()
    assert spool.append(batch_of(2)).stored == 2
    spool.close()


def test_the_spool_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    assert spool.append(batch_of(3)).stored == 3
    spool.close()
    with sqlite3.connect(tmp_path / "s") as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    before = (tmp_path / "s").read_bytes()
    spool = opened(tmp_path / "s")
    assert spool.failing.startswith("it is a spool of a newer version")
    assert spool.append(batch_of(2)).stored == 0
    spool.close()
    assert (tmp_path / "s").read_bytes() == before
    assert not (tmp_path / "s.damaged").exists()


def test_tables_that_are_damaged_are_set_aside(tmp_path: Path) -> None:
    opened(tmp_path / "s").close()
    with sqlite3.connect(tmp_path / "s") as database:
        database.execute("DROP TABLE contents")
    database.close()
    spool = opened(tmp_path / "s")
    assert spool.append(batch_of(2)).stored == 0
    assert spool.append(batch_of(2)).stored == 2
    assert (tmp_path / "s.damaged").exists()
    spool.close()


def test_pages_overwritten_in_the_middle(tmp_path: Path) -> None:
    """Whatever SQLite says of it: what is taken is right and in order, and the rest is counted."""
    spool = opened(tmp_path / "s")
    for n in range(200):
        spool.append(batch_of(5, 5 * n, size=600))
    spool.close()
    size = (tmp_path / "s").stat().st_size
    with (tmp_path / "s").open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 40_000)
    spool = Spool(tmp_path / "s", GENEROUS)
    found, lost, got = spool.open().found, Counter[str](), list[bytes]()
    for _ in range(1000):
        change, one = spool.take()
        lost += change.lost
        if one is not None:
            got += raw(one.messages)
            lost += spool.remove(one).lost
        elif not change.lost:
            break
    whole = raw(batch_of(1000, size=600))
    assert got == [message for message in whole if message in set(got)]
    assert found == len(got) + lost["spool_failed"] == 1000
    assert spool.append(batch_of(1)).stored == 1


WRITER = """
import sys
from pathlib import Path
from sink_samples import batch_of
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
spool = Spool(Path(sys.argv[1]), SpoolLimits())
spool.open()
at = int(sys.argv[2])
while True:
    spool.append(batch_of(7, at, size=400))
    at += 7
    print(at, flush=True)
"""


def test_killed_while_writing(tmp_path: Path) -> None:
    """Each batch that was written is there, whole; at most one more, which was being written."""
    path, at = tmp_path / "s", 0
    for run in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(at)],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert writer.stdout is not None
        said = 0
        for _ in range(5 + 3 * run):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout.read().split():
            said = int(line)
        writer.wait(10)
        writer.stdout.close()
        spool = Spool(path, GENEROUS)
        found = spool.open().found
        assert found - said in (0, 7)
        at = found
        spool.close()
    spool = opened(path)
    assert drained(spool) == raw(batch_of(at, size=400))


def test_the_log_is_cut_anywhere(tmp_path: Path) -> None:
    """As after a loss of power: what was written last is missing; the rest is whole and in order."""
    spool = opened(tmp_path / "s")
    for n in range(20):
        spool.append(batch_of(2, 2 * n, size=500))
    log, file = (tmp_path / "s-wal").read_bytes(), (tmp_path / "s").read_bytes()
    spool.close()
    found: list[int] = []
    for keep in range(0, len(log), 7919):
        other = tmp_path / f"cut{keep}"
        other.write_bytes(file)
        Path(f"{other}-wal").write_bytes(log[:keep])
        cut = opened(other)
        left = drained(cut)
        assert left == raw(batch_of(40, size=500))[: len(left)]
        assert cut.append(batch_of(1)).stored == 1
        found.append(len(left))
        cut.close()
    assert found == sorted(found)
    assert found[-1] > 20


def test_a_backlog_is_not_read_at_the_start(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s")
    for n in range(100):
        spool.append(batch_of(200, 200 * n, size=800))
    spool.close()
    code = (
        "import sys; from pathlib import Path\n"
        "from benchmarks.spooling import forget_peak, peak\n"
        "from capture_agent.delivery.spool.spool import Spool, SpoolLimits\n"
        "forget_peak()\n"
        "before = peak()\n"
        "spool = Spool(Path(sys.argv[1]), SpoolLimits())\n"
        "assert spool.open().found == 20_000 and spool.bytes > 8_000_000\n"
        "while (one := spool.take()[1]) is not None: spool.remove(one)\n"
        "print(peak() - before)\n"
        "kept = [b'x' * 1_000_000 for _ in range(20)]\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    grown, with_more = map(float, done.stdout.split())
    assert grown < 12 < with_more - grown  # MB; of a file of more than 8 MB


class Model(RuleBasedStateMachine):
    """The spool against a list."""

    @initialize(limit=st.sampled_from([3_000, 20_000, 1 << 30]))
    def begin(self, limit: int) -> None:
        from tempfile import TemporaryDirectory

        self.folder = TemporaryDirectory()
        self.now = 0.0
        self.limits = SpoolLimits(limit, 100)
        self.waiting: list[bytes] = []
        self.hand: list[Taken] = []  # taken and not removed
        self.number = 0
        self.spool = self.open()
        self.spool.open()

    def open(self) -> Spool:
        return Spool(Path(self.folder.name) / "s", self.limits, lambda: self.now)

    def teardown(self) -> None:
        self.spool.close()
        self.folder.cleanup()

    def apply(self, change: Change) -> None:
        """What is lost is the oldest."""
        assert set(change.lost) <= {"spool_full", "expired"} or not change.lost["spool_failed"]
        del self.waiting[: change.lost.total()]

    @rule(count=st.integers(1, 6), size=st.sampled_from([0, 500]))
    def append(self, count: int, size: int) -> None:
        batch = batch_of(count, self.number, size)
        self.number += count
        self.waiting += raw(batch)
        change = self.spool.append(batch)
        assert change.stored == count
        self.apply(change)

    @rule()
    def take(self) -> None:
        change, one = self.spool.take()
        self.apply(change)
        if one is None:
            assert self.waiting == []
            return
        assert raw(one.messages) == self.waiting[: len(one.messages)]
        del self.waiting[: len(one.messages)]
        self.hand.append(one)

    @precondition(lambda self: self.hand)
    @rule()
    def remove(self) -> None:
        self.spool.remove(self.hand.pop(0))

    @precondition(lambda self: self.hand)
    @rule(done=st.integers(0, 3))
    def give_back(self, done: int) -> None:
        one = self.hand.pop()
        done = min(done, len(one.messages) - 1)
        self.spool.give_back(one, done)
        self.waiting[:0] = raw(one.messages)[done:]

    @rule(count=st.integers(1, 3))
    def put_back(self, count: int) -> None:
        batch = batch_of(count, self.number)
        self.number += count
        self.waiting[:0] = raw(batch)
        assert self.spool.put_back(batch, taken=False)[0].stored == count

    @rule(seconds=st.sampled_from([1, 60]))
    def later(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def crash(self) -> None:
        """All that is not removed is there again."""
        self.waiting[:0] = [text for one in self.hand for text in raw(one.messages)]
        self.hand.clear()
        self.spool._file._database = None  # type: ignore[assignment]  # as if the process had ended
        self.spool._file.release()
        self.spool = self.open()
        assert self.spool.open().found == len(self.waiting)

    @invariant()
    def counted(self) -> None:
        if hasattr(self, "spool"):
            assert self.spool.messages == len(self.waiting)
            assert self.spool.failing == ""


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
