"""--save of `calls` and `flow`: a capture file from the table or a file, read back by tshark and by `decode`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cli_samples import capture_agent as run
from sink_samples import INVITE, RINGING, TIME_NS, captured, numbered, traced

from capture_agent.config.targets import SqlTarget
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import SqlSink

pytestmark = pytest.mark.once

PCAPS = Path(__file__).parents[2] / "pcaps"
CALL = [
    traced(INVITE),
    traced(RINGING, "192.0.2.2", "192.0.2.1", (5070, 5060), time_ns=TIME_NS + 1_000_000),
    traced(INVITE + b"\xff\0\x1b", "2001:db8::1", "2001:db8::2", time_ns=TIME_NS + 2_000_000),
    traced(numbered(1, 70_000), transport="tcp", time_ns=TIME_NS + 3_000_000),
]
OTHER = [traced(numbered(2), time_ns=TIME_NS + 1_500_000)]


def what(messages: list[TracedMessage]) -> list[tuple[object, ...]]:
    return [
        (one.message.raw, one.message.time_ns, d.source, d.source_port, d.destination, d.destination_port, d.transport)
        for one in messages
        for d in [one.message.datagram]
    ]


def checksums(file: Path) -> set[str]:
    """What tshark says about them: 1 is good."""
    fields = [text for name in ("ip", "udp", "tcp") for text in ("-e", f"{name}.checksum.status")]
    options = [text for name in ("ip", "udp", "tcp") for text in ("-o", f"{name}.check_checksum:TRUE")]
    found = subprocess.run(
        ["tshark", "-r", str(file), *options, "-T", "fields", *fields], capture_output=True, check=True, timeout=60
    )
    return set(found.stdout.decode().replace("\n", "\t").split("\t"))


@pytest.fixture
def table(database: str) -> str:
    create_tables(database)
    sink = SqlSink(SqlTarget(database))
    sink.send([*CALL, *OTHER])
    sink.close()
    return database


@pytest.mark.parametrize("name", ["a.pcapng", "a.pcap"])
def test_a_call_from_the_table(table: str, tmp_path: Path, name: str) -> None:
    ended = run("flow", "call-1", "--db", table, "--save", name, folder=tmp_path)
    assert (ended.status, "--save" in ended.err) == (0, False)
    assert "180 Ringing" in ended.out
    assert what(captured(tmp_path / name)) == what(CALL)
    assert checksums(tmp_path / name) <= {"1", ""}
    assert {file.name for file in tmp_path.iterdir()} - {"trace.db"} == {name}


def test_all_calls_from_the_table(table: str, tmp_path: Path) -> None:
    assert run("calls", "--db", table, "--save", "a.pcapng", folder=tmp_path).status == 0
    messages = sorted([*CALL, *OTHER], key=lambda one: one.message.time_ns)
    assert sorted(what(captured(tmp_path / "a.pcapng"))) == sorted(what(messages))


@pytest.mark.parametrize("name", ["call.pcap", "call-qinq.pcap", "call-sll2.pcap", "fragments.pcap", "call-tcp.pcap"])
def test_a_call_from_a_file(tmp_path: Path, name: str) -> None:
    own = captured(PCAPS / name)
    call_id = (own[0].message.sip.call_id or b"").decode()  # type: ignore[union-attr]
    wanted = [one for one in own if one.message.sip.call_id == call_id.encode()]  # type: ignore[union-attr]
    ended = run("flow", call_id, "--file", str(PCAPS / name), "--save", "a.pcapng", folder=tmp_path)
    assert (ended.status, ended.err) == (0, "")
    assert what(captured(tmp_path / "a.pcapng")) == what(wanted)


def test_a_file_that_exists(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_text("mine")
    arguments = ("flow", "1-14806@198.51.100.20", "--file", str(PCAPS / "call.pcap"), "--save", "a.pcap")
    ended = run(*arguments, folder=tmp_path)
    assert (ended.status, ended.err) == (2, "capture-agent: flow: --save: a.pcap exists; --overwrite replaces it\n")
    assert (tmp_path / "a.pcap").read_text() == "mine"
    assert run(*arguments, "--overwrite", folder=tmp_path).status == 0
    assert len(captured(tmp_path / "a.pcap")) == 13
    assert [file.name for file in tmp_path.iterdir()] == ["a.pcap"]


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        pytest.param(("--save", "a.txt"), 2, "got 'a.txt', expected a name that ends in .pcapng or .pcap", id="name"),
        pytest.param(("--save", "no/a.pcap"), 1, "no/a.pcap: no such file or directory", id="folder"),
        pytest.param(("--save", "/proc/a.pcap"), 1, "/proc/a.pcap: ", id="not writable"),
        pytest.param(("--save", "/dev/full/a.pcap"), 1, "/dev/full/a.pcap: not a directory", id="not a folder"),
        pytest.param(("--overwrite",), 2, "got --overwrite without --save", id="overwrite alone"),
    ],
)
def test_what_cannot_be_saved(tmp_path: Path, arguments: tuple[str, ...], status: int, error: str) -> None:
    ended = run("flow", "1-14806@198.51.100.20", "--file", str(PCAPS / "call.pcap"), *arguments, folder=tmp_path)
    assert (ended.status, ended.err.count("\n")) == (status, 1)
    assert error in ended.err
    assert list(tmp_path.iterdir()) == []


def test_calls_cannot_follow_and_save(tmp_path: Path) -> None:
    ended = run("calls", "--follow", "--save", "a.pcap", "--db", "sqlite:///a.db", folder=tmp_path)
    assert (ended.status, ended.err) == (
        2,
        "capture-agent: calls: got both --follow and --save, expected one of them\n",
    )
