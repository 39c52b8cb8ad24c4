"""Files have what sinks get: masks hold there, and a full disk loses nothing that is counted as sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.disks import can_mount, small_disk
from sink_samples import batch_of

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config.load import load
from capture_agent.config.targets import JsonlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.files.jsonl_sink import JsonlSink

pytestmark = pytest.mark.once

CAPTURE = Path(__file__).parents[2] / "pcaps" / "demo.pcap"
SECRET = b"e5940148540356b8009dab0655dff5ed"  # the response of the digest in it


def replayed(folder: Path, sink: str, privacy: str = "") -> bytes:
    """The file that the sink has written."""
    folder.mkdir()
    config = folder / "agent.toml"
    config.write_text(f"[[{sink}]]\nfile = '{folder}/trace.{sink}'\n{privacy}")
    agent = Agent(load(config, {}), lossless=True)
    replay(agent, [CAPTURE])
    assert agent.close().balanced
    return (folder / f"trace.{sink}").read_bytes()


@pytest.mark.parametrize("sink", ["pcap", "jsonl"])
def test_masks_hold(tmp_path: Path, sink: str) -> None:
    assert SECRET in replayed(tmp_path / "plain", sink)
    masked = replayed(tmp_path / "masked", sink, "[privacy]\nmask = ['authorization']\n")
    assert SECRET not in masked
    assert b"*" * len(SECRET) in masked


@pytest.mark.skipif(not can_mount(), reason="needs mount")
def test_a_full_disk(tmp_path: Path) -> None:
    """The file has the messages that were sent, each whole; the rest is sent once there is room."""
    with small_disk(tmp_path, "256k"):
        filler = tmp_path / "filler"
        filler.write_bytes(bytes(64 << 10))
        sink = JsonlSink(JsonlTarget(file=str(tmp_path / "trace.jsonl")))
        sent = 0
        with pytest.raises(SinkError, match="no space left on device"):
            while sent < 10_000:
                sink.send(batch_of(10, sent))
                sent += 10
        done = sink.sent
        lines = (tmp_path / "trace.jsonl").read_text()
        assert (lines.count("\n"), lines[-1]) == (done, "\n")
        filler.unlink()
        sink.send(batch_of(10, done))
        sink.close()
        assert (tmp_path / "trace.jsonl").read_text().count("\n") == sink.sent == done + 10
