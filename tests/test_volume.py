"""Half a million messages over HEP/TCP: nothing is lost, and memory does not grow with the capture."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

MESSAGES = 500_000
MOST_KIB = 100 * 1024


class Collector:
    """Takes one connection and counts the HEP3 packets on it by their length fields."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.packets = 0
        self.broken = False
        self.thread = threading.Thread(target=self.count, daemon=True)
        self.thread.start()

    @property
    def uri(self) -> str:
        return f"hep+tcp:127.0.0.1:{self.listener.getsockname()[1]}"

    def count(self) -> None:
        connection, _ = self.listener.accept()
        rest = b""
        with connection:
            while data := connection.recv(1 << 20):
                rest = self.cut(rest + data)
        self.broken = self.broken or bool(rest)

    def cut(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= 6:
            self.broken = self.broken or data[at : at + 4] != b"HEP3"
            end = at + max(6, int.from_bytes(data[at + 4 : at + 6], "big"))
            if end > len(data):
                break
            self.packets += 1
            at = end
        return data[at:]

    def close(self) -> None:
        self.thread.join(30)
        self.listener.close()


# A child's largest size includes its parent's when it was forked: so a small process is in between.
MEASURE = """
import resource, subprocess, sys
status = subprocess.run([sys.executable, "-m", "capture_agent", "replay", *sys.argv[1:]]).returncode
print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def replay(*arguments: str) -> tuple[int, int, str]:
    """Exit status, largest resident size in KiB, and its output."""
    run = subprocess.run([sys.executable, "-c", MEASURE, *arguments], capture_output=True, text=True, check=True)
    status, memory = map(int, run.stdout.split())
    return status, memory, run.stderr


def check(arguments: list[str], messages: int) -> None:
    collector = Collector()
    status, memory, text = replay(*arguments, "--hep", collector.uri)
    collector.close()
    assert status == 0, text
    assert (collector.packets, collector.broken) == (messages, False)
    assert f"{messages} seen, {messages} sent" in text
    assert memory < MOST_KIB


def test_half_a_million_messages(shared: Path, tmp_path: Path) -> None:
    capture = tmp_path / "udp.pcap"
    generate = [sys.executable, str(shared / "bench" / "gen.py"), "udp", str(capture), str(MESSAGES)]
    subprocess.run(generate, check=True, capture_output=True)
    try:
        check([str(capture)], MESSAGES)
    finally:
        capture.unlink()


@pytest.mark.parametrize("loops", [1, 500])
def test_our_demo_many_times(pcaps: Path, loops: int) -> None:
    check(["--loop", str(loops), str(pcaps / "demo.pcap")], loops * 59)
