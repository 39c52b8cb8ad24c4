"""The running agent: sources into the pipeline, the pipeline into the outboxes, and the books at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

from capture_agent.app.assembly import all_alike, local_sides, make_pipeline, own_traffic, spools_of
from capture_agent.app.between import BetweenBatches
from capture_agent.app.decryption import followed
from capture_agent.app.extensions import Extensions, load_extensions
from capture_agent.app.interface_keeper import InterfaceKeeper
from capture_agent.app.observing import Observer, figures, group_figures, sink_figures
from capture_agent.app.open_sources import OpenSources
from capture_agent.app.watcher import Watched, Watcher
from capture_agent.books import Books, joined
from capture_agent.config import Config
from capture_agent.config.configured_sinks import ConfiguredSinks, SinkIds
from capture_agent.control.onlookers import Onlookers
from capture_agent.delivery.detours import detours_of
from capture_agent.delivery.routes import direct, queued
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.figures import AgentFigures, GroupFigures, SinkFigures, SourceFigures
from capture_agent.metrics.health import HealthReason
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.records.frames import Frames
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks import make_sinks
from capture_agent.sources.live import HANDED_OVER
from capture_agent.sources.merge import Waits, merged
from capture_agent.sources.pacing import Pace, Shift
from capture_agent.sources.packaged_source import PackagedSource
from capture_agent.sources.source import UNREAD, Source, SourceError, lost_frames

LAST_READ = 1.0  # seconds that a stop takes at most to read what the kernel has buffered

OnBatch = Callable[[Source | None, Frames], None]

_log = logging.getLogger(__name__)


class Agent:
    """One pipeline and an outbox for each sink. `lossless`: slow sinks slow the source; else they lose.

    `extensions` as load_extensions has them, else the configuration's are loaded here. Raises ConfigError then.
    `sink_ids`: of an agent of this process whose dialogs this one goes on with. Raises TooManySinks.
    """

    def __init__(
        self,
        config: Config,
        lossless: bool,
        stop: threading.Event | None = None,
        extensions: Extensions | None = None,
        sink_ids: SinkIds | None = None,
    ) -> None:
        self.config = config
        self.stop = stop or threading.Event()
        self.extensions = load_extensions(config) if extensions is None else extensions
        self.sink_ids = SinkIds() if sink_ids is None else sink_ids
        self.sources = OpenSources()
        self.keeper: InterfaceKeeper | None = None
        self.reload: Callable[[], list[str]] | None = None
        self._gone: list[SourceError] = []  # of sources that do not come back
        self._lossless = lossless
        self._stopped_at: float | None = None
        self._waits = Waits()
        self._pending: deque[Callable[[], object]] = deque()  # to be done between two batches
        sinks = ConfiguredSinks(config, self.sink_ids)
        self.pipeline = make_pipeline(config, self.extensions, sinks, None if lossless else own_traffic(config))
        self.key_logs = None if lossless else followed(config.tls, self.pipeline)
        made = make_sinks(sinks, self.extensions.sinks)
        alike = all_alike(config, self.extensions)
        if lossless:
            self.routes = direct(made, alike, sinks.groups)
        else:
            self.routes = queued(made, alike, config.queue, spools_of(config, sinks), sinks.groups)
        self.routes.detours = detours_of(sinks)
        self.observer = Observer(config)
        self.onlookers = Onlookers()
        self.exposition = Exposition(self.figures)
        self._between = BetweenBatches(self._figures)
        self._watcher = Watcher(self._watched, also=self.health)
        if not lossless:
            self._watcher.start()

    @property
    def tracing(self) -> bool:
        """Whether anything is traced: siptrace's trace_on. Any thread may switch it."""
        return self.pipeline.policy.on

    @tracing.setter
    def tracing(self, on: bool) -> None:
        self.pipeline.policy.on = on

    def begin_again(self) -> None:
        """The same captures come once more: what still waited is sent, and all that is known of calls is forgotten."""
        self.routes.put(self.pipeline.restart())

    def drain(
        self,
        sources: Sequence[Source],
        pace: Pace | None = None,
        on_batch: OnBatch | None = None,
        shift: Shift | None = None,
    ) -> None:
        """All that these sources have, until they end, `stop` is set or, in a replay, a sink fails.

        Raises SourceError.
        """
        self.sources.add(sources)
        self.observer.opened(sources)
        foreign = any(isinstance(source, PackagedSource) for source in sources)  # a package's may wait for ever
        gone = None if self._lossless else self._is_gone
        newcomers = None if self.keeper is None else self.keeper.newcomers
        seen = None if self._lossless else self.observer.took  # nobody asks about a replay while it runs
        with closing(merged(sources, gone, self.sources.unread, foreign, newcomers, self._waits, seen)) as batches:
            for source, frames in batches:
                if self._pending:
                    with self._between:
                        self._pending.popleft()()
                if shift is not None:
                    shift.move(frames)
                self._pass_on(frames, pace)
                if on_batch is not None:
                    on_batch(source, frames)
                if (self._lossless and self.routes.failure) or (self.stop.is_set() and self._has_all(frames)):
                    return

    def hanging(self, seconds: float) -> list[str]:
        """Sources whose threads have waited for so long; those of packages may. Any thread may ask."""
        return [one.name for one in self._waits.longer_than(seconds) if not isinstance(one, PackagedSource)]

    def between_batches(self, action: Callable[[], object]) -> None:
        """Have this done by the thread that captures, between two batches. Any thread may ask."""
        self._pending.append(action)

    def _pass_on(self, frames: Frames, pace: Pace | None) -> None:
        """When this returns, the messages are freed: the next batch gets memory that is in the CPU cache."""
        with self._between:
            traced = self._process(frames)
            if self.onlookers.wanted:
                self.onlookers.see(traced)
            if pace is None:
                self.routes.put(traced)
        if pace is not None:
            self._put_in_time(traced, pace)

    def _process(self, frames: Frames) -> list[TracedMessage]:
        if not self.observer.asks_for_sip:
            return self.pipeline.process(frames)
        messages = self.pipeline.messages(frames)
        self.observer.saw(messages)
        return self.pipeline.trace(messages)

    def has_opened(self, source: Source) -> None:
        """One more. Its interface may have brought addresses of this host."""
        self.sources.add([source])
        self.observer.opened([source])
        SOCKETS.look()
        self.between_batches(lambda: self.pipeline.know_local(local_sides(self.config)))

    @property
    def gone(self) -> list[SourceError]:
        """Of sources that broke, before the stop or by it, and have not come back."""
        return [*self._gone, *(self.keeper.missing() if self.keeper is not None else ())]

    def _is_gone(self, source: Source, error: SourceError | None) -> None:
        self.sources.retire(source)
        extra = {"fields": {"name": source.name, "down": True}}
        if self.keeper is not None and self.keeper.lost(source, error):
            if error is not None:
                _log.error("%s%s", error, "" if self.stop.is_set() else "; waiting for it", extra=extra)
        elif error is not None:
            _log.error("%s%s", error, "" if self.stop.is_set() else "; the other sources go on", extra=extra)
            self._gone.append(error)
            self.observer.broken.add(source.name)

    def _has_all(self, frames: Frames) -> bool:
        """After a stop: is what the kernel had buffered by then read? A file is left where it is."""
        if self._lossless:
            return True
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
            if self.keeper is not None:
                self.keeper.close()
            self.sources.take_no_more()
        return now - self._stopped_at >= (LAST_READ if frames.count else HANDED_OVER)

    def _put_in_time(self, traced: list[TracedMessage], pace: Pace) -> None:
        due: list[TracedMessage] = []
        for message in traced:
            delay = pace.delay(message.message.time_ns)
            if delay > 0:
                self.routes.put(due)
                due = []
                self.routes.flush()
                self.stop.wait(delay)
            due.append(message)
        self.routes.put(due)

    def close(self) -> Books:
        """Send what waits (for as long as configured when live), close everything; the final books."""
        self._watcher.close()
        if self.keeper is not None:
            self.keeper.close()
        if self.key_logs is not None:
            self.key_logs.close()
        self.sources.close(None if self._lossless else LAST_READ)
        if not self._lossless:
            self._say_unread()
        with self._between:
            self.routes.put(self.pipeline.close())
        self.routes.close(None if self._lossless else self.config.queue.drain_seconds)
        if not self._lossless:
            SOCKETS.wanted = False
        return self.books()

    def _say_unread(self) -> None:
        for name, lost in self.sources.lost().items():
            if unread := lost[UNREAD]:
                _log.warning("%s: %s packets lost (unread) at the stop", name, f"{unread:,}")

    def _watched(self) -> Iterator[Watched]:
        SOCKETS.look()
        for name, lost in self.sources.lost().items():
            yield Watched(name, "packets", lost)
        for outbox in self.routes:
            ledger = outbox.ledger()
            yield Watched(ledger.name, "messages", ledger.lost, ledger.rejected, outbox.down())
        for ledger in self.pipeline.ledgers():
            yield Watched(ledger.name, "entries", ledger.lost)
        if self.pipeline.unwrapping is not None:
            yield Watched("hep", "packets", {}, self.pipeline.unwrapping.misdirected())

    @property
    def ready(self) -> bool:
        """Whether it captures: its sources are open, and it has not been told to stop."""
        return bool(self.sources.names()) and not self.stop.is_set()

    def health(self) -> tuple[list[SinkFigures], list[HealthReason]]:
        """The sinks, and what is wrong now. From any thread."""
        sinks = self._sink_figures()
        in_batch = self._between.seconds_in_batch(time.monotonic())
        return sinks, self.observer.reasons(self._source_figures(), sinks, in_batch)

    def _source_figures(self) -> list[SourceFigures]:
        states = dict(self.keeper.states()) if self.keeper is not None else {}
        return self.observer.sources(states, self.sources.names(), self.sources.lost())

    def _sink_figures(self) -> list[SinkFigures]:
        return sink_figures(ConfiguredSinks(self.config, self.sink_ids.copy()), self.routes)

    def groups(self) -> list[GroupFigures]:
        """Of sinks. From any thread."""
        return group_figures(self.routes)

    def figures(self) -> AgentFigures:
        """All counters, as they are between two batches. From any thread."""
        return self._between.now()

    def _figures(self) -> AgentFigures:
        sources, sinks = self._source_figures(), self._sink_figures()
        return figures(self.observer, self.pipeline, sources, sinks, self.groups())

    def books(self) -> Books:
        ledgers = joined([lost_frames(self.sources.lost().values()), *self.pipeline.ledgers()])
        return Books([*ledgers, *self.routes.ledgers()], self.pipeline.problems(), self.pipeline.notes())
