"""replay, calls, flow and db create, from capture file to table and back."""

from __future__ import annotations

import fcntl
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path

import pytest
from cli_samples import CALL, OTHER, Packet, capture_agent, pcap, sip
from free_ports import free_port

from capture_agent.sinks.sql.schema import create_tables

DB = "sqlite:///trace.db"
CALL_ENDS = CALL[0].source, CALL[0].destination, CALL[0].payload


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "calls.pcap").write_bytes(pcap([*CALL, *OTHER]))
    return tmp_path


def test_there_and_back(folder: Path) -> None:
    assert capture_agent("db", "create", "--db", DB, folder=folder).err == f"{DB}: table sip_trace made\n"
    assert capture_agent("db", "create", "--db", DB, folder=folder).err == f"{DB}: table sip_trace exists already\n"
    ended = capture_agent("replay", "calls.pcap", "--db", DB, folder=folder)
    assert (ended.out, ended.status) == ("", 0)
    assert ended.err.splitlines() == [
        "frames: 13 seen, 13 carried",
        "messages: 13 seen, 12 traced, 0 not traced, 0 duplicate, 1 rejected (rtp 1)",
        f"{DB}: 12 seen, 12 sent, 0 waiting",
    ]
    assert capture_agent("calls", "--db", DB, folder=folder).out.splitlines() == [
        "first seen (UTC)     from          to            method     state       status  messages  duration  Call-ID",
        "2023-11-14 22:13:20  alice         bob           INVITE     completed   200           10      1:02  a@b",
        "2023-11-14 22:14:30  alice         bob           REGISTER   registered  200            2     0.1 s  r@b",
    ]


def test_several_databases(folder: Path) -> None:
    urls = [DB, "sqlite:///other.db"]
    for url in urls:
        capture_agent("db", "create", "--db", url, folder=folder)
    ended = capture_agent("replay", "calls.pcap", "--db", urls[0], "--db", urls[1], folder=folder)
    assert ended.err.splitlines()[-2:] == [f"{url}: 12 seen, 12 sent, 0 waiting" for url in urls]


def test_what_became_of_calls(folder: Path) -> None:
    flood = [
        Packet(n / 100, "10.0.0.1", "10.0.0.2", sip("OPTIONS sip:b SIP/2.0", f"c{n}", "1 OPTIONS")) for n in range(150)
    ]
    (folder / "flood.pcap").write_bytes(pcap([*CALL[:-2], *flood]))
    capture_agent("db", "create", "--db", DB, folder=folder)
    arguments = ("replay", "flood.pcap", "--trace", "dialog", "--db", DB)
    lines = capture_agent(*arguments, folder=folder, CAPTURE_AGENT_CORRELATE__CALLS="100").err.splitlines()
    assert lines[1:6] == [
        "messages: 158 seen, 8 traced, 150 not traced, 0 duplicate",
        "correlation: 158 seen, 157 new, 1 retransmitted",
        "calls: 151 seen, 0 over, 100 held, 51 lost (evicted 51)",
        "transactions: 152 seen, 0 over, 100 held, 52 lost (evicted 52)",
        "dialogs: 1 seen, 0 over, 0 held, 1 lost (evicted 1)",
    ]


LADDER = """\
2023-11-14 22:13:20 UTC  alice -> bob  udp  Call-ID a@b
          10.0.0.1                10.0.0.2                10.0.0.3
     0.000    |---- INVITE (SDP) ---->|                       |
     0.001    |                       |---- INVITE (SDP) ---->|
     0.500    |- INVITE (SDP) again ->|                       |
     0.700    |                       |<---- 180 Ringing -----|
     0.701    |<---- 180 Ringing -----|                       |
     3.250    |                       |<---- 200 OK (SDP) ----|
     3.251    |<---- 200 OK (SDP) ----|                       |
     3.300    |--------------------- ACK -------------------->|
    65.000    |<-------------------- BYE ---------------------|
    65.020    |------------------- 200 OK ------------------->|
"""


@pytest.mark.parametrize("source", [["--file", "calls.pcap"], ["--db", DB]], ids=["file", "table"])
def test_flow(folder: Path, source: list[str]) -> None:
    create_tables(f"sqlite:///{folder}/trace.db")
    if "--db" in source:
        capture_agent("replay", "calls.pcap", "--db", DB, folder=folder)
    ended = capture_agent("flow", "a@b", *source, folder=folder, COLUMNS="80")
    assert (ended.out, ended.err, ended.status) == (LADDER, "", 0)


