"""Keeps the wanted interfaces open: waits for those that are down, missing, or being recreated."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from socket import if_nametoindex

from capture_agent.sources.interface_list import ANY, is_pattern, list_interfaces
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.newcomers import Newcomers
from capture_agent.sources.source import Source, SourceError

LOOK = 0.25  # seconds between checks while an interface is missing
LOOK_FOR_MORE = 1.0  # seconds, while all are there and a pattern may match another
REPEAT = 60.0  # seconds between log lines about why one cannot be opened

_log = logging.getLogger(__name__)

Open = Callable[[str], LiveInterface]


@dataclass(slots=True)
class Kept:
    """One interface, or a pattern that matches none now.

    `error`: why it is not open; `since`: by the monotonic clock, when that began.
    """

    name: str
    source: LiveInterface | None = None
    error: SourceError | None = None
    since: float = 0.0
    broken: bool = False  # it was open before
    said: str = ""
    said_at: float = 0.0


class InterfaceKeeper:
    """`wanted`: names of interfaces, and patterns such as eth*. Sources that it opens later join as `newcomers`.

    `opened` is called with each of those, in the thread that looks.
    """

    def __init__(
        self,
        wanted: Sequence[str],
        open_one: Open,
        opened: Callable[[LiveInterface], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.newcomers = Newcomers()
        self._wanted = tuple(wanted)
        self._open_one = open_one
        self._opened = opened
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, Kept] = {}
        self._changed = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="interfaces", daemon=True)

    def open_all(self, wait: bool) -> list[Source]:
        """Open them before the thread starts. Raises SourceError: one is missing, or given twice.

        With `wait`, it waits for missing ones instead.
        """
        up = interfaces_up()
        check_interfaces(self._wanted)
        self._kept = self._first(all_of(self._wanted, up), up, wait)
        return [kept.source for kept in self._kept.values() if kept.source is not None]

    def _first(self, names: Iterable[str], up: Mapping[str, bool], wait: bool) -> dict[str, Kept]:
        """Open them for the first time. Raises SourceError, and none of them is open."""
        found: dict[str, Kept] = {}
        for name in names:
            kept = found[name] = Kept(name)
            try:
                if is_pattern(name):
                    raise no_match(name, up)
                kept.source = self._open_one(name)
            except SourceError as error:
                if not wait or name in up:
                    for one in found.values():
                        if one.source is not None:
                            one.source.close()
                    raise
                kept.error, kept.since = error, self._clock()
                self._say(kept)
        return found

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop opening interfaces."""
        with self._lock:
            self._closed = True
        self._changed.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def lost(self, source: Source, error: SourceError | None) -> bool:
        """This source has ended. False: it is not one of these."""
        with self._lock:
            kept = next((kept for kept in self._kept.values() if kept.source is source), None)
            if kept is None:
                return False
            kept.source = None
            kept.error = error or SourceError(f"{kept.name}: it has ended")
            kept.since, kept.broken = self._clock(), True
            if error is not None:  # the agent logs it
                kept.said, kept.said_at = str(error), self._clock()
        self._changed.set()
        return True

    def states(self) -> list[tuple[str, bool]]:
        """Each wanted interface, and whether it is open; each pattern that matches none."""
        with self._lock:
            return [(kept.name, kept.source is not None) for kept in self._kept.values()]

    def missing(self) -> list[SourceError]:
        """Why interfaces that were open before are not."""
        with self._lock:
            return [kept.error for kept in self._kept.values() if kept.broken and kept.error is not None]

    def want(self, wanted: Sequence[str], wait: bool) -> Callable[[], None]:
        """Open what is new; the rest is done by what this returns: take it up, and finish what is wanted no more.

        Raises SourceError, and nothing has changed.
        """
        up = interfaces_up()
        check_interfaces(wanted)
        names = all_of(wanted, up)
        with self._lock:
            present = [*self._kept, *filter(is_pattern, self._wanted)]  # what one matched may have just gone
        new = self._first((name for name in names if not any(is_the_same(name, one) for one in present)), up, wait)

        def change() -> None:
            with self._lock:
                self._wanted = tuple(wanted)
                going = [name for name in present if not any(is_the_same(name, one) for one in names)]
                finishing = [self._kept.pop(name).source for name in going if name in self._kept]
                self._kept |= new
            for kept in new.values():
                if kept.source is not None:
                    self._opened(kept.source)
                    self.newcomers.add(kept.source)
            for source in finishing:
                if source is not None:
                    source.finish()
            self._changed.set()

        return change

    def _work(self) -> None:
        while not self._closed:
            self._changed.wait(self._pause())
            self._changed.clear()
            if not self._closed:
                self._look()

    def _pause(self) -> float | None:
        with self._lock:
            if any(kept.source is None for kept in self._kept.values()):
                return LOOK
            return LOOK_FOR_MORE if any(map(is_pattern, self._wanted)) else None

    def _look(self) -> None:
        try:
            up = interfaces_up()
        except OSError as error:
            _log.warning("cannot list the interfaces: %s", error)
            return
        with self._lock:
            names = all_of(self._wanted, up)
            self._forget(names)
            for name in names:
                if not any(is_the_same(name, other) for other in self._kept):
                    why = no_match(name, up) if is_pattern(name) else None
                    self._kept[name] = Kept(name, error=why, since=self._clock())
            missing = [kept for kept in self._kept.values() if kept.source is None]
        for kept in missing:
            if up.get(kept.name):
                self._open_again(kept)
            elif kept.error is not None:
                self._say(kept)

    def _forget(self, names: Sequence[str]) -> None:
        """A pattern that matches again; and an interface that only a pattern has named, once it does not exist."""
        for kept in list(self._kept.values()):
            if kept.source is None and kept.name not in names:
                del self._kept[kept.name]
                if not is_pattern(kept.name):
                    _log.info("%s: it is not there any more", kept.name)

    def _open_again(self, kept: Kept) -> None:
        try:
            source = self._open_one(kept.name)
        except SourceError as error:
            kept.error = error
            self._say(kept)
            return
        with self._lock:
            if self._closed or self._kept.get(kept.name) is not kept:
                source.close()
                return
            waited = self._clock() - kept.since
            known, kept.error, kept.said = kept.error is not None, None, ""
            kept.source = source
        self._opened(source)
        self.newcomers.add(source)
        after = f", after {waited:.0f} s" if known else ""
        _log.info("%s: captured%s%s", kept.name, " again" if kept.broken else "", after)

    def _say(self, kept: Kept) -> None:
        """Log it at once, then once a minute while it lasts."""
        now, text = self._clock(), str(kept.error)
        if kept.said and now - kept.said_at < REPEAT:
            return
        kept.said, kept.said_at = text, now
        _log.warning("%s; waiting for it", text)


