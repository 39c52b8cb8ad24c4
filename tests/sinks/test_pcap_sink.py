"""Capture files with rebuilt packets, read back by tshark and by the agent."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sink_samples import INVITE, TIME_NS, Receiver, batch_of, captured, numbered, traced

from capture_agent.config.targets import PcapTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files import rotating_files
from capture_agent.sinks.files.pcap_sink import PcapSink
from capture_agent.sinks.sink import handled

pytestmark = pytest.mark.once
SECOND = 1_000_000_000
CHECKED = ("ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "tcp.check_checksum:TRUE", "sctp.checksum:CRC 32c")
FIELDS = ("frame.time_epoch", "ip.checksum.status", "udp.checksum.status", "tcp.checksum.status", "_ws.expert.message")


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    yield Receiver(f'file = "{folder}/trace.pcapng"', "", lambda: messages(*folder.glob("*.pcapng")))


def messages(*files: Path) -> list[bytes]:
    return [one.message.raw for file in sorted(files) for one in captured(file)]


def write(file: Path, batch: list[TracedMessage], **options: object) -> PcapSink:
    sink = PcapSink(PcapTarget(str(file), **options))  # type: ignore[arg-type]
    sink.send(batch)
    sink.close()
    return sink


def tshark(file: Path, *fields: str) -> list[list[str]]:
    checks = [text for option in CHECKED for text in ("-o", option)]
    shown = [text for field in fields for text in ("-e", field)]
    found = subprocess.run(
        ["tshark", "-r", str(file), *checks, "-T", "fields", *shown], capture_output=True, check=True, timeout=120
    )
    return [line.split("\t") for line in found.stdout.decode().splitlines()]


LONG = numbered(7, 64_000)
EVERY = [
    traced(INVITE),
    traced(INVITE, "2001:db8::1", "2001:db8::2", time_ns=TIME_NS + 1_000_001),
    traced(numbered(2, 65_000), time_ns=TIME_NS + 2_000_001),
    traced(numbered(3, 1), transport="tcp", time_ns=TIME_NS + 3_000_001),
    traced(numbered(4, 200_001), transport="tcp", time_ns=TIME_NS + 4_000_001),
    traced(numbered(5), "192.0.2.2", "192.0.2.1", (5070, 5060), transport="tcp", time_ns=TIME_NS + 5_000_001),
    traced(numbered(6, 3), "2001:db8::1", "2001:db8::2", transport="tls", time_ns=TIME_NS + 6_000_001),
    traced(LONG, "2001:db8::1", "2001:db8::2", transport="tls", time_ns=TIME_NS + 7_000_001),
    traced(numbered(8, 5), transport="ws", time_ns=TIME_NS + 8_000_001),
    traced(numbered(9, 70_000), "2001:db8::1", "2001:db8::2", transport="wss", time_ns=TIME_NS + 9_000_001),
    traced(numbered(10, 6), "192.0.2.3", transport="sctp", time_ns=TIME_NS + 10_000_001),
    traced(numbered(11, 7), "2001:db8::3", "2001:db8::2", transport="sctp", time_ns=TIME_NS + 11_000_001),
]


@pytest.mark.parametrize("format", ["pcapng", "pcap"])
def test_every_transport_read_back(tmp_path: Path, format: str) -> None:
    file = tmp_path / f"a.{format}"
    assert write(file, EVERY, format=format).sent == len(EVERY)
    back = captured(file)
    assert [one.message.raw for one in back] == [one.message.raw for one in EVERY]
    assert [one.message.time_ns for one in back] == [one.message.time_ns for one in EVERY]
    ends = [[(d.source, d.source_port, d.destination, d.destination_port) for d in (one.message.datagram for one in of)]
            for of in (back, EVERY)]  # fmt: skip
    assert ends[0] == ends[1]


@pytest.mark.parametrize("format", ["pcapng", "pcap"])
def test_tshark_finds_no_error(tmp_path: Path, format: str) -> None:
    file = tmp_path / f"a.{format}"
    write(file, [*EVERY, *EVERY], format=format)
    rows = tshark(file, *FIELDS)
    assert len(rows) >= 2 * len(EVERY)
    assert {status for row in rows for field in row[1:4] for status in field.split(",")} == {"1", ""}  # 1: good
    assert [row[4] for row in rows if any(word in row[4] for word in ("suspected", "retransm", "not captured"))] == []
    assert rows[0][0] == "1795386683.255621000"


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws", "wss", "sctp"])
def test_tshark_reads_the_same_sip(tmp_path: Path, transport: str) -> None:
    file = tmp_path / "a.pcapng"
    batch = [traced(numbered(n, n), transport=transport, time_ns=TIME_NS + n) for n in range(200)]
    write(file, batch)
    shown_as = "udp" if transport == "udp" else "tcp"
    found = [bytes.fromhex(payload) for (payload,) in tshark(file, f"{shown_as}.payload") if payload]
    assert found == [one.message.raw for one in batch]
    assert [row[0] for row in tshark(file, "sip.Call-ID") if row[0]] == [f"call-{n}" for n in range(200)]


@pytest.mark.parametrize("changed", [False, True], ids=["as captured", "rebuilt"])
def test_sctp_packets(tmp_path: Path, changed: bool) -> None:
    """Made by Wireshark's own text2pcap: the sums are right in the frames that are kept, and in those that are rebuilt."""
    dump, capture, file = tmp_path / "dump", tmp_path / "sctp.pcap", tmp_path / "a.pcapng"
    wanted = [numbered(n, 50 + n) for n in range(20)]
    dump.write_text("".join(f"{hexdump(message)}\n" for message in wanted))
    made = ["text2pcap", "-q", "-F", "pcap", "-4", "192.0.2.1,192.0.2.2", "-S", "5060,5070,0", str(dump), str(capture)]
    subprocess.run(made, check=True, timeout=60, capture_output=True)
    batch = captured(capture)
    assert [one.message.raw for one in batch] == wanted
    if changed:
        batch = [traced(one.message.raw.replace(b"alice", b"*****"), transport="sctp") for one in batch]
    write(file, batch)
    rows = tshark(file, "sctp.checksum.status", "tcp.checksum.status", "ip.checksum.status", "sip.Call-ID")
    assert [row[3] for row in rows if row[3]] == [f"call-{n}" for n in range(20)]
    assert {tuple(row[:3]) for row in rows} == {("", "1", "1") if changed else ("1", "", "1")}
    assert messages(file) == [one.message.raw for one in batch]


