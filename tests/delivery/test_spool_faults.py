"""A spool that is damaged, or whose disk fails while the agent runs: what is lost is counted, all else arrives once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from faults.disks import can_mount, full, read_only, small_disk
from sink_samples import ListSink, batch_of, eventually
from test_spool import GENEROUS, opened, raw
from test_spooled_outbox import Switch, ended, texts, texts_of

from capture_agent.delivery import spool_writer, spooled_outbox
from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.metrics.figures import SinkFigures
from capture_agent.metrics.health import SPOOL_FAILING, of_spool

pytestmark = pytest.mark.once
mounts = pytest.mark.skipif(not can_mount(), reason="needs mount")
QUEUE = 1000  # messages


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(spool_module, "SPARE_BYTES", 1 << 16)
    for module in (spooled_outbox, spool_writer):
        monkeypatch.setattr(module, "TOGETHER_SECONDS", 0.005)
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)


# --- The files, as a crash of the host or a bad disk leaves them.

BATCHES, IN_EACH = 24, 5
WHOLE = raw(batch_of(BATCHES * IN_EACH, size=600))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file, its log and the log's index, of an agent that was killed: by the end of the name."""
    path = tmp_path_factory.mktemp("spool") / "s"
    spool = opened(path)
    for n in range(BATCHES):
        spool.append(batch_of(IN_EACH, IN_EACH * n, size=600))
        if n == BATCHES // 2:
            spool._file._used().execute("PRAGMA wal_checkpoint(PASSIVE)")
    found = {end: Path(f"{path}{end}").read_bytes() for end in ("", "-wal", "-shm")}
    spool.close()
    return found


def cut(data: bytes, at: int) -> bytes:
    return data[:at]


def overwritten(data: bytes, at: int) -> bytes:
    return data[:at] + b"\xff" * min(5000, len(data) - at) + data[at + 5000 :]


def never_written(data: bytes, at: int) -> bytes:
    """A block of the disk that the host had not written yet."""
    at -= at % 4096
    return data[:at] + bytes(min(4096, len(data) - at)) + data[at + 4096 :]


@pytest.mark.parametrize("damage", [cut, overwritten, never_written])
@pytest.mark.parametrize("shm", ["with its index", "without its index"])
@pytest.mark.parametrize("end", ["", "-wal"])
def test_damaged_anywhere(
    files: dict[str, bytes], tmp_path: Path, end: str, shm: str, damage: Callable[[bytes, int], bytes]
) -> None:
    for at in range(0, len(files[end]), max(1, len(files[end]) // 40)):
        path = tmp_path / f"{at}"
        for name, data in files.items():
            if name != "-shm" or shm == "with its index":
                Path(f"{path}{name}").write_bytes(damage(data, at) if name == end else data)
        spool = Spool(path, GENEROUS)
        change = spool.open()
        found, lost, got = change.found, change.lost, list[bytes]()
        for _ in range(2 * BATCHES):
            change, one = spool.take()
            lost += change.lost
            if one is not None:
                got += raw(one.messages)
                lost += spool.remove(one).lost
        places = [WHOLE.index(text) for text in got]
        assert places == sorted(set(places)), at
        assert found == len(got) + lost.total(), at
        assert set(lost) <= {"spool_failed"}, at
        assert spool.append(batch_of(1)).stored == 1, at
        assert spool.failing == "", at
        spool.close()


# --- The disk, while an outbox uses it. Until the end of the block.


@contextmanager
def gone(folder: Path) -> Iterator[None]:
    """A file in its place, so that it cannot be made again, not even between two steps of this."""
    (folder / "in the way").write_text("")
    (folder / "in the way").replace(folder / "spool")
    yield
    (folder / "back").symlink_to("real")
    (folder / "back").replace(folder / "spool")


def reasons(box: SpooledOutbox) -> list[str]:
    return [reason.reason for reason in of_spool(SinkFigures(box.name, "list", box.ledger(), box.standing()))]


@mounts
@pytest.mark.parametrize("fault", [full, read_only, gone])
def test_a_disk_that_fails_before_it_is_needed(
    tmp_path: Path, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """The sink is up: it is reported all the same, not only in the next outage."""
    disk = tmp_path / "disk"
    with small_disk(disk, "8m"):
        (disk / "real").mkdir()
        (disk / "spool").symlink_to("real")
        box = SpooledOutbox(ListSink(), Spool(disk / "spool" / "s", SpoolLimits()), QUEUE, first_delay=0.01)
        box.put(batch_of(10))
        eventually(lambda: box.ledger().outcomes["sent"] == 10, 30)
        assert reasons(box) == []
        with fault(disk):
            eventually(lambda: SPOOL_FAILING in reasons(box), 30)
            box.put(batch_of(10, 10))
            eventually(lambda: box.ledger().outcomes["sent"] == 20, 30)
        eventually(lambda: not reasons(box), 30)
        box.close(10)
        assert ended(box.ledger()) == {"sent": 20}


@mounts
@pytest.mark.parametrize("fault", [full, read_only, gone])
def test_a_disk_that_fails_while_the_agent_runs(
    tmp_path: Path, fault: Callable[[Path], AbstractContextManager[None]]
) -> None:
    """The queue holds what it can; the rest is lost and counted, and nothing else is."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "8m"):
        (disk / "real").mkdir()
        (disk / "spool").symlink_to("real")
        switch = Switch()
        sink = ListSink(switch)
        box = SpooledOutbox(sink, Spool(disk / "spool" / "s", SpoolLimits()), QUEUE, first_delay=0.01)
        at = 0

        def give(count: int) -> None:
            nonlocal at
            for _ in range(count):
                box.put(batch_of(10, at, size=300))
                at += 10
                assert box.ledger().difference == 0

        give(50)
        eventually(lambda: not box._in_memory(), 30)
        assert reasons(box) == []
        with fault(disk):
            give(1)
            eventually(lambda: SPOOL_FAILING in reasons(box), 30)
            give(2 * QUEUE // 10)
            lost = box.ledger().lost
            assert set(lost) == {"spool_failed"}
        eventually(lambda: not (reasons(box) or box._in_memory()), 30)
        give(50)
        eventually(lambda: not box._in_memory(), 30)
        switch.up = True
        eventually(lambda: not box.ledger().outcomes["waiting"], 30)
        box.close(10)
        books = ended(box.ledger())
        assert books == {"sent": len(sink.messages)} | dict(+Counter(box.ledger().lost))
        assert books["sent"] + books.get("spool_failed", 0) == at
        whole = texts_of(at, size=300)
        places = [whole.index(text) for text in texts(sink)]
        assert places == sorted(set(places))
        assert places[:50] == list(range(50))
        assert places[-500:] == list(range(at - 500, at))