def test_flow_of_nothing(folder: Path) -> None:
    ended = capture_agent("flow", "nix", "--file", "calls.pcap", folder=folder)
    assert ended.err == "capture-agent: flow: no message with the Call-ID 'nix' in calls.pcap\n"
    assert ended.status == 1


def test_two_interfaces_that_see_a_call_in_another_order(folder: Path) -> None:
    create_tables(f"sqlite:///{folder}/trace.db")
    (folder / "late.pcap").write_bytes(pcap([Packet(1.0, *CALL_ENDS), Packet(0.99, *CALL_ENDS)]))
    capture_agent("replay", "late.pcap", "--db", DB, folder=folder)
    assert "   0.0 s  a@b" in capture_agent("calls", "--db", DB, folder=folder).out


def test_nothing_in_the_table_obeys(folder: Path) -> None:
    evil = sip("SIP/2.0 200 \x1b[31m[bold]\u202e", call_id="a\x1b[2Jb", sender="\x1b]0;x\x07")
    (folder / "evil.pcap").write_bytes(pcap([Packet(0, "10.0.0.1", "10.0.0.2", evil)]))
    create_tables(f"sqlite:///{folder}/trace.db")
    capture_agent("replay", "evil.pcap", "--db", DB, folder=folder)
    shown = capture_agent("calls", "--db", DB, folder=folder).out.splitlines()
    shown += capture_agent("flow", "a\x1b[2Jb", "--db", DB, folder=folder).out.splitlines()
    assert len(shown) == 5
    assert all(line.isprintable() for line in shown)


def test_the_database_of_the_configuration(folder: Path) -> None:
    (folder / "agent.toml").write_text(f'[[sql]]\nurl = "{DB}"\ntable = "other"\n')
    settings = ("--config", "agent.toml")
    assert capture_agent("db", "create", *settings, folder=folder).err == f"{DB}: table other made\n"
    assert capture_agent("replay", "calls.pcap", folder=folder, CAPTURE_AGENT_CONFIG="agent.toml").status == 0
    assert len(capture_agent("calls", *settings, folder=folder).out.splitlines()) == 3


def test_without_a_sink(folder: Path) -> None:
    ended = capture_agent("replay", "calls.pcap", "--loop", "2", folder=folder)
    assert ended.err.startswith("capture-agent: replay: no sink: give --hep, --sip or --db")
    assert ended.status == 2


def test_hep_and_sip_arrive(folder: Path) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as hep, socket.socket(type=socket.SOCK_DGRAM) as duplicate:
        for sink in (hep, duplicate):
            sink.bind(("127.0.0.1", 0))
            sink.settimeout(10)
        uris = (
            "--hep",
            f"hep:127.0.0.1:{hep.getsockname()[1]}",
            "--sip",
            f"sip:127.0.0.1:{duplicate.getsockname()[1]}",
        )
        assert capture_agent("replay", "calls.pcap", *uris, folder=folder).status == 0
        assert hep.recv(65535)[:4] == b"HEP3"
        assert duplicate.recv(65535) == CALL[0].payload


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("replay calls.pcap --db sqlite:////nix/x.db", "sqlite:////nix/x.db: no such file"),
        ("replay calls.pcap --db sqlite:///nix.db", "sqlite:///nix.db: no such file"),
        ("calls --db sqlite:///nix.db", "sqlite:///nix.db: no such file"),
        ("db create --db sqlite:////nix/x.db", "sqlite:////nix/x.db: no such directory: /nix"),
        ("calls --db sqlite:///empty.db --table nix", "table nix does not exist in sqlite:///empty.db"),
        ("replay calls.pcap --db sqlite:///empty.db", "table sip_trace does not exist in sqlite:///empty.db"),
        ("replay calls.pcap --db sqlite:////proc", "sqlite:////proc: is a directory"),
        ("replay calls.pcap --hep hep:nosuch.invalid", "hep:nosuch.invalid:9060: the host name is not known"),
    ],
)
def test_sinks_that_cannot_be_reached(folder: Path, command: str, line: str) -> None:
    (folder / "empty.db").touch()
    ended = capture_agent(*command.split(), folder=folder)
    name = "db create" if command.startswith("db") else command.split(maxsplit=1)[0]
    assert ended.err.startswith(f"capture-agent: {name}: {line}")
    assert (ended.err.count("\n"), ended.out, ended.status) == (1, "", 1)


