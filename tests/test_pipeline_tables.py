"""What the pipeline says it holds, and what had to make room: as its ledgers have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent.config import Config, TraceSection
from capture_agent.pipeline import Pipeline
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.sources.capture_file import CaptureFile

WITHOUT_CALLS = ["fragments", "streams", "segments", "associations", "chunks", "lookback", "legs"]


def after(pipeline: Pipeline, capture: Path) -> dict[str, tuple[int, int | None]]:
    with CaptureFile(capture) as source:
        for frames in source.batches():
            pipeline.process(frames)
    return {table.name: (table.held, table.evicted) for table in pipeline.tables()}


def test_without_correlation(pcaps: Path) -> None:
    tables = after(Pipeline(), pcaps / "calls-tcp.pcap")
    assert list(tables) == WITHOUT_CALLS
    assert tables["streams"][0] > 0
    assert {evicted for _, evicted in tables.values()} <= {0, None}


@pytest.mark.parametrize("capture", ["calls.pcap", "calls-tcp.pcap", "fragments.pcap"])
def test_tables_and_ledgers_say_the_same(pcaps: Path, capture: str) -> None:
    pipeline = Pipeline(policy=Policy(settings=Settings.of(Config(trace=TraceSection(mode="dialog")))))
    tables = after(pipeline, pcaps / capture)
    ledgers = {ledger.name: ledger for ledger in pipeline.ledgers()}
    for name in ("calls", "transactions", "dialogs"):
        assert tables[name] == (ledgers[name].outcomes["held"], ledgers[name].lost["evicted"])
    assert tables["calls"][0] > 0
    waiting = {"fragments": "frames", "segments": "segments", "lookback": "messages", "chunks": "chunks"}
    for table, name in waiting.items():
        held = ledgers[name].outcomes.get("waiting", 0) if name in ledgers else 0
        assert tables[table][0] == held


def test_what_waits_is_held(pcaps: Path) -> None:
    pipeline = Pipeline()
    with CaptureFile(pcaps / "fragments.pcap") as source:
        held = []
        for frames in source.batches():
            for number in range(frames.count):
                row = frames.index[number * 5 : number * 5 + 5]
                pipeline.process(type(frames)(frames.data, row, 1, frames.interfaces))
                held.append(next(table.held for table in pipeline.tables()))
    assert max(held) > 0
