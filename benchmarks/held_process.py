"""CPU time of the whole agent per message, with many calls held at once: from a capture file to HEP3 over TCP.

    python -m benchmarks.held_process 1000 1000000

Every call is traced as a dialog. Calls begin at a steady rate and have seven messages at realistic times, so that
messages of many other calls come between those of one; each is held for 50 to 150 s, and they end in random order. Each
size is a separate process; other sizes' costs are compared with the first size's.
"""

from __future__ import annotations

import json
import random
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time

from benchmarks.building import built
from benchmarks.collector import collecting
from benchmarks.dialogs import CALL, message
from benchmarks.packets import frame
from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import load
from capture_agent.records.frames import Frames

START_NS = 1_763_850_000 * 10**9
HELD_SECONDS = 100
SETTLED_SECONDS = 40  # seconds until an ended call is forgotten
MESSAGES = 140_000  # in each of the measured captures
REPEATS = 5
BATCH = 1000
MARKS = {"call_id": 36, "client_tag": 10, "server_tag": 10, "branch": 16}  # and how long they are
FIELDS = {
    "client": "198.18.1.1",
    "client_port": "5060",
    "server": "203.0.113.1",
    "user": "+49301234567",
    "agent": "Asterisk PBX 18.20.0",
    "callee": "00490123456789",
    "digest": "5e2b7a905e2b7a905e2b7a905e2b7a90",
    "session": "123456789",
    "client_rtp": "20000",
    "server_rtp": "20002",
} | {name: name.ljust(length, "#") for name, length in MARKS.items()}


def templates() -> list[bytes]:
    """A frame for each step of a call, with placeholders for the call's number."""
    found = []
    for place, step in enumerate(CALL):
        data = message(step, FIELDS)
        ends = bytes((198, 18, 1, 1)), bytes((203, 0, 113, 1))
        text = frame(step.up, *(ends if step.up else ends[::-1]), 5060, 5060, data).replace(b"%", b"%%")
        for name, length in MARKS.items():
            letter = name[0] if name != "branch" else f"b{(0, 0, 0, 0, 1, 2, 2)[place]}"
            spread = b"%%(%s)08x" % (b"mixed" if name == "call_id" else b"number")
            filling = (letter.encode() + b"x" * length)[: length - 8]
            text = text.replace(FIELDS[name].encode(), spread + filling)
        found.append(text)
    return found


def ticks(held: int) -> Iterator[list[tuple[int, int]]]:
    """The steps due, with their calls' numbers, each time a call begins."""
    per_second = held / HELD_SECONDS
    offsets, at = [], 0.0
    for step in CALL[:5]:
        at += step.after
        offsets.append(round(at * per_second))
    order = random.Random(1)
    ending: list[int] = []
    begun = 0
    while True:
        due = [(step, begun - offset) for step, offset in enumerate(offsets) if begun >= offset]
        if begun >= held:
            if not ending:
                ending = list(range(begun - held, begun - held // 2))
                order.shuffle(ending)
            number = ending.pop()
            due += [(5, number), (6, number)]
        yield due
        begun += 1


def timed_frames(held: int) -> Iterator[tuple[int, bytes]]:
    """An endless sequence of time and frame."""
    texts = templates()
    for tick, due in enumerate(ticks(held)):
        time_ns = START_NS + tick * (HELD_SECONDS * 10**9 // held)
        for step, number in due:
            values = {b"number": number % 2**32, b"mixed": number * 2654435761 % 2**32}
            yield time_ns, texts[step] % values


def fill(agent: Agent, frames: Iterator[tuple[int, bytes]], count: int) -> None:
    """Without a sink."""
    while count > 0:
        batch = [next(frames) for _ in range(BATCH)]
        agent.pipeline.process(Frames.of([data for _, data in batch], 1, [time_ns for time_ns, _ in batch]))
        count -= BATCH


def write(path: Path, frames: Iterator[tuple[int, bytes]], count: int) -> None:
    with path.open("wb", buffering=1 << 20) as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for _ in range(count):
            time_ns, data = next(frames)
            file.write(struct.pack("<IIII", time_ns // 10**9, time_ns % 10**9 // 1000, len(data), len(data)) + data)


def measure(held: int, messages: int = MESSAGES, repeats: int = REPEATS) -> list[float]:
    """Microseconds per message, of each repeat."""
    frames = timed_frames(held)
    # Ended calls are held for a while, too: from then on as many leave as begin.
    full = held * (HELD_SECONDS * 3 // 2 + SETTLED_SECONDS) // HELD_SECONDS
    costs = []
    with tempfile.TemporaryDirectory() as name, collecting(built("sink", Path(name))) as sink:
        overrides = {
            "hep": [{"host": "127.0.0.1", "port": sink.port, "transport": "tcp"}],
            "trace": {"mode": "dialog"},
            "correlate": {"calls": 3 * held},
        }
        agent = Agent(load(overrides=overrides), lossless=True)
        fill(agent, frames, 7 * full)
        path = Path(name) / "held.pcap"
        for _ in range(repeats):
            write(path, frames, messages)
            begun = process_time()
            replay(agent, [path])
            costs.append((process_time() - begun) * 1e6 / messages)
        check(agent, held, messages * repeats)
    return costs


def check(agent: Agent, held: int, sent: int) -> None:
    books = agent.close()
    ledgers = {ledger.name: ledger for ledger in books.ledgers}
    live, sink = ledgers["dialogs"].outcomes["held"], books.ledgers[-1].outcomes["sent"]
    if not books.balanced or live < held or sink != sent:
        raise SystemExit(f"{live} dialogs held, {sink} of {sent} messages sent:\n" + "\n".join(books.lines()))


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]]
    if len(sizes) == 1:
        print(json.dumps(measure(sizes[0])))
        return
    first = 0.0
    for held in sizes:
        command = [sys.executable, "-m", "benchmarks.held_process", str(held)]
        costs = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        least, median = min(costs), statistics.median(costs)
        first = first or median
        ratio = f"{median / first:.2f} times the first"
        print(f"{held:,} calls held: {median:.2f} µs of CPU per message (at best {least:.2f}), {ratio}", flush=True)


if __name__ == "__main__":
    main()
