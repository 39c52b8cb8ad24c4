"""What the sinks that write files have in common: a batch becomes writes, each whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

from capture_agent.net.sink_errors import SinkError, reason
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import Captured
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.files.open_file import OpenFile
from capture_agent.sinks.files.rotating_files import IDLE_SECONDS, RotatingFiles

MOST_AT_ONCE = 256  # messages of one write


class FilePacker(Protocol):
    """What is appended to the file, and how many of the messages are rejected, by reason."""

    def __call__(self, messages: list[TracedMessage], file: OpenFile) -> tuple[bytes, Counter[str]]: ...


class FileSink:
    """A sink made of a packer and files.

    sent       the kernel has taken it
    SinkError  the disk is full, read-only or gone: nothing of the write stays in the file
    """

    together = 256
    idle_seconds = float(IDLE_SECONDS)

    def __init__(self, name: str, pack: FilePacker, files: RotatingFiles) -> None:
        self.name = name
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._pack = pack
        self._files = files

    def open(self) -> None:
        """Raises SinkError. Creates nothing: the first message creates its file."""
        try:
            self._files.check()
            self._files.sweep()
        except OSError as error:
            raise self._error(error) from None

    def send(self, batch: Sequence[TracedMessage]) -> None:
        """Raises SinkError. Without messages: there was no traffic for `idle_seconds`."""
        if not batch:
            self._files.close_idle()
        try:
            self._files.sweep()
            for place, run in groupby(batch, lambda one: self._files.place(one.message.seen_ns, call_id(one.message))):
                messages = list(run)
                for first in range(0, len(messages), MOST_AT_ONCE):
                    part = messages[first : first + MOST_AT_ONCE]
                    file = self._files.at(place, part[0].message.seen_ns)
                    data, rejected = self._pack(part, file)
                    if data:
                        self._files.append(file, data)
                    self.rejected += rejected
                    self.sent += len(part) - rejected.total()
        except OSError as error:
            raise self._error(error) from None

    def flush(self) -> None:
        """No effect: nothing is held back."""

    def close(self) -> None:
        self._files.close()

    def _error(self, error: OSError) -> SinkError:
        return SinkError(f"{self.name}: {reason(error)}")


def call_id(message: Captured) -> bytes:
    if type(message) is CapturedMessage:
        return message.sip.call_id or b""
    return b""
