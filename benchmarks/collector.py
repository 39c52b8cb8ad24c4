"""The sink, benchmarks/sink.c, as a context manager: a collector on a free port, and its counts at the end."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Counts:
    packets: int
    bytes: int
    broken: int  # cut, merged, or not HEP3 with SIP
    dropped: int  # by the kernel, when the receive buffer was full


class Collector:
    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self.pid = self._process.pid
        port, buffer = self._output.readline().split()
        self.port = int(port)
        self.receive_buffer = int(buffer)

    def counts(self) -> Counts:
        """End it: it first reads the rest."""
        self._process.terminate()
        told, _ = self._process.communicate(timeout=PATIENCE)
        return Counts(**json.loads(told))

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()


@contextmanager
def collecting(program: Path, *before: str) -> Iterator[Collector]:
    """`before`: the words before it on the command line."""
    collector = Collector([*before, str(program)])
    try:
        yield collector
    finally:
        collector.close()
