"""The spool at its real sizes: its speed, a start with a long backlog, and an hour of outage.

    python -m benchmarks.spooling [--only speed|backlog|outage] [--messages 7200000] [--folder FOLDER]

speed    messages written and drained, beside the same packets written to the disk and synced: `make bench` has these as
         a row, by `--measure`
backlog  a start with 1 GiB in the spool: when it is ready, and the memory that it takes and that draining takes
outage   numbered messages for a sink that is down, then up while more come: each arrives once, in order, and the
         books balance meanwhile

Each part ends with status 1 if a message is lost, twice, or out of order, or a bound of docs/delivery.md is broken.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.traffic import write
from capture_agent.delivery.spool.packing import BatchPacker
from capture_agent.delivery.spool.spool import BATCH_MESSAGES, Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.net.sink_errors import SinkError
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan
from capture_agent.sources.capture_file import CaptureFile

SPEED_MESSAGES = 200_000
OUTAGE_MESSAGES = 7_200_000  # an hour at 2,000 a second
OUTAGE_MIB = 2048
NEW_MESSAGES = 1000  # five times a second, while the backlog is drained
BACKLOG_BYTES = 1 << 30
READY_SECONDS, MEMORY_MB = 2.0, 40.0
ADDRESSES = bytes((198, 18, 1, 1, 203, 0, 113, 1))
BODY = b"v=0\r\no=- 1 1 IN IP4 198.18.1.1\r\ns=-\r\nc=IN IP4 198.18.1.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n"
TRACE = Trace()
DISK, WRITTEN, DRAINED = "disk", "written", "drained"
SPEEDS = {
    DISK: "the disk: the packets in a file, synced",
    WRITTEN: "written to the spool",
    DRAINED: "drained from the spool",
}


class Broken(Exception):
    """What should hold does not."""


def numbered(numbers: range) -> list[TracedMessage]:
    """INVITEs with their numbers as Call-IDs, about 500 bytes each."""
    return [one(n) for n in numbers]


def one(number: int, body: bytes = BODY) -> TracedMessage:
    data = ADDRESSES + (
        b"INVITE sip:%09d@203.0.113.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.18.1.1:5060;branch=z9hG4bK%016x;rport\r\n"
        b'Max-Forwards: 70\r\nFrom: "+4930%07d" <sip:+4930%07d@198.18.1.1>;tag=a%09x\r\nTo: <sip:%09d@203.0.113.1>\r\n'
        b"Call-ID: %d\r\nCSeq: 1 INVITE\r\nContact: <sip:+4930%07d@198.18.1.1:5060>\r\nUser-Agent: PBX 1.2.3\r\n"
        b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%b"
        % (number, number * 2654435761, number, number, number, number, number, number, len(body), body)
    )
    sip = scan(data, len(ADDRESSES), len(data))
    assert sip is not None
    message = CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060, time.time_ns()), sip)
    return TracedMessage(message, Direction.IN, TRACE)


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of CPU, and elapsed."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.process_time() - cpu, time.perf_counter() - wall


def speed(folder: Path, count: int = SPEED_MESSAGES) -> None:
    """Of the traffic of `make bench`."""
    capture = folder / "traffic.pcap"
    write(capture, count, 0)
    for what, title in SPEEDS.items():
        cpu, wall = measured(folder, capture, what)
        print(f"{title:<44} {count / wall:>12,.0f}/s {cpu / count * 1e6:>8.2f} us of CPU per message", flush=True)
    capture.unlink()


def measured(folder: Path, capture: Path, what: str) -> tuple[float, float]:
    """Seconds of CPU, and elapsed, for the messages of a capture: one of SPEEDS. Raises Broken."""
    pipeline = Pipeline()
    with CaptureFile(capture) as source:
        messages = [traced for frames in source.batches() for traced in pipeline.process(frames)]
    batches = [messages[at : at + BATCH_MESSAGES] for at in range(0, len(messages), BATCH_MESSAGES)]
    if what == DISK:
        packets = [b"".join(map(BatchPacker().pack, batch)) for batch in batches]
        return timed(lambda: raw(folder / "raw", packets))
    path = folder / "speed.spool"
    spool = Spool(path, SpoolLimits())
    spool.open()
    figures = timed(lambda: [spool.append(batch) for batch in batches])
    if spool.messages != len(messages):
        raise Broken(f"{spool.messages:,} of {len(messages):,} messages are stored")
    if what == DRAINED:
        found: list[int] = []
        figures = timed(lambda: drain(spool, found))
        if sum(found) != len(messages):
            raise Broken(f"{sum(found):,} of {len(messages):,} messages are drained")
    spool.close()
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return figures


def raw(path: Path, packets: Sequence[bytes]) -> None:
    with path.open("wb") as file:
        for one_batch in packets:
            file.write(one_batch)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def drain(spool: Spool, found: list[int]) -> None:
    while (taken := spool.take()[1]) is not None:
        found.append(len(taken.messages))
        spool.remove(taken)


def backlog(folder: Path, size: int = BACKLOG_BYTES) -> None:
    """Its bodies cannot be compressed: so most bytes in the fewest messages."""
    path = folder / "backlog.spool"
    spool = Spool(path, SpoolLimits(bytes=2 * size))
    spool.open()
    count = 0
    while spool.bytes < size:
        spool.append([one(n, os.urandom(600)) for n in range(count, count + 2048)])
        count += 2048
    spool.close()
    command = [sys.executable, "-m", "benchmarks.spooling", "--start", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    found, ready, start_mb, drain_mb = done.stdout.split()
    print(
        f"a start with {count:,} messages in {size >> 20:,} MiB: ready after {float(ready):.3f} s, {start_mb} MB more "
        f"memory; drained: {drain_mb} MB"
    )
    if int(found) != count or float(ready) > READY_SECONDS or float(drain_mb) > MEMORY_MB:
        raise Broken(f"{found} of {count} messages, expected {READY_SECONDS} s and {MEMORY_MB} MB")


def start(path: Path) -> None:
    """In a process of its own: messages found, seconds, and the growth of memory in MB, at the start and drained."""
    forget_peak()
    before, began = peak(), time.perf_counter()
    spool = Spool(path, SpoolLimits(bytes=1 << 40))
    found = spool.open().found
    ready, after = time.perf_counter() - began, peak()
    drained: list[int] = []
    drain(spool, drained)
    if sum(drained) != found:
        raise Broken(f"{sum(drained):,} of {found:,} messages are drained")
    print(found, ready, round(after - before, 1), round(peak() - before, 1))


def forget_peak() -> None:
    """It begins with what the process has now. Without this it is the parent's, which a process inherits."""
    Path("/proc/self/clear_refs").write_text("5")


