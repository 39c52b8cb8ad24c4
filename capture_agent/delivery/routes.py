"""Hands each message to its sinks: through an outbox per sink or, if the source can wait, directly."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from threading import Lock, Thread

from capture_agent.books import Ledger, with_former
from capture_agent.config.configured_sinks import ConfiguredGroup
from capture_agent.config.sections import QueueSection
from capture_agent.config.spool_options import SpoolSection
from capture_agent.delivery.detours import Detour
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.sink_groups import Groups, GroupStanding
from capture_agent.net.sender import REFUSED
from capture_agent.net.sink_errors import SinkError
from capture_agent.parallel import at_once
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import Sink

MOST_FORMER = 64  # sinks that are not configured any more and have ledgers of their own
FORMER = "former sinks"


class Routes:
    """Routes by sink id, as in TracedMessage.sinks. `alike`: every sink gets every message, without `detours`."""

    def __init__(
        self, routes: Mapping[int, Direct | Outbox], alike: bool, groups: Sequence[ConfiguredGroup] = ()
    ) -> None:
        self._routes = dict(routes)
        self._alike = alike
        self._groups = Groups(groups, self._routes) if groups else None
        self.detours: Sequence[Detour] = ()
        self._lock = Lock()  # for those that leave
        self._leaving: list[Direct | Outbox] = []
        self._left: list[Ledger] = []

    def __iter__(self) -> Iterator[Direct | Outbox]:
        return iter(self._routes.values())

    def change(
        self,
        routes: Mapping[int, Direct | Outbox],
        alike: bool,
        seconds: float,
        groups: Sequence[ConfiguredGroup] = (),
    ) -> None:
        """Replace the sinks. Former ones send waiting messages, for this many seconds, and are closed."""
        stay = set(map(id, routes.values()))
        leaving = [outbox for outbox in self if id(outbox) not in stay]
        with self._lock:
            self._leaving += leaving
            self._routes, self._alike = dict(routes), alike
            if groups:
                self._groups = Groups(groups, self._routes, self._groups)
            elif self._groups is not None:
                self._groups = None
                for outbox in self:
                    outbox.relieve_by(None)
        for outbox in leaving:
            outbox.stop()
            Thread(target=self._leave, args=(outbox, seconds), name="leaving", daemon=True).start()

    def _leave(self, outbox: Direct | Outbox, seconds: float) -> None:
        outbox.close(seconds)
        with self._lock:
            if outbox in self._leaving:
                self._leaving.remove(outbox)
                self._left = with_former(self._left, [named_for_good(outbox.ledger(), self._left)])

    def route(self, id_: int) -> Direct | Outbox:
        return self._routes[id_]

    def items(self) -> Iterable[tuple[int, Direct | Outbox]]:
        """Those in use, with their ids."""
        return self._routes.items()

    def put(self, traced: list[TracedMessage]) -> None:
        for detour in self.detours:
            detour.take(traced)
        if self._groups is not None and traced:
            self._put_in_groups(self._groups, traced)
            return
        for id_, outbox in self._routes.items():
            outbox.put(traced if self._alike else [message for message in traced if message.sinks >> id_ & 1])

    def has_room(self) -> bool:
        """Whether each sink's queue has much room left. From any thread."""
        return all(outbox.has_room() for outbox in self if isinstance(outbox, Outbox))

    def is_safe(self) -> bool:
        """Whether no message is in memory only: each is sent, or in a spool. From any thread."""
        return all(outbox.is_safe for outbox in self if isinstance(outbox, Outbox))

    def _put_in_groups(self, groups: Groups, traced: list[TracedMessage]) -> None:
        with groups.lock:
            sinks = groups.share(traced)
            for id_, outbox in self._routes.items():
                outbox.put([message for message, bits in zip(traced, sinks, strict=True) if bits >> id_ & 1])

    def groups(self) -> list[GroupStanding]:
        return [] if self._groups is None else self._groups.standings()

    def flush(self) -> None:
        for outbox in self:
            outbox.flush()

    @property
    def failure(self) -> SinkError | None:
        """The first sink that failed for good, and that no other member of a group replaces."""
        for outbox in self._routes.values():
            if outbox.failure is not None and not (outbox.relief is not None and outbox.relief.is_safe):
                return outbox.failure
        return None

    def failures(self) -> Iterator[str]:
        """A line for each sink that failed, or whose datagrams were refused."""
        for outbox in self:
            ledger = outbox.ledger()
            replaced = outbox.relief is not None and outbox.relief.is_safe and not any(ledger.lost.values())
            if outbox.failure is not None and not replaced:
                yield str(outbox.failure)
            elif lost := ledger.lost.get(REFUSED):
                yield f"{ledger.name}: connection refused: at least {lost} of {ledger.seen} messages are lost"

    def ledgers(self) -> list[Ledger]:
        """Each sink's, with what those of the same name have counted that are not in use any more."""
        with self._lock:
            former = [*self._left, *(outbox.ledger() for outbox in self._leaving)]
            return with_former((outbox.ledger() for outbox in self), former)

    def close(self, seconds: float | None) -> None:
        """Close all in parallel: within this many seconds in total, or once everything is sent."""
        if seconds is None and self._groups is not None:  # one whose sink fails now has others to go to
            for outbox in self:
                outbox.close()
            return
        if seconds is None:
            at_once([outbox.close for outbox in self])
            return
        deadline = time.monotonic() + seconds
        closing = [*self, *self._leaving]
        for outbox in closing:
            outbox.stop(seconds / 2)
        at_once([partial(outbox.close, max(0.0, deadline - time.monotonic())) for outbox in closing])


