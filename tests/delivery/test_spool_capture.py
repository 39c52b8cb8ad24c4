"""decode and replay read a spool as they read a capture: the same messages, in order, whatever state the file is in."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from cli_samples import CALL, OTHER, capture_agent, pcap
from faults.peers import Read
from sink_samples import ListSink, batch_of, eventually
from test_outbox import down
from test_spool import opened, raw
from test_spooled_outbox import outbox

from capture_agent.delivery.spool.spool_or_capture import open_capture
from capture_agent.pipeline import Pipeline
from capture_agent.records.traced import TracedMessage
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.source import SourceError
from hep import StreamDecoder


def read(path: Path) -> list[bytes]:
    return [message.raw for batch in Pipeline().read(open_capture(path).batches()) for message in batch]


def traced(capture: Path) -> list[TracedMessage]:
    with CaptureFile(capture) as source:
        pipeline = Pipeline()
        return [one for frames in source.batches() for one in pipeline.process(frames)]


def lines(path: Path) -> list[dict[str, Any]]:
    ended = capture_agent("decode", path, "--format", "jsonl")
    assert ended.status == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    file = tmp_path / "calls.pcap"
    file.write_bytes(pcap([*CALL, *OTHER]))
    return file


def test_decode_shows_what_it_shows_of_the_capture(capture: Path, tmp_path: Path) -> None:
    spool = opened(tmp_path / "s.spool")
    spool.append(traced(capture))
    spool.close()
    found, wanted = lines(tmp_path / "s.spool"), lines(capture)
    assert [one | {"frame": 0} for one in found] == [one | {"frame": 0} for one in wanted]
    assert [one["frame"] for one in found] == list(range(1, len(wanted) + 1))


def test_replay_sends_it(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s.spool")
    for n in range(0, 3000, 100):
        spool.append(batch_of(100, n))
    spool.close()
    with Read() as peer:
        ended = capture_agent("replay", tmp_path / "s.spool", "--hep", f"hep+tcp:127.0.0.1:{peer.port}")
        assert ended.status == 0, ended.err
        eventually(lambda: peer.streams and len(received(peer)) == 3000)
        assert received(peer) == raw(batch_of(3000))


def received(peer: Read) -> list[bytes]:
    return [packet.payload or b"" for stream in peer.streams for packet in StreamDecoder().feed(bytes(stream))]


def test_what_was_sent_is_left_out(tmp_path: Path) -> None:
    """While the agent still has the file open."""
    spool = opened(tmp_path / "s.spool")
    for n in range(0, 40, 10):
        spool.append(batch_of(10, n))
    _, first = spool.take()
    assert first is not None
    spool.remove(first)
    _, second = spool.take()
    assert second is not None
    spool.give_back(second, 4)
    assert read(tmp_path / "s.spool") == raw(batch_of(26, 14))
    assert spool.take()[1] is not None  # and it can go on
    spool.close()


def test_a_damaged_batch_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    spool = opened(tmp_path / "s.spool")
    for n in range(0, 30, 10):
        spool.append(batch_of(10, n))
    spool.close()
    database = sqlite3.connect(tmp_path / "s.spool")
    ((middle,),) = database.execute("SELECT id FROM contents ORDER BY id LIMIT 1 OFFSET 1")
    database.execute("UPDATE contents SET data = zeroblob(length(data)) WHERE id = ?", (middle,))
    database.commit()
    database.close()
    ended = capture_agent("decode", tmp_path / "s.spool", "--format", "jsonl")
    assert ended.status == 1
    assert len(ended.out.splitlines()) == 20
    assert "damaged batches; messages in them: 10" in ended.err


@pytest.mark.parametrize("ends", [pytest.param(("",), id="the file"), pytest.param(("", "-wal"), id="and its log")])
def test_a_copy_of_a_spool_in_use(tmp_path: Path, ends: tuple[str, ...]) -> None:
    """With its log it is complete; without it, what it has is the beginning."""
    spool = opened(tmp_path / "s.spool")
    for n in range(0, 12_000, 1000):
        spool.append(batch_of(1000, n, size=1000))
    for end in ends:
        shutil.copy(tmp_path / f"s.spool{end}", tmp_path / f"copy.spool{end}")
    spool.close()
    found = read(tmp_path / "copy.spool")
    assert found == raw(batch_of(12_000, size=1000))[: len(found)]
    assert len(found) == 12_000 if "-wal" in ends else 0 < len(found) < 12_000


def test_it_ends_although_the_agent_goes_on(tmp_path: Path) -> None:
    """It shows what was there when the reading began, whatever is sent, written and put back meanwhile."""
    spool = opened(tmp_path / "s.spool")
    for n in range(0, 50, 10):
        spool.append(batch_of(10, n))
    source = open_capture(tmp_path / "s.spool")
    found: list[bytes] = []
    for frames in source.batches():
        found += [message.raw for batch in Pipeline().read([frames]) for message in batch]
        for n in (100, 200, 300):
            spool.append(batch_of(10, n + len(found)))
        spool.put_back(batch_of(5, 900), taken=False)
        _, one = spool.take()
        assert one is not None
        spool.remove(one)
        assert len(found) <= 50
    source.close()
    assert found == raw(batch_of(50))
    assert spool.failing == ""
    while (one := spool.take()[1]) is not None:
        spool.remove(one)
    assert (spool.messages, spool.bytes, spool.failing) == (0, 0, "")
    spool.close()


def test_decode_while_an_outbox_writes(tmp_path: Path) -> None:
    """As fast as it can, until the command has ended."""
    box = outbox(ListSink(down), tmp_path, limit=2000)
    done = threading.Event()

    def write() -> None:
        n = 0
        while not done.is_set():
            box.put(batch_of(50, n))
            n += 50
            eventually(lambda: box._in_memory() < 1000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: box.standing().spool.messages > 1000)  # type: ignore[union-attr]
        found = [one["call_id"] for one in lines(tmp_path / "s")]
    finally:
        done.set()
        writer.join()
        box.close(0)
    assert len(found) > 1000
    assert found == [f"call-{n}" for n in range(len(found))]


def test_another_database_is_none(tmp_path: Path) -> None:
    file = tmp_path / "trace.db"
    sqlite3.connect(file).execute("CREATE TABLE sip_trace (id INTEGER)").connection.close()
    with pytest.raises(SourceError, match="a SQLite database"):
        open_capture(file)


def test_a_pipe_is_read_from_its_first_byte(pcaps: Path) -> None:
    """Whoever looks into it for a spool takes bytes that the reader of captures needs."""
    command = f"cat {pcaps / 'call.pcap'} | {sys.executable} -m capture_agent decode /dev/stdin"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "INVITE" in done.stdout