def interfaces_up() -> dict[str, bool]:
    """By name, in the kernel's order. Raises OSError."""
    return {interface.name: interface.up for interface in list_interfaces()}


def names_of(wanted: Sequence[str], present: dict[str, bool]) -> list[str]:
    """The names, and those interfaces that patterns match; `any` only by its name."""

    def expanded() -> Iterator[str]:
        for name in wanted:
            if is_pattern(name):
                yield from (one for one in present if one != ANY and fnmatchcase(one, name))
            else:
                yield name

    return list(dict.fromkeys(expanded()))


def all_of(wanted: Sequence[str], present: dict[str, bool]) -> list[str]:
    """The same, and those patterns that match none."""
    return [*names_of(wanted, present), *without_match(wanted, present)]


def without_match(wanted: Sequence[str], present: dict[str, bool]) -> Iterator[str]:
    return (name for name in wanted if is_pattern(name) and not names_of([name], present))


def no_match(pattern: str, present: Iterable[str]) -> SourceError:
    return SourceError(f"{pattern}: no interface matches, there are {', '.join(present)}", usage=True)


def is_the_same(name: str, other: str) -> bool:
    """Whether both name the same interface, which may have several names."""
    if name == other:
        return True
    with suppress(OSError):  # `any`, or one that is not there
        return if_nametoindex(name) == if_nametoindex(other)
    return False


def check_interfaces(names: Sequence[str]) -> None:
    """One interface may have several names. Raises SourceError."""
    found: dict[int, str] = {}
    for name in names:
        with suppress(OSError):  # `any`, a pattern, or one that libpcap will not find either
            first = found.setdefault(if_nametoindex(name), name)
            if first != name:
                raise SourceError(f"{name}: is the same interface as {first}: each packet would be traced twice", True)
