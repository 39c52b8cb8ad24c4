"""Replays with times that jump, are shifted to now, or repeat; and output while a capture is still being written."""

from __future__ import annotations

import json
import os
import select
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from struct import pack

import pytest
from cli_samples import CALL, Packet, capture_agent, pcap, sip

ROOT = Path(__file__).parents[2]
INPUTS = ROOT / "tests" / "faults" / "inputs"
DB = "sqlite:///times.db"
JULIAN_1970 = 2440587.5


def rows(folder: Path) -> list[tuple[float, str]]:
    """Seconds since 1970 and method of each row, in their order."""
    with sqlite3.connect(folder / "times.db") as database:
        found = database.execute("SELECT time_stamp, time_us, method FROM sip_trace ORDER BY id").fetchall()
    return [(round((day - JULIAN_1970) * 86400) + us / 1e6, method) for day, us, method in found]


def test_a_gap_of_years_is_not_waited_for(tmp_path: Path) -> None:
    assert capture_agent("db", "create", "--db", DB, folder=tmp_path).status == 0
    ended = capture_agent("replay", INPUTS / "speed_real_gap.pcap", "--speed", "real", "--db", DB, folder=tmp_path)
    assert ended.status == 0
    assert "the packets' times jump forward by 56" in ended.err
    assert "messages: 3 seen" in ended.err or " traced" in ended.err
    assert len(rows(tmp_path)) >= 2


@pytest.mark.parametrize("gap", ["0", "-1", "1.5", "x"])
def test_a_wrong_gap(tmp_path: Path, gap: str) -> None:
    ended = capture_agent("replay", INPUTS / "concat.pcap", "--max-gap", gap, folder=tmp_path)
    assert ended.status == 2
    assert f"--max-gap: value '{gap}', expected a whole number from 1" in ended.err


def test_replay_now(tmp_path: Path) -> None:
    (tmp_path / "calls.pcap").write_bytes(pcap(CALL))
    assert capture_agent("db", "create", "--db", DB, folder=tmp_path).status == 0
    before = time.time()
    ended = capture_agent("replay", "calls.pcap", "--now", "--loop", "2", "--db", DB, folder=tmp_path)
    after = time.time()
    assert ended.status == 0
    found = rows(tmp_path)
    times = [moment for moment, _ in found]
    first, second = times[: len(CALL)], times[len(CALL) :]
    for one_pass in (first, second):
        assert before - 1 <= one_pass[0] <= after + 1
        assert [round(moment - one_pass[0], 3) for moment in one_pass] == [packet.seconds for packet in CALL]


@pytest.mark.parametrize("capture", ["call-tcp.pcap", "segments.pcap", "fragments.pcap", "call.pcap"])
def test_each_pass_of_a_loop_gives_all(tmp_path: Path, capture: str) -> None:
    """Nothing of a later pass is a retransmission, a late fragment or a copy of the pass before."""
    for passes in (1, 3):
        (tmp_path / "times.db").unlink(missing_ok=True)
        assert capture_agent("db", "create", "--db", DB, folder=tmp_path).status == 0
        options = ("--drop-copies", "--trace", "transaction", "--loop", passes, "--db", DB)
        ended = capture_agent("replay", ROOT / "pcaps" / capture, *options, folder=tmp_path)
        assert ended.status == 0
        assert "does not balance" not in ended.err
        found = rows(tmp_path)
        if passes == 1:
            once = found
    assert once
    assert found == 3 * once


@pytest.mark.parametrize("output", ["jsonl", "table"])
def test_a_message_is_shown_as_it_arrives(output: str) -> None:
    """`tcpdump -w - | decode -`: nothing waits for a full buffer, or for the end."""
    requests = [Packet(n, "10.0.0.1", "10.0.0.2", sip("OPTIONS sip:b SIP/2.0", f"call-{n}@x")) for n in range(3)]
    whole = pcap(requests)
    header, size = whole[:24], (len(whole) - 24) // 3
    command = [sys.executable, "-m", "capture_agent", "decode", "--format", output, "-"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment) as running:
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(header)
        running.stdin.flush()
        for n in range(3):
            running.stdin.write(whole[24 + n * size : 24 + (n + 1) * size])
            running.stdin.flush()
            shown = b""
            while f"call-{n}@x\n".encode() not in shown.replace(b'"', b"\n"):
                ready, _, _ = select.select([running.stdout], [], [], 30)
                assert ready, "nothing is shown while the pipe is open"
                shown += os.read(running.stdout.fileno(), 65536)
        running.stdin.close()
        assert running.stdout.read() == b""
        assert running.wait(timeout=60) == 0


def test_hep_on_the_wire_is_counted_as_hep() -> None:
    ended = capture_agent("decode", INPUTS / "hep_in_pcap.pcap")
    assert "4 rejected (hep 4)" in ended.err


def test_joined_and_compressed_captures(tmp_path: Path) -> None:
    joined = capture_agent("decode", "--format", "jsonl", INPUTS / "concat.pcap")
    assert [json.loads(line)["frame"] for line in joined.out.splitlines()] == [1, 2]
    for name in ("compressed.odd_xz.xz", "compressed.odd_bz2.bz2"):
        assert "1 messages, 0 rejected" in capture_agent("decode", INPUTS / name).err


def test_a_link_type_without_a_name_in_a_replay(tmp_path: Path) -> None:
    record = pack("<IIII", 1, 0, 4, 4) + bytes(4)
    (tmp_path / "odd.pcap").write_bytes(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 147) + record)
    assert capture_agent("db", "create", "--db", DB, folder=tmp_path).status == 0
    ended = capture_agent("replay", "odd.pcap", "--db", DB, folder=tmp_path)
    assert "link type 147 is not supported: 1 frames rejected" in ended.err
