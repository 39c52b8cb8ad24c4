"""What an agent has traced lately, while somebody looks on: for `capture-agent web --agent`. Bounded.

Nothing is kept, and a batch costs one look at `wanted`, until somebody asks; and again when nobody has asked for LAPSE.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Iterable
from typing import Any

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage

MOST_MESSAGES = 4000
MOST_BYTES = 2 << 20
LAPSE = 10.0  # seconds

Kept = tuple[int, str, int, bytes, int, bytes, int, bytes]


class Onlookers:
    """`see` is for the thread that captures, `after` for any."""

    def __init__(self) -> None:
        self.wanted = False
        self._lock = threading.Lock()
        self._kept: deque[Kept] = deque()
        self._bytes = 0
        self._next = 0  # the number of the next message
        self._asked_at = 0.0

    def see(self, traced: Iterable[TracedMessage]) -> None:
        with self._lock:
            if time.monotonic() - self._asked_at > LAPSE:
                self.wanted = False
                self._kept.clear()
                self._bytes = 0
                return
            for one in traced:
                if isinstance(one.message, CapturedMessage):
                    self._keep(one.message)

    def after(self, number: int | None) -> dict[str, Any]:
        """The messages from this number on, and the one to ask for next; None: from now on. `missed`: made room."""
        with self._lock:
            self._asked_at = time.monotonic()
            self.wanted = True
            first = self._next - len(self._kept)
            begin = self._next if number is None else max(first, number) if number <= self._next else first
            kept = list(self._kept)[begin - first :]
            missed = begin - number if number is not None and number < begin else 0
            following = self._next
        return {"next": following, "missed": missed, "messages": [as_json(one) for one in kept]}

    def _keep(self, message: CapturedMessage) -> None:
        datagram = message.datagram
        self._kept.append(
            (
                message.time_ns,
                datagram.transport,
                datagram.protocol,
                datagram.source,
                datagram.source_port,
                datagram.destination,
                datagram.destination_port,
                message.raw,
            )
        )
        self._bytes += len(message.raw)
        self._next += 1
        while len(self._kept) > MOST_MESSAGES or self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popleft()[-1])


def as_json(kept: Kept) -> list[object]:
    return [b64encode(one).decode("ascii") if isinstance(one, bytes) else one for one in kept]
