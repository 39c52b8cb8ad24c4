"""Capture files have a mark while they are written, and get their names when they are closed, also after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sink_samples import TIME_NS, captured, numbered, traced

from capture_agent.config.targets import JsonlTarget, PcapTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.files import rotating_files
from capture_agent.sinks.files.jsonl_sink import JsonlSink
from capture_agent.sinks.files.pcap_sink import PcapSink

pytestmark = pytest.mark.once
SECOND = 1_000_000_000


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def pcap(folder: Path, name: str = "a.pcapng", **options: int) -> PcapSink:
    sink = PcapSink(PcapTarget(str(folder / name), **options))
    sink.open()
    return sink


def raws(file: Path) -> list[bytes]:
    return [one.message.raw for one in captured(file)]


def test_a_file_has_its_name_once_it_is_closed(tmp_path: Path) -> None:
    sink = pcap(tmp_path)
    for number in (0, 1):
        sink.send([traced(numbered(number))])
        assert names(tmp_path) == {"a.pcapng.part"}
        sink.close()
        assert names(tmp_path) == {"a.pcapng"}
    assert raws(tmp_path / "a.pcapng") == [numbered(0), numbered(1)]


def test_rotation(tmp_path: Path) -> None:
    sink = pcap(tmp_path, rotate_seconds=60)
    sink.send([traced(numbered(n), time_ns=TIME_NS + n * 60 * SECOND) for n in range(3)])
    marked = {name for name in names(tmp_path) if name.endswith(".part")}
    assert (marked, len(names(tmp_path))) == ({"a.pcapng.part"}, 3)
    sink.close()
    assert [raws(file) for file in sorted(tmp_path.glob("a-*.pcapng"))] == [[numbered(0)], [numbered(1)]]


@pytest.mark.parametrize("by", ["another call", "silence"])
def test_an_idle_call_is_finished_and_goes_on(tmp_path: Path, by: str) -> None:
    sink = pcap(tmp_path, "{call_id}.pcapng")
    sink.send([traced(numbered(0))])
    assert names(tmp_path) == {"call-0.pcapng.part"}
    sink.send([traced(numbered(1), time_ns=TIME_NS + 61 * SECOND)] if by == "another call" else [])
    assert "call-0.pcapng" in names(tmp_path)
    sink.send([traced(numbered(0), time_ns=TIME_NS + 62 * SECOND)])
    assert "call-0.pcapng.part" in names(tmp_path)
    sink.close()
    assert raws(tmp_path / "call-0.pcapng") == [numbered(0)] * 2


def test_a_file_whose_folder_was_away_when_it_was_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is finished once the folder is back, and goes on if the call does."""
    monkeypatch.setattr(rotating_files, "SWEEP_SECONDS", 0.0)
    folder = tmp_path / "calls"
    folder.mkdir()
    sink = pcap(folder, "{call_id}.pcapng")
    sink.send([traced(numbered(0)), traced(numbered(1))])
    folder.rename(tmp_path / "away")
    sink.send([])
    assert names(tmp_path / "away") == {"call-0.pcapng.part", "call-1.pcapng.part"}
    (tmp_path / "away").rename(folder)
    sink.send([])
    assert names(folder) == {"call-0.pcapng", "call-1.pcapng"}
    sink.send([traced(numbered(1))])
    sink.close()
    assert raws(folder / "call-0.pcapng") == [numbered(0)]
    assert raws(folder / "call-1.pcapng") == [numbered(1)] * 2