def named_for_good(ledger: Ledger, others: Sequence[Ledger]) -> Ledger:
    """Under its own name, or a common one when there are many."""
    if len(others) >= MOST_FORMER and all(ledger.name != other.name for other in others):
        ledger.name = FORMER
    return ledger


def direct(sinks: Mapping[int, Sink], alike: bool, groups: Sequence[ConfiguredGroup] = ()) -> Routes:
    """Routes for a replay. Opens the sinks; raises SinkError. The members of a group may be down, but for one."""
    routes = Routes({id_: Direct(sink) for id_, sink in sinks.items()}, alike, groups)
    at_once([partial(open_direct, outbox) for outbox in routes])
    if (failure := routes.failure) is not None:
        raise failure
    return routes


def open_direct(outbox: Direct | Outbox) -> None:
    """Raises SinkError, unless it is a member of a group."""
    try:
        outbox.sink.open()
    except SinkError as error:
        if outbox.relief is None:
            raise
        outbox.failure = error
        outbox.relief.leave(outbox.relief.heirs(), lambda: True)


def queued(
    sinks: Mapping[int, Sink],
    alike: bool,
    queue: QueueSection,
    spools: Mapping[int, SpoolSection],
    groups: Sequence[ConfiguredGroup] = (),
) -> Routes:
    """Routes for live traffic. Limits apply to each sink; the outboxes open their sinks."""
    return Routes(outboxes(sinks, queue, spools), alike, groups)


def outboxes(
    sinks: Mapping[int, Sink],
    queue: QueueSection,
    spools: Mapping[int, SpoolSection],
    others: Iterable[Outbox] = (),
) -> dict[int, Outbox]:
    """With a spool, if its section has a directory. `others`: those that stay, and keep their files."""
    plain = {
        id_: Outbox(sink, queue.messages, queue.mib << 20) for id_, sink in sinks.items() if not spools[id_].directory
    }
    if len(plain) == len(sinks):
        return plain
    from capture_agent.delivery.spool.spool import Spool, SpoolLimits  # SQLite
    from capture_agent.delivery.spool.spool_place import spool_path
    from capture_agent.delivery.spooled_outbox import SpooledOutbox

    taken = {outbox.spool.path for outbox in others if isinstance(outbox, SpooledOutbox)}
    made: dict[int, Outbox] = {}
    for id_, sink in sinks.items():
        if id_ in plain:
            made[id_] = plain[id_]
            continue
        spool = spools[id_]
        path = spool_path(spool.directory, sink.name, taken)
        taken.add(path)
        made[id_] = SpooledOutbox(sink, Spool(path, SpoolLimits.of(spool)), queue.messages, queue.mib << 20)
    return made
