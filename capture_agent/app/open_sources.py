"""The open sources, and the losses of closed ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from threading import Lock

from capture_agent.parallel import at_once
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.source import UNREAD, Source

MOST_NAMES = 256  # of closed sources that have lost packets: containers come with a new interface each
OTHERS = "other interfaces"


class OpenSources:
    """Any thread may look."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._open: list[Source] = []
        self._unread: Counter[int] = Counter()  # frames on their way at a stop, by id of the source
        self._lost: dict[str, Counter[str]] = {}  # of closed ones

    def add(self, sources: Iterable[Source]) -> None:
        with self._lock:
            self._open += sources

    def names(self) -> set[str]:
        """Of those that are open."""
        with self._lock:
            return {source.name for source in self._open}

    def unread(self, source: Source, count: int) -> None:
        with self._lock:
            self._unread[id(source)] += count

    def retire(self, source: Source) -> None:
        """Close it, and keep its losses."""
        source.close()
        with self._lock:
            if source not in self._open:
                return
            self._open.remove(source)
            if lost := +self._lost_of(source):
                self._unread.pop(id(source), None)
                name = source.name if source.name in self._lost or len(self._lost) < MOST_NAMES else OTHERS
                self._lost.setdefault(name, Counter()).update(lost)

    def lost(self) -> Mapping[str, Counter[str]]:
        """Lost packets by source name and place, including closed sources."""
        with self._lock:
            found = {name: Counter(lost) for name, lost in self._lost.items()}
            for source in self._open:
                found.setdefault(source.name, Counter()).update(self._lost_of(source))
            return found

    def _lost_of(self, source: Source) -> Counter[str]:
        lost = Counter(source.dropped())
        if unread := self._unread[id(source)]:
            lost[UNREAD] += unread
        return lost

    def take_no_more(self) -> None:
        """What the kernel has by now is all that interfaces give."""
        for source in list(self._open):
            if isinstance(source, LiveInterface):
                source.take_no_more()

    def close(self, timeout: float | None = None) -> None:
        """One after the other; or with a timeout all at once."""
        closing_all = [source.close for source in self._open]
        if timeout is not None:
            at_once(closing_all, timeout)
            return
        for close in closing_all:
            close()