def peak() -> float:
    """The most memory that the process had, in MB."""
    (kib,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(kib) * 1024 / 1e6


class NumberedSink:
    """A sink that is down at first. Each message has the number after that of the last one."""

    name = "counter:"
    together = 1

    def __init__(self) -> None:
        self.up = False
        self.sent = 0
        self.rejected: dict[str, int] = {}
        self.lost: dict[str, int] = {}

    def open(self) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def send(self, batch: Sequence[TracedMessage]) -> None:
        if not self.up:
            raise SinkError("counter:: down")
        for traced in batch:
            number = traced.message.raw.partition(b"Call-ID: ")[2].partition(b"\r")[0]
            if int(number) != self.sent:
                raise AssertionError(f"message {number!r} instead of {self.sent}")
            self.sent += 1


def outage(folder: Path, count: int = OUTAGE_MESSAGES) -> None:
    sink = NumberedSink()
    box = SpooledOutbox(sink, Spool(folder / "outage.spool", SpoolLimits(bytes=OUTAGE_MIB << 20)), first_delay=0.1)  # type: ignore[arg-type]
    began = time.perf_counter()
    put(box, range(count))
    spool = box.spool
    settle(lambda: spool.messages >= count - 2 * BATCH_MESSAGES)
    print(f"{count:,} messages wait in {spool.bytes >> 20:,} MiB after {time.perf_counter() - began:.0f} s", flush=True)
    sink.up = True
    began, total = time.perf_counter(), count
    while box.ledger().outcomes["waiting"] and total < 2 * count:
        put(box, range(total, total + NEW_MESSAGES))  # new traffic goes on
        total += NEW_MESSAGES
        time.sleep(0.2)
    settle(lambda: not box.ledger().outcomes["waiting"])
    seconds = time.perf_counter() - began
    box.close(10)
    ledger = box.ledger()
    print(f"{total:,} messages drained in {seconds:.0f} s, {total - count:,} of them new; {ledger}")
    if ledger.difference or ledger.outcomes["sent"] != total or sink.sent != total or box.failure:
        raise Broken(f"{sink.sent:,} of {total:,} messages arrived: {box.failure}")


def put(box: SpooledOutbox, numbers: range) -> None:
    """As fast as the queue takes them; the books balance all the time."""
    for first in range(numbers.start, numbers.stop, 1000):
        settle(lambda: box.standing().queue_bytes < 40 << 20)
        box.put(numbered(range(first, min(first + 1000, numbers.stop))))
        ledger = box.ledger()
        if ledger.difference or any(ledger.lost.values()):
            raise Broken(str(ledger))


def settle(true: Callable[[], object], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise Broken("it takes too long")
        time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.spooling", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("speed", "backlog", "outage"))
    parser.add_argument("--messages", type=int, default=OUTAGE_MESSAGES, help="of the outage")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; else a temporary one")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--measure", choices=SPEEDS, help=argparse.SUPPRESS)
    parser.add_argument("--capture", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.start:
        start(asked.start)
        return 0
    if asked.measure:
        print(*measured(asked.folder, asked.capture, asked.measure))
        return 0
    parts: dict[str, Callable[[Path], None]] = {
        "speed": speed,
        "backlog": backlog,
        "outage": lambda folder: outage(folder, asked.messages),
    }
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for name, part in parts.items():
            if asked.only in (None, name):
                try:
                    part(Path(folder))
                except Broken as broken:
                    print(f"{name}: {broken}", file=sys.stderr)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
