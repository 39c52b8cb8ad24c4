"""The folder of a file sink changes while the agent runs: losses are counted, health is degraded, and writing goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults.disks import can_mount, full, read_only, small_disk
from sink_samples import batch_of, eventually
from test_file_faults import SINKS, make, raws

from capture_agent.delivery import outbox
from capture_agent.delivery.outbox import Outbox
from capture_agent.metrics.figures import SinkFigures
from capture_agent.metrics.health import SINK_UNREACHABLE, Health

pytestmark = [pytest.mark.once, pytest.mark.skipif(not can_mount(), reason="needs mount")]
QUEUE = 50
IN_EACH = 10


@contextmanager
def a_file(folder: Path) -> Iterator[None]:
    link = folder.parent / "link"
    (folder.parent / "in the way").write_text("")
    (folder.parent / "in the way").replace(link)
    yield
    (folder.parent / "back").symlink_to(folder)
    (folder.parent / "back").replace(link)


@contextmanager
def nowhere(folder: Path) -> Iterator[None]:
    """A symbolic link that leads nowhere."""
    link = folder.parent / "link"
    (folder.parent / "other").symlink_to("nothing")
    (folder.parent / "other").replace(link)
    yield
    (folder.parent / "back").symlink_to(folder)
    (folder.parent / "back").replace(link)


def reasons(health: Health, box: Outbox) -> list[str]:
    figures = SinkFigures(box.name, "file", box.ledger(), box.standing())
    return [one.reason for one in health.look((), [figures], 0.0)]


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("pattern", ["a", "{call_id}"])
@pytest.mark.parametrize("fault", [full, read_only, a_file, nowhere])
def test_it_cannot_be_used(
    tmp_path: Path, fault: Callable[[Path], Iterator[None]], pattern: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has room in the queue is written when it is mended."""
    monkeypatch.setattr(outbox, "LONGEST_DELAY", 0.02)
    suffix = ".pcapng" if kind == "pcap" else ".jsonl"
    folder, health, at = tmp_path / "disk", Health(), 0
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    with small_disk(folder, "1m"):
        box = Outbox(make(kind, tmp_path / "link" / f"{pattern}{suffix}"), QUEUE, first_delay=0.01)

        def give(batches: int) -> None:
            nonlocal at
            for _ in range(batches):
                box.put(batch_of(IN_EACH, at, size=300))
                at += IN_EACH
                assert box.ledger().difference == 0

        give(1)
        eventually(lambda: box.ledger().outcomes["sent"] == IN_EACH)
        assert reasons(health, box) == []
        with fault(folder):  # type: ignore[attr-defined]
            give(1)
            eventually(lambda: SINK_UNREACHABLE in reasons(health, box))
            give(2 * QUEUE // IN_EACH)
            assert set(box.ledger().lost) == {"unreachable"}
        eventually(lambda: not box.ledger().outcomes["waiting"])
        assert SINK_UNREACHABLE not in reasons(health, box)
        give(1)
        box.close(10)
        ledger = box.ledger()
        assert ledger.difference == 0
        found = [one for file in folder.iterdir() if file.suffix == suffix for one in raws(file)]
        assert sorted(found) == sorted(set(found))
        assert len(found) == ledger.outcomes["sent"] == at - ledger.lost["unreachable"]
        assert {one.message.raw for one in batch_of(IN_EACH, at - IN_EACH, size=300)} <= set(found)


def deleted(folder: Path) -> Path:
    shutil.rmtree(folder)
    return folder


def moved(folder: Path) -> Path:
    folder.rename(folder.with_name("away"))
    return folder


def elsewhere(folder: Path) -> Path:
    """A symbolic link in its place, to a folder on another disk, perhaps."""
    folder.rename(folder.with_name("away"))
    folder.with_name("larger").mkdir()
    folder.symlink_to("larger")
    return folder.with_name("larger")


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("pattern", ["a", "{call_id}"])
@pytest.mark.parametrize("change", [deleted, moved, elsewhere])
def test_it_is_another_one(tmp_path: Path, change: Callable[[Path], Path], pattern: str, kind: str) -> None:
    """The next message begins a file there: nothing is lost, and the sink is up."""
    suffix = ".pcapng" if kind == "pcap" else ".jsonl"
    sink = make(kind, tmp_path / "folder" / f"{pattern}{suffix}")
    sink.open()
    sink.send(batch_of(3))
    now = change(tmp_path / "folder")
    sink.send(batch_of(6, 3))
    sink.send(batch_of(3))
    sink.close()
    assert sink.sent == 12
    found = [one for file in now.iterdir() for one in raws(file)]
    assert sorted(found) == sorted(one.message.raw for one in [*batch_of(6, 3), *batch_of(3)])