def hexdump(data: bytes) -> str:
    return "".join(f"{at:06x} {data[at : at + 16].hex(' ')}\n" for at in range(0, len(data), 16))


def test_a_connection_in_several_files(tmp_path: Path) -> None:
    """Each file is whole in itself: sequence numbers begin with a SYN, and have no gap."""
    sink = PcapSink(PcapTarget(str(tmp_path / "{call_id}.pcapng")))
    batch = [traced(numbered(n % 3), transport="tcp", time_ns=TIME_NS + n * SECOND) for n in range(30)]
    for one in batch:
        sink.send([one])
    sink.close()
    files = sorted(tmp_path.iterdir())
    assert [len(captured(file)) for file in files] == [10, 10, 10]
    for file in files:
        assert [row[4] for row in tshark(file, *FIELDS) if "captured" in row[4] or "retransm" in row[4]] == []


def test_calls_in_files_of_their_own(tmp_path: Path) -> None:
    calls = 4 * rotating_files.MOST_OPEN
    sink = PcapSink(PcapTarget(str(tmp_path / "{call_id}.pcapng")))
    most = 0
    for _ in range(2):
        sink.send(batch_of(calls))
        most = max(most, sink._files.open_files)
    sink.close()
    assert most == rotating_files.MOST_OPEN
    for n in (0, 1, calls // 2, calls - 1):
        assert messages(tmp_path / f"call-{n}.pcapng") == [numbered(n)] * 2
    assert len(list(tmp_path.iterdir())) == calls


def test_over_tcp_an_evicted_file_begins_another_connection(tmp_path: Path) -> None:
    calls = rotating_files.MOST_OPEN + 1
    sink = PcapSink(PcapTarget(str(tmp_path / "{call_id}.pcapng")))
    for turn in range(2):
        sink.send([traced(numbered(n), transport="tcp", time_ns=TIME_NS + turn * SECOND) for n in range(calls)])
    sink.close()
    assert messages(tmp_path / "call-0.pcapng") == [numbered(0)] * 2


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_compressed_and_rotated(tmp_path: Path, compress: str) -> None:
    batch = [traced(numbered(n), time_ns=TIME_NS + n * SECOND) for n in range(600)]
    write(tmp_path / "{time}.pcapng", batch, compress=compress, rotate_seconds=300)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3
    assert messages(*files) == [one.message.raw for one in batch]


@pytest.mark.parametrize("format", ["pcapng", "pcap"])
@pytest.mark.parametrize("left", [0, 3, 60, 70, 300, 500, 600])
def test_after_a_kill_it_goes_on_after_the_last_whole_packet(tmp_path: Path, format: str, left: int) -> None:
    file = tmp_path / "a"
    write(file, batch_of(3), format=format)
    for count in (1, 2):
        write(tmp_path / f"{count}", batch_of(count), format=format)
    before = sum((tmp_path / f"{count}").stat().st_size <= left for count in (1, 2))
    file.write_bytes(file.read_bytes()[:left])
    write(file, batch_of(1, 9), format=format)
    assert messages(file) == [numbered(n) for n in (*range(before), 9)]


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.pcapng"
    file.write_text("somebody's notes")
    sink = PcapSink(PcapTarget(str(file)))
    with pytest.raises(SinkError, match="not written by this sink"):
        sink.send(batch_of(1))
    assert (handled(sink), file.read_text()) == (0, "somebody's notes")


def test_longer_than_a_datagram(tmp_path: Path) -> None:
    sink = write(tmp_path / "a.pcapng", [traced(numbered(1, 70_000)), traced(numbered(2))])
    assert (sink.sent, sink.rejected, messages(tmp_path / "a.pcapng")) == (1, {"oversize": 1}, [numbered(2)])
