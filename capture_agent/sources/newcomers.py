"""Sources that are added while others run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from capture_agent.sources.source import Source


class Newcomers:
    """Sources that join while `merged` runs, which goes on without any source then. Any thread may add one."""

    def __init__(self) -> None:
        self._sources: deque[Source] = deque()

    def __bool__(self) -> bool:
        return bool(self._sources)

    def add(self, source: Source) -> None:
        self._sources.append(source)

    def take(self) -> Iterator[Source]:
        while self._sources:
            yield self._sources.popleft()
