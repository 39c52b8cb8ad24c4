"""What can go wrong with files: hostile names, too many of them, kills, disks, and readers of standard output."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults.disks import can_mount, small_disk
from sink_samples import INVITE, TIME_NS, batch_of, captured, numbered, traced

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config.load import load
from capture_agent.config.targets import JsonlTarget, PcapTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files import rotating_files
from capture_agent.sinks.files.file_sink import FileSink
from capture_agent.sinks.files.jsonl_sink import JsonlSink
from capture_agent.sinks.files.pcap_sink import PcapSink

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
SINKS = {"pcap": (PcapSink, PcapTarget), "jsonl": (JsonlSink, JsonlTarget)}
HOSTILE = [
    b"../../../../tmp/x", b"/etc/passwd", b"..", b".", b"", b"a\0b", b"a\nb", b"\x1b[2J", b"-rf", b"--help", b".hidden",
    b"~root", b"$(reboot)", b"a|b;c&d", b"C:\\x", b"con", b"Abc", b"abc", b"x" * 255, b"x" * 256, b"y" * 60_000,
    "\u00fcber".encode(), "\u202egpj".encode(), b"\xff\xfe", b"a b", b"a_b", b"a/b", b"a*b", b"{call_id}", b"%s%n",
]  # fmt: skip


def make(kind: str, file: Path, **options: object) -> FileSink:
    sink, target = SINKS[kind]
    made: FileSink = sink(target(str(file), **options))
    return made


def with_call_id(call_id: bytes) -> TracedMessage:
    """Whatever it is: a scan of the message might not find all of these."""
    one = traced(INVITE)
    message = one.message
    assert type(message) is CapturedMessage
    return traced(INVITE.replace(b"Call-ID: call-1", b"Call-ID: " + call_id))


def raws(file: Path) -> list[bytes]:
    if file.suffix == ".pcapng":
        return [one.message.raw for one in captured(file)]
    return [one["message"].encode() for one in map(json.loads, file.read_text().splitlines())]


@pytest.mark.parametrize("kind", SINKS)
def test_names_from_hostile_call_ids(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "in" / "here"
    suffix = ".pcapng" if kind == "pcap" else ".jsonl"
    sink = make(kind, folder / f"{{call_id}}{suffix}")
    batch = [with_call_id(call_id) for call_id in HOSTILE]
    names = {one.message.sip.call_id for one in batch if type(one.message) is CapturedMessage}
    sink.send(batch)
    sink.close()
    files = list(folder.iterdir())
    assert len(files) == len(names)
    assert [name.name for name in files if not re.fullmatch(r"[A-Za-z0-9_@+][A-Za-z0-9_.@+-]{0,90}", name.name)] == []
    assert {path.name for path in tmp_path.rglob("*")} == {"here", "in", *(file.name for file in files)}
    assert sink.sent == len(batch)


@pytest.mark.parametrize("kind", SINKS)
def test_ten_thousand_calls_in_files_of_their_own(tmp_path: Path, kind: str) -> None:
    """Interleaved; counted by the kernel."""
    suffix = ".pcapng" if kind == "pcap" else ".jsonl"
    sink = make(kind, tmp_path / f"{{call_id}}{suffix}")
    before, most = len(os.listdir("/proc/self/fd")), 0  # noqa: PTH208 - not a folder of files
    for _ in range(2):
        for first in range(0, 10_000, 500):
            sink.send(batch_of(500, first))
            most = max(most, len(os.listdir("/proc/self/fd")))  # noqa: PTH208
    sink.close()
    assert most - before == rotating_files.MOST_OPEN == 256
    assert (sink.sent, len(list(tmp_path.iterdir()))) == (20_000, 10_000)
    for n in (0, 1, 255, 256, 257, 4_999, 9_999):
        assert raws(tmp_path / f"call-{n}{suffix}") == [numbered(n)] * 2


@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("compress", ["gzip", "zstd"])
@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_compressed_file_after_a_kill(tmp_path: Path, kind: str, compress: str, cut: int) -> None:
    """The last write is torn: it is removed, and what follows can be read."""
    suffix = (".pcapng" if kind == "pcap" else ".jsonl") + {"gzip": ".gz", "zstd": ".zst"}[compress]
    file = tmp_path / "a"
    for first in (0, 2):
        sink = make(kind, file, compress=compress)
        sink.send(batch_of(2, first))
        sink.close()
    [there] = tmp_path.iterdir()
    there.write_bytes(there.read_bytes()[:-cut])
    sink = make(kind, file, compress=compress)
    sink.send(batch_of(2, 4))
    sink.close()
    program = {"gzip": ["gzip", "-dc"], "zstd": [sys.executable, "-c", ZSTD]}[compress]
    plain = tmp_path / f"plain{suffix.partition('.g')[0].partition('.z')[0]}"
    with plain.open("wb") as out:
        subprocess.run([*program, str(there)], stdout=out, check=True, timeout=60)
    assert raws(plain) == [numbered(n) for n in (0, 1, 4, 5)]


ZSTD = (
    "import sys, zstandard\nwith open(sys.argv[1], 'rb') as file:\n"
    " with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader:\n"
    "  sys.stdout.buffer.write(reader.read())"
)


@pytest.mark.skipif(not can_mount(), reason="needs mount")
@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("pattern", ["a", "{call_id}"])
def test_a_full_disk(tmp_path: Path, kind: str, pattern: str) -> None:
    """All that was counted as sent is in the files, once and whole; the rest goes on when there is room."""
    suffix = ".pcapng" if kind == "pcap" else ".jsonl"
    with small_disk(tmp_path, "256k"):
        filler = tmp_path / "filler"
        filler.write_bytes(bytes(64 << 10))
        sink = make(kind, tmp_path / f"{pattern}{suffix}")
        with pytest.raises(SinkError, match="no space left on device"):
            while sink.sent < 10_000:
                sink.send(batch_of(10, sink.sent))
        done = sink.sent
        filler.unlink()
        sink.send(batch_of(10, done))
        sink.close()
        found = [one for file in tmp_path.glob(f"*{suffix}") for one in raws(file)]
        assert sorted(found) == sorted(numbered(n) for n in range(done + 10))


def on_standard_output(most: int) -> subprocess.Popen[bytes]:
    """Writes many lines; says on standard error what became of them."""
    code = (
        "from sink_samples import batch_of\nfrom capture_agent.config.targets import JsonlTarget\n"
        "from capture_agent.sinks.files import open_file\nfrom capture_agent.sinks.files.jsonl_sink import JsonlSink\n"
        "import sys\nopen_file.BUSY_SECONDS = 60\nsink = JsonlSink(JsonlTarget('-'))\nsink.open()\n"
        f"try:\n for first in range(0, {most}, 100): sink.send(batch_of(100, first))\n"
        "except Exception as error: print(type(error).__name__, error, file=sys.stderr)\nprint(sink.sent, file=sys.stderr)"
    )
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    )


def test_a_slow_reader_of_standard_output() -> None:
    """It gets every line."""
    with on_standard_output(2_000) as writer:
        assert writer.stdout is not None
        text = b""
        for _ in range(5):
            text += writer.stdout.read(1000)
            time.sleep(0.05)
        text += writer.stdout.read()
        assert writer.wait(60) == 0
    assert [json.loads(line)["call_id"] for line in text.splitlines()] == [f"call-{n}" for n in range(2_000)]


def test_a_closed_pipe_on_standard_output() -> None:
    """An error of the sink, which the agent reports and tries again: not the end of the process."""
    with on_standard_output(100_000) as writer:
        assert writer.stdout is not None
        assert writer.stderr is not None
        first = json.loads(writer.stdout.readline())
        writer.stdout.close()
        said = writer.stderr.read().decode()
        assert writer.wait(60) == 0
    assert first["call_id"] == "call-0"
    assert "SinkError jsonl:-: broken pipe" in said


def test_every_failed_call_with_all_that_came_before(tmp_path: Path) -> None:
    """The example of docs/files.md, with captured frames."""
    document = (ROOT / "docs" / "files.md").read_text()
    block = document.partition("## Every failed call")[2].partition("[[pcap]]")
    toml = "[[pcap]]" + block[2].partition("\n\nThe rule")[0].replace("\n    ", "\n")
    config = tmp_path / "agent.toml"
    config.write_text(toml.replace("/var/lib/capture-agent", str(tmp_path)))
    capture = tmp_path / "in.pcapng"
    sink = PcapSink(PcapTarget(str(capture)))
    sink.send([message for call in range(6) for message in a_call(call, failed=call % 3 == 0)])
    sink.close()
    agent = Agent(load(config, {}), lossless=True)
    replay(agent, [capture])
    assert agent.close().balanced
    files = {file.name: file for file in (tmp_path / "failed").rglob("*.pcapng")}
    assert set(files) == {"call-0.pcapng", "call-3.pcapng"}
    for name, call in (("call-0.pcapng", 0), ("call-3.pcapng", 3)):
        assert raws(files[name]) == [one.message.raw for one in a_call(call, failed=True)]


def a_call(number: int, failed: bool) -> list[TracedMessage]:
    """INVITE, 100, 180, and its end."""
    invite = numbered(number).replace(b"branch=z9hG4bK1", b"branch=z9hG4bK%d" % number)
    answers = [b"100 Trying", b"180 Ringing", b"486 Busy Here" if failed else b"200 OK"]
    messages = [invite]
    for answer in answers:
        reply = invite.replace(b"INVITE sip:bob@example.com SIP/2.0", b"SIP/2.0 " + answer)
        messages.append(reply.replace(b"To: <sip:bob@example.com>", b"To: <sip:bob@example.com>;tag=to"))
    ends = [("192.0.2.1", "192.0.2.2", (5060, 5070)), *[("192.0.2.2", "192.0.2.1", (5070, 5060))] * 3]
    start = TIME_NS + number * 10**10
    return [
        traced(message, *end, time_ns=start + n * 10**9)
        for n, (message, end) in enumerate(zip(messages, ends, strict=True))
    ]