def test_a_file_whose_call_went_on_while_its_folder_was_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of its files are finished; none is lost."""
    monkeypatch.setattr(rotating_files, "SWEEP_SECONDS", 0.0)
    folder = tmp_path / "calls"
    sink = pcap(folder, "{call_id}.pcapng")
    sink.send([traced(numbered(0))])
    folder.rename(tmp_path / "away")
    sink.send([traced(numbered(0))])
    sink.send([])
    assert names(folder) == {"call-0.pcapng"}
    (tmp_path / "away" / "call-0.pcapng.part").rename(folder / "call-0.pcapng.part")
    sink.send([])
    assert all(not name.endswith(".part") for name in names(folder))
    assert [raws(file) for file in folder.iterdir()] == [[numbered(0)]] * 2
    sink.close()


@pytest.mark.parametrize("idle", ["closed meanwhile", "open"])
def test_the_time_of_a_calls_file(tmp_path: Path, idle: str) -> None:
    """It is over for a file that was closed, too."""
    sink = pcap(tmp_path, "{call_id}.pcapng", rotate_seconds=60)
    start = TIME_NS - TIME_NS % (60 * SECOND)
    for minute, seconds in ((0, 1), (0, 30), (2, 1), (2, 2)):
        sink.send([traced(numbered(0), time_ns=start + (60 * minute + seconds) * SECOND)])
        if idle != "open":
            sink.send([])
    sink.close()
    assert names(tmp_path) == {"call-0.pcapng", "call-0-20261122T223101.000000.pcapng"}
    assert [len(raws(file)) for file in tmp_path.iterdir()] == [2, 2]


def test_a_json_file_keeps_its_name(tmp_path: Path) -> None:
    sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl")))
    sink.send([traced(numbered(0))])
    assert names(tmp_path) == {"a.jsonl"}
    sink.close()


KILLED = (
    "import os, signal, sys\nfrom sink_samples import batch_of\n"
    "from capture_agent.config.targets import PcapTarget\nfrom capture_agent.sinks.files.pcap_sink import PcapSink\n"
    "sink = PcapSink(PcapTarget(sys.argv[1], compress=sys.argv[2]))\nsink.send(batch_of(3))\n"
    "os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.mark.parametrize(("compress", "suffix"), [("none", ""), ("gzip", ".gz")])
@pytest.mark.parametrize("torn", [b"", b"\x06\0\0\0\x50"])
def test_after_a_kill_the_next_start_finishes_the_files(
    tmp_path: Path, compress: str, suffix: str, torn: bytes
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "{call_id}.pcapng"), compress]
    assert subprocess.run(command, env=environment, timeout=60, check=False).returncode == -signal.SIGKILL
    assert names(tmp_path) == {f"call-{n}.pcapng{suffix}.part" for n in range(3)}
    for file in tmp_path.iterdir():
        with file.open("ab") as out:
            out.write(torn)
    (tmp_path / f"call-2.pcapng{suffix}").write_bytes(b"of another program")
    sink = PcapSink(PcapTarget(str(tmp_path / "{call_id}.pcapng"), compress="gzip" if suffix else "none"))
    sink.open()
    found = names(tmp_path)
    assert found > {f"call-{n}.pcapng{suffix}" for n in range(3)}
    assert [name for name in found if name.endswith(".part")] == []
    [moved] = [name for name in found if name.startswith("call-2-")]
    if not suffix:
        assert raws(tmp_path / moved) == [numbered(2)]
        assert raws(tmp_path / "call-0.pcapng") == [numbered(0)]
    assert (tmp_path / f"call-2.pcapng{suffix}").read_bytes() == b"of another program"


def test_a_file_that_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    first, second = pcap(tmp_path), pcap(tmp_path)
    first.send([traced(numbered(0))])
    second.open()
    assert names(tmp_path) == {"a.pcapng.part"}
    with pytest.raises(SinkError, match="another process writes it"):
        second.send([traced(numbered(1))])
    first.close()
    assert raws(tmp_path / "a.pcapng") == [numbered(0)]


def test_a_file_of_another_program_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.pcapng").write_bytes(b"not a capture file")
    sink = pcap(tmp_path)
    with pytest.raises(SinkError, match="not written by this sink"):
        sink.send([traced(numbered(0))])
    assert names(tmp_path) == {"a.pcapng"}
