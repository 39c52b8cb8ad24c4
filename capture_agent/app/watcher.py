"""Logs losses while an agent runs: immediately when they begin, then once a minute while they last."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

EVERY = 1.0  # seconds between checks
REPEAT = 60.0  # seconds between lines about one account

_log = logging.getLogger(__name__)


class Outage(Protocol):
    """An outage, as an outbox reports it."""

    @property
    def seconds(self) -> float: ...
    @property
    def waiting(self) -> int: ...
    @property
    def limit(self) -> int: ...
    @property
    def lost(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Watched:
    """One account. Its counts only ever grow."""

    name: str
    unit: str  # messages, packets, entries
    lost: Mapping[str, int]  # by place
    rejected: Mapping[str, int] = field(default_factory=dict)  # by reason
    outage: Outage | None = None


@dataclass(slots=True)
class LoggedLosses:
    """What the log has said about one account."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    at: float | None = None
    outage_at: float | None = None


class Watcher:
    """A thread that checks all accounts once a second, until `close`. `also` is called after that."""

    def __init__(
        self,
        accounts: Callable[[], Iterable[Watched]],
        clock: Callable[[], float] = time.monotonic,
        also: Callable[[], object] = bool,
    ) -> None:
        self._accounts = accounts
        self._also = also
        self._clock = clock
        self._said: dict[tuple[str, int], LoggedLosses] = {}  # by name, and by position among accounts of the same name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(EVERY)

    def _work(self) -> None:
        failed = False
        while not self._stop.wait(EVERY):
            try:
                self.look()
            except Exception as error:  # the agent goes on without these lines
                if not failed:
                    _log.error("watcher: internal error: %s", type(error).__name__)
                failed = True

    def look(self) -> None:
        now = self._clock()
        names: Counter[str] = Counter()
        for account in self._accounts():
            said = self._said.setdefault((account.name, names[account.name]), LoggedLosses())
            names[account.name] += 1
            self._look_at_losses(account, said, now)
            self._look_at_outage(account, said, now)
        self._also()

    def _look_at_losses(self, account: Watched, said: LoggedLosses, now: float) -> None:
        counts = Counter({("lost", place): count for place, count in account.lost.items()})
        counts.update({("rejected", reason): count for reason, count in account.rejected.items()})
        new = counts - said.counts
        if not new or (said.at is not None and now - said.at < REPEAT):
            return
        more = "more " if said.counts.total() else ""
        parts = [text for kind in ("lost", "rejected") if (text := in_words(kind, new, account.unit, more))]
        in_all = f"; {counts.total():,} in all" if more else ""
        fields = {"name": account.name, "lost": account.lost, "rejected": account.rejected}
        _log.warning("%s: %s%s", account.name, ", ".join(parts), in_all, extra={"fields": fields})
        said.counts, said.at = counts, now

    def _look_at_outage(self, account: Watched, said: LoggedLosses, now: float) -> None:
        outage = account.outage
        if outage is None:
            said.outage_at = None
        elif said.outage_at is None:
            said.outage_at = now  # the outbox itself logs the beginning
        elif now - said.outage_at >= REPEAT:
            said.outage_at = now
            minutes = round(outage.seconds / 60)
            waiting, lost = f"{outage.waiting:,} waiting of {outage.limit:,}", f"{outage.lost:,}"
            fields = {"name": account.name, "down": True, "waiting": outage.waiting, "lost_meanwhile": outage.lost}
            text = "%s: down for %d min: %s, %s lost"
            _log.warning(text, account.name, minutes, waiting, lost, extra={"fields": fields})


def in_words(kind: str, new: Counter[tuple[str, str]], unit: str, more: str) -> str:
    """`2,668 messages lost (queue_full 2,600, refused 68)`"""
    some = {place: count for (of, place), count in sorted(new.items()) if of == kind}
    if not some:
        return ""
    places = ", ".join(f"{place} {count:,}" for place, count in some.items())
    return f"{sum(some.values()):,} {more}{unit} {kind} ({places})"