def test_refused_connection(folder: Path) -> None:
    uri = f"hep+tcp:127.0.0.1:{free_port()}"
    ended = capture_agent("replay", "calls.pcap", "--hep", uri, folder=folder)
    assert (ended.err, ended.status) == (f"capture-agent: replay: {uri}: connection refused\n", 1)


@pytest.mark.parametrize(("packets", "lost"), [(1, 1), (12, 6)], ids=["one", "several"])
def test_refused_datagrams(folder: Path, packets: int, lost: int) -> None:
    """The kernel reports at least half of them."""
    (folder / "some.pcap").write_bytes(pcap(CALL[:1] * packets))
    uri = f"hep:127.0.0.1:{free_port()}"
    ended = capture_agent("replay", "some.pcap", "--hep", uri, folder=folder)
    line = ended.err.splitlines()[-1]
    told = re.fullmatch(
        rf"capture-agent: replay: {uri}: connection refused: at least (\d+) of {packets} messages are lost", line
    )
    assert told is not None, ended.err
    assert int(told[1]) >= lost
    assert ended.status == 1


def test_damage_ends_one_file_alone(folder: Path) -> None:
    whole = (folder / "calls.pcap").read_bytes()
    (folder / "cut.pcap").write_bytes(whole[:-5])
    (folder / "torn.pcap").write_bytes(whole[:30])
    create_tables(f"sqlite:///{folder}/trace.db")
    files = ("torn.pcap", "cut.pcap", "calls.pcap")
    ended = capture_agent("replay", *files, "--loop", "2", "--db", DB, folder=folder)
    assert ended.err.splitlines() == [
        "frames: 50 seen, 50 carried",
        "messages: 50 seen, 48 traced, 0 not traced, 0 duplicate, 2 rejected (rtp 2)",
        f"{DB}: 48 seen, 48 sent, 0 waiting",
        "capture-agent: replay: torn.pcap: the file ends inside a packet record, 6 of 16 bytes are there (byte 24)",
        f"capture-agent: replay: cut.pcap: the file ends inside a packet record, 74 of 79 bytes are there"
        f" (byte {len(whole) - 79})",
    ]
    assert ended.status == 1


def test_damage_is_reported_before_a_file_that_is_not_a_capture(folder: Path) -> None:
    (folder / "cut.pcap").write_bytes((folder / "calls.pcap").read_bytes()[:-5])
    (folder / "text.pcap").write_text("no capture at all, but long enough to have a header\n")
    capture_agent("db", "create", "--db", DB, folder=folder)
    for command in ("replay", "decode"):
        sink = ("--db", DB) if command == "replay" else ()
        ended = capture_agent(command, "cut.pcap", "text.pcap", "calls.pcap", *sink, folder=folder)
        first, second = (line for line in ended.err.splitlines() if line.startswith("capture-agent"))
        assert first.startswith(f"capture-agent: {command}: cut.pcap: the file ends inside a packet record")
        assert second.startswith(f"capture-agent: {command}: text.pcap: not a capture file")
        assert ended.status == 2


@pytest.mark.parametrize("call_id", ["\udcff@b", r"\xff@b"], ids=["bytes", "as calls shows it"])
@pytest.mark.parametrize("source", [["--file", "odd.pcap"], ["--db", DB]], ids=["file", "table"])
def test_flow_of_a_call_id_that_is_not_utf_8(folder: Path, source: list[str], call_id: str) -> None:
    odd = sip("OPTIONS sip:b SIP/2.0", call_id="\udcff@b", cseq="1 OPTIONS")
    (folder / "odd.pcap").write_bytes(pcap([Packet(0, "10.0.0.1", "10.0.0.2", odd)]))
    create_tables(f"sqlite:///{folder}/trace.db")
    if "--db" in source:
        capture_agent("replay", "odd.pcap", "--db", DB, folder=folder)
    ended = capture_agent("flow", call_id, *source, folder=folder)
    assert (ended.err, ended.status) == ("", 0)
    assert "OPTIONS" in ended.out


def test_flow_of_a_damaged_file(folder: Path) -> None:
    (folder / "cut.pcap").write_bytes((folder / "calls.pcap").read_bytes()[:-5])
    ended = capture_agent("flow", "a@b", "--file", "cut.pcap", folder=folder, COLUMNS="80")
    assert ended.out == LADDER
    assert ended.err.startswith("capture-agent: flow: cut.pcap: the file ends inside a packet record")
    assert ended.status == 1
    assert capture_agent("flow", "nix", "--file", "cut.pcap", folder=folder).err == ended.err


