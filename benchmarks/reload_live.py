"""Live capture while the configuration is reloaded: no packet is lost, and no message is traced twice.

    python -m benchmarks.reload_live                                 1,000,000 messages, 100,000/s, 50 reloads; 5 times
    python -m benchmarks.reload_live --messages 300000 --repeats 1

Each reload moves the messages to the other of two collectors, and adds or removes rules. Each run is followed by one
without reloads: what that one loses, too, is the machine's loss. No message is sent twice. Needs root, as the live row
of `make bench`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.building import built
from benchmarks.cases import AGENT
from benchmarks.held_process import timed_frames, write
from benchmarks.measure import Failed
from benchmarks.runner import clean_environment
from benchmarks.wire import INTERFACE, Wire, agents_prefix, usable, when_ready, wire
from capture_agent.control.client import ask
from hep import StreamDecoder

MESSAGES, RATE, RELOADS, REPEATS = 1_000_000, 100_000, 50, 5
CALLS_HELD = 10_000  # begun and not ended, at any time
PATIENCE = 60.0
READ_AT_ONCE = 1 << 20
MEMORY = Path("/dev/shm")  # what arrives is kept there: no disk slows the collectors down
# Writes each connection to a file of its own, until its standard input ends.
COLLECT = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
readers = []
def read(connection, number):
    with connection, open(f"{sys.argv[1]}.{number}", "wb", buffering=0) as file:
        while data := connection.recv(1 << 20):
            file.write(data)
def accept():
    while True:
        connection, _ = listener.accept()
        readers.append(threading.Thread(target=read, args=(connection, len(readers))))
        readers[-1].start()
threading.Thread(target=accept, daemon=True).start()
sys.stdin.read()
for reader in readers:
    reader.join()
"""
RULES = """
[[rule]]
method = "INVITE"
trace = "dialog"
[[rule]]
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`received`: how often each message arrived; `slowest`: seconds that a reload took to be answered."""

    messages: int
    reloads: int
    slowest: float
    received: Counter[bytes]
    books: str

    @property
    def lost(self) -> int:
        return self.messages - len(self.received)

    @property
    def twice(self) -> int:
        return sum(self.received.values()) - len(self.received)

    def __str__(self) -> str:
        return (
            f"{self.reloads:3} reloads, the slowest {self.slowest:.3f} s: {self.messages:,} sent,"
            f" {len(self.received):,} received, {self.lost:,} lost, {self.twice:,} twice"
        )


@contextmanager
def collecting(wires: Wire, path: Path) -> Iterator[int]:
    """The port. When the block ends, all that was sent is in files with this name and a number."""
    command = [*wires.beside_agent(), sys.executable, "-I", "-S", "-c", COLLECT, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()


def identities(path: Path) -> Iterator[bytes]:
    """The first line, Call-ID and CSeq of each message that a connection has brought."""
    decoder = StreamDecoder()
    with path.open("rb") as file:
        while data := file.read(READ_AT_ONCE):
            for packet in decoder.feed(data):
                payload = packet.payload or b""
                marks = re.findall(rb"\r\n(?:Call-ID|CSeq): ([^\r]*)", payload)
                yield b" ".join((payload.partition(b"\r\n")[0], *marks))


def configurations(folder: Path, ports: Sequence[int]) -> list[str]:
    head = (
        f"[capture]\ninterfaces = ['{INTERFACE}']\nbuffer_mib = 64\n[control]\nsocket = '{folder}/control'\n[[hep]]\n"
    )
    return [f"{head}uri = 'hep+tcp:127.0.0.1:{port}'\n{rules}" for port, rules in zip(ports, ("", RULES), strict=True)]


@contextmanager
def sending(wires: Wire, sender: Path, capture: Path, rate: int) -> Iterator[None]:
    """While the block runs; it ends when all is sent. Raises Failed if the sender was too slow."""
    with ThreadPoolExecutor(1) as executor:
        sent = executor.submit(wires.send, sender, capture, rate)
        yield
        sent.result(PATIENCE)


def reload_in_time(folder: Path, texts: Sequence[str], reloads: int, seconds: float) -> float:
    """So many reloads, evenly within this time. Returns the seconds of the slowest."""
    began, slowest = time.monotonic(), 0.0
    for n in range(1, reloads + 1):
        time.sleep(max(0.0, began + n * seconds / (reloads + 1) - time.monotonic()))
        (folder / "agent.toml").write_text(texts[n % 2])
        asked = time.monotonic()
        ask(folder / "control", "reload", [], PATIENCE)
        slowest = max(slowest, time.monotonic() - asked)
    return slowest


def run(messages: int, rate: int, reloads: int, folder: Path) -> Outcome:
    """Raises Failed if the agent does not begin, or the sender was too slow."""
    capture, errors = folder / "capture.pcap", folder / "err"
    sender = built("send", folder)
    write(capture, timed_frames(CALLS_HELD), messages)
    errors.unlink(missing_ok=True)
    with ExitStack() as stack:
        wires = stack.enter_context(wire())
        ports = [stack.enter_context(collecting(wires, folder / f"received{n}")) for n in (0, 1)]
        texts = configurations(folder, ports)
        (folder / "agent.toml").write_text(texts[0])
        command = [*agents_prefix(wires.agents), AGENT, "run", "--config", str(folder / "agent.toml")]
        with errors.open("w") as err:
            agent = subprocess.Popen(command, stderr=err, env=clean_environment())
        try:
            when_ready(errors, lambda: None)()
            with sending(wires, sender, capture, rate):
                slowest = reload_in_time(folder, texts, reloads, messages / rate)
            agent.terminate()
            agent.wait(PATIENCE)
        finally:
            agent.kill()
            agent.wait()
    received = Counter[bytes]()
    for path in folder.glob("received*"):
        received.update(identities(path))
        path.unlink()
    return Outcome(messages, reloads, slowest, received, errors.read_text())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reload_live", description="Reloads under load.")
    for name, default in (("messages", MESSAGES), ("rate", RATE), ("reloads", RELOADS), ("repeats", REPEATS)):
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"default {default:,}")
    asked = parser.parse_args()
    if not usable():
        print("it needs root, two cores, ip and taskset", file=sys.stderr)
        return 1
    failed = False
    for _ in range(asked.repeats):
        for reloads in (asked.reloads, 0):
            with tempfile.TemporaryDirectory(prefix="reload-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
                try:
                    outcome = run(asked.messages, asked.rate, reloads, Path(folder))
                except Failed as error:
                    print(f"no run: {error}", file=sys.stderr)
                    return 1
            print(outcome, flush=True)
            if outcome.lost:
                print(outcome.books)
            failed |= bool(reloads and (outcome.lost or outcome.twice))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