@pytest.mark.parametrize(("beginning", "seen"), [(0, 0), (10, 0), (1200, 4)], ids=["silent", "header", "frames"])
def test_a_signal_ends_the_wait_for_a_pipe(folder: Path, beginning: int, seen: int) -> None:
    data = (folder / "calls.pcap").read_bytes()[:beginning]
    command = [sys.executable, "-m", "capture_agent", "replay", "-", "--db", DB]
    create_tables(f"sqlite:///{folder}/trace.db")
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as replay:
        assert replay.stdin is not None and replay.stderr is not None
        replay.stdin.write(data)
        replay.stdin.flush()
        wait_until_it_waits(replay)
        replay.send_signal(signal.SIGTERM)
        assert replay.wait(timeout=20) == 130  # the pipe is still open
        assert replay.stderr.read().decode().startswith(f"frames: {seen} seen, {seen} carried\n")


def wait_until_it_waits(replay: subprocess.Popen[bytes]) -> None:
    """Until it has set its signal handlers and waits for more input."""
    deadline = time.monotonic() + 30
    while True:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{replay.pid}/status").read_text())
        assert caught is not None and replay.stdin is not None
        unread = int.from_bytes(fcntl.ioctl(replay.stdin, termios.FIONREAD, bytes(4)), sys.byteorder)
        if int(caught[1], 16) >> (signal.SIGTERM - 1) & 1 and not unread:
            return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_a_row(database: Path) -> None:
    deadline = time.monotonic() + 30
    with closing(sqlite3.connect(database)) as connection:
        while not connection.execute("select count(*) from sip_trace").fetchone()[0]:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_interrupted_replay_sends_what_it_has(folder: Path) -> None:
    create_tables(f"sqlite:///{folder}/trace.db")
    command = [sys.executable, "-m", "capture_agent", "replay", "calls.pcap", "--speed", "real", "--db", DB]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as replay:
        wait_for_a_row(folder / "trace.db")
        replay.send_signal(signal.SIGINT)
        _, err = replay.communicate(timeout=20)
    assert replay.returncode == 130
    books = err.splitlines()
    assert [line.partition(":")[0] for line in books] == ["frames", "messages", "sqlite"]
    assert "lost" not in err


def test_follow_prints_new_calls(folder: Path) -> None:
    create_tables(f"sqlite:///{folder}/trace.db")
    command = [sys.executable, "-m", "capture_agent", "calls", "--db", DB, "--follow"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as calls:
        assert calls.stdout is not None
        assert calls.stdout.readline().startswith("first seen")
        capture_agent("replay", "calls.pcap", "--db", DB, folder=folder)
        assert calls.stdout.readline().endswith("a@b\n")
        calls.send_signal(signal.SIGINT)
        _, err = calls.communicate(timeout=20)
    assert (calls.returncode, err) == (130, "")


def test_follow_prints_a_refresh_that_fails_and_one_that_works_again(folder: Path) -> None:
    """For one Call-ID, the last transaction counts."""
    statuses = ["200 OK", "403 Forbidden", "403 Forbidden", "200 OK"]
    create_tables(f"sqlite:///{folder}/trace.db")
    command = [sys.executable, "-m", "capture_agent", "calls", "--db", DB, "--follow"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as calls:
        assert calls.stdout is not None
        assert calls.stdout.readline().startswith("first seen")
        shown = []
        for cseq, status in enumerate(statuses, start=1):
            refresh = [
                Packet(60 * cseq, "10.0.0.1", "10.0.0.2", sip("REGISTER sip:b SIP/2.0", "r@b", f"{cseq} REGISTER")),
                Packet(60 * cseq + 1, "10.0.0.2", "10.0.0.1", sip(f"SIP/2.0 {status}", "r@b", f"{cseq} REGISTER")),
            ]
            (folder / "refresh.pcap").write_bytes(pcap(refresh))
            capture_agent("replay", "refresh.pcap", "--db", DB, folder=folder)
            if cseq > 1 and statuses[cseq - 2] == status:
                time.sleep(2.5)  # two looks, at which nothing is new
                continue
            shown.append(calls.stdout.readline().split()[4:8])
        calls.send_signal(signal.SIGINT)
        rest, err = calls.communicate(timeout=20)
    assert shown == [
        ["REGISTER", "registered", "200", "2"],
        ["REGISTER", "rejected", "403", "4"],
        ["REGISTER", "registered", "200", "8"],
    ]
    assert (rest, err) == ("", "")
