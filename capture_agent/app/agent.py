"""The running agent: sources into the pipeline, the pipeline into the outboxes, and the books at the end."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from socket import if_nametoindex

from capture_agent.app.extensions import Extensions, load_extensions
from capture_agent.app.watcher import Watched, Watcher
from capture_agent.books import Books, joined
from capture_agent.config import Capture, Config
from capture_agent.config.configured_sinks import ConfiguredSinks, SinkIds
from capture_agent.config.local import AUTO, LocalAddress
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.emission.emission import emission
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.hooks.verb_values import SinkNames
from capture_agent.intake.own_traffic import OwnTraffic
from capture_agent.net.errors import SinkError
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.net.sender import REFUSED
from capture_agent.packet.port_filter import expression, moves_offsets
from capture_agent.parallel import at_once
from capture_agent.pipeline import Pipeline
from capture_agent.policy.hooks import Hooks
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings
from capture_agent.records.frames import Frames
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks import make_sinks
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.interfaces import ANY, local_addresses
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.merge import merged
from capture_agent.sources.pacing import Pace, Shift
from capture_agent.sources.packaged_source import PackagedSource
from capture_agent.sources.sip_listener import open_listener
from capture_agent.sources.source import UNREAD, Source, SourceError, lost_frames

LAST_READ = 1.0  # seconds that a stop takes at most to read what the kernel has buffered
HANDED_OVER = 0.25  # seconds after which each source has been asked again: with nothing then, nothing is left

HOOK_FAILED = "the message is traced as if this hook were not there"
CONDITION_FAILED = "the rule does not match"

OnBatch = Callable[[Source, Frames], None]

_log = logging.getLogger(__name__)


def local_sides(config: Config) -> Iterator[LocalAddress]:
    """The configured addresses of the server; `auto` stands for those of this host."""
    for local in config.capture.local:
        if local == AUTO:
            yield from (LocalAddress(ip_network(address)) for address in local_addresses())
        else:
            yield local


def hooks_of(config: Config, extensions: Extensions, sinks: ConfiguredSinks) -> Hooks | None:
    """The hooks, each behind a guard."""
    if not extensions.hooks:
        return None
    limits = limits_of(config)
    guards = [Guard(hook.name, hook.function, limits, HOOK_FAILED) for hook in extensions.hooks]
    names = SinkNames(sinks.names, sinks.defaults, sinks.log_events)
    return Hooks(guards, names, config.trace.dialog_acks)


def conditions_of(config: Config, extensions: Extensions) -> dict[str, Guard]:
    """What `when` in rules names, each behind a guard."""
    limits = limits_of(config)
    return {
        name: Guard(Path(name).name, function, limits, CONDITION_FAILED, answers=True)
        for name, function in extensions.conditions.items()
    }


def limits_of(config: Config) -> Limits:
    """By our clock; what is reported goes into our log."""
    settings = config.hooks
    return Limits(settings.slow_ms / 1000, settings.failures, time.perf_counter, lambda line: _log.error("%s", line))


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
        sinks = ConfiguredSinks(config, self.sink_ids)
        settings = Settings.of(config, conditions_of(config, self.extensions), sinks)
        policy = Policy(local_sides(config), settings, hooks_of(config, self.extensions, sinks))
        own = None
        if not lossless:
            SOCKETS.wanted, SOCKETS.addresses = True, local_addresses
            own = OwnTraffic(SOCKETS, [str(address) for address in config.capture.listen])
        self.pipeline = Pipeline(config.capture, policy, emission=emission(config), correlate=config.correlate, own=own)
        # Every sink gets every message.
        self._alike = all(target.default for target in config.targets()) and not config.rule and policy.hooks is None
        self._lossless = lossless
        self._stopped_at: float | None = None
        self._sources: list[Source] = []
        self.gone: list[SourceError] = []  # of sources that broke while others went on, or before a stop
        self._unread: Counter[int] = Counter()  # frames on their way at a stop, by id of the source
        made = make_sinks(sinks, self.extensions.sinks)
        self._routes: dict[int, Direct | Outbox]  # by the id of the sink
        if lossless:
            at_once([sink.open for sink in made.values()])
            self._routes = {id_: Direct(sink) for id_, sink in made.items()}
        else:
            queue = config.queue
            self._routes = {id_: Outbox(sink, queue.messages, queue.mib << 20) for id_, sink in made.items()}
        self._outboxes = list(self._routes.values())
        self._watcher = Watcher(self._watched)
        if not lossless:
            self._watcher.start()

    @property
    def tracing(self) -> bool:
        """Whether anything is traced: siptrace's trace_on. Any thread may switch it."""
        return self.pipeline.policy.on

    @tracing.setter
    def tracing(self, on: bool) -> None:
        self.pipeline.policy.on = on

    @property
    def failure(self) -> SinkError | None:
        """The first sink that failed for good."""
        return next((outbox.failure for outbox in self._outboxes if outbox.failure), None)

    def failures(self) -> Iterator[str]:
        """A line for each sink that failed, or was told of datagrams that nobody took."""
        for outbox in self._outboxes:
            ledger = outbox.ledger()
            if outbox.failure is not None:
                yield str(outbox.failure)
            elif lost := ledger.lost.get(REFUSED):
                yield f"{ledger.name}: connection refused: at least {lost} of {ledger.seen} messages are lost"

    def begin_again(self) -> None:
        """The same captures come once more: what still waited is sent, and all that is known of calls is forgotten."""
        self._put(self.pipeline.restart())

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
        self._sources.extend(sources)
        foreign = any(isinstance(source, PackagedSource) for source in sources)  # a package's may wait for ever
        gone = None if self._lossless else self._is_gone
        with closing(merged(sources, gone, self._is_unread, foreign)) as batches:
            for source, frames in batches:
                if shift is not None:
                    shift.move(frames)
                traced = self.pipeline.process(frames)
                if pace is None:
                    self._put(traced)
                else:
                    self._put_in_time(traced, pace)
                if on_batch is not None:
                    on_batch(source, frames)
                if (self._lossless and self.failure) or (self.stop.is_set() and self._has_all(frames)):
                    return

    def _is_gone(self, source: Source, error: SourceError) -> None:
        _log.error("%s%s", error, "" if self.stop.is_set() else "; the other sources go on")
        self.gone.append(error)

    def _is_unread(self, source: Source, count: int) -> None:
        self._unread[id(source)] += count

    def _lost_of(self, source: Source) -> Counter[str]:
        lost = Counter(source.dropped())
        if unread := self._unread[id(source)]:
            lost[UNREAD] += unread
        return lost

    def _has_all(self, frames: Frames) -> bool:
        """After a stop: is what the kernel had buffered by then read? A file is left where it is."""
        if self._lossless:
            return True
        now = time.monotonic()
        if self._stopped_at is None:
            self._stopped_at = now
            for source in self._sources:
                if isinstance(source, LiveInterface):
                    source.take_no_more()
        return now - self._stopped_at >= (LAST_READ if frames.count else HANDED_OVER)

    def _put(self, traced: list[TracedMessage]) -> None:
        for id_, outbox in self._routes.items():
            outbox.put(traced if self._alike else [message for message in traced if message.sinks >> id_ & 1])

    def _put_in_time(self, traced: list[TracedMessage], pace: Pace) -> None:
        due: list[TracedMessage] = []
        for message in traced:
            delay = pace.delay(message.message.time_ns)
            if delay > 0:
                self._put(due)
                due = []
                for outbox in self._outboxes:
                    outbox.flush()
                self.stop.wait(delay)
            due.append(message)
        self._put(due)

    def close(self) -> Books:
        """Send what waits (for as long as configured when live), close everything; the final books."""
        self._watcher.close()
        closing_all = [source.close for source in self._sources]
        if self._lossless:
            for close in closing_all:
                close()
        else:
            at_once(closing_all, LAST_READ)
            self._say_unread()
        self._put(self.pipeline.close())
        self._close_sinks()
        return self.books()

    def _say_unread(self) -> None:
        for source in self._sources:
            if unread := self._lost_of(source)[UNREAD]:
                _log.warning("%s: %s packets lost (unread) at the stop", source.name, f"{unread:,}")

    def _close_sinks(self) -> None:
        """All at once; when live, within the time to drain for all of them together."""
        if self._lossless:
            at_once([outbox.close for outbox in self._outboxes])
            return
        deadline = time.monotonic() + self.config.queue.drain_seconds
        for outbox in self._outboxes:
            outbox.stop()
        for outbox in self._outboxes:
            outbox.close(max(0.0, deadline - time.monotonic()))
        SOCKETS.wanted = False

    def _watched(self) -> Iterator[Watched]:
        SOCKETS.look()
        for source in self._sources:
            yield Watched(source.name, "packets", self._lost_of(source))
        for outbox in self._outboxes:
            ledger = outbox.ledger()
            yield Watched(ledger.name, "messages", ledger.lost, ledger.rejected, outbox.down())
        for ledger in self.pipeline.ledgers():
            yield Watched(ledger.name, "entries", ledger.lost)

    def books(self) -> Books:
        ledgers = joined([lost_frames(map(self._lost_of, self._sources)), *self.pipeline.ledgers()])
        ledgers += [outbox.ledger() for outbox in self._outboxes]
        return Books(ledgers, self.pipeline.problems(), self.pipeline.notes())


def replay(
    agent: Agent,
    paths: Sequence[str | Path],
    rounds: int = 1,
    pace: Pace | None = None,
    shift: Shift | None = None,
    on_batch: OnBatch | None = None,
    on_damage: Callable[[SourceError], None] | None = None,
) -> None:
    """One capture file after the other, `rounds` times; without a pace as fast as can be. Raises SourceError.

    With `on_damage`, damage in a file ends that file alone; what is no capture at all is still raised.
    """
    for round_number in range(rounds):
        if round_number:
            agent.begin_again()
            for timing in (pace, shift):
                if timing is not None:
                    timing.restart()
        for path in paths:
            if agent.stop.is_set() or agent.failure:
                return
            agent.pipeline.begin()
            try:
                agent.drain([CaptureFile(path, agent.stop.is_set)], pace, on_batch, shift)
            except SourceError as error:
                if error.usage or on_damage is None:
                    raise
                on_damage(error)


def capture_filter(capture: Capture, link_type: int) -> str:
    """What libpcap is given: the user's filter, and what the list of ports makes of it."""
    ports = expression(capture.ports, link_type, capture.esp_null) if capture.ports else ""
    if ports and capture.filter:
        # Behind a word that moves all offsets behind it, ours would look at other bytes: then the ports are ours alone.
        return capture.filter if moves_offsets(capture.filter) else f"({capture.filter}) and ({ports})"
    return ports or capture.filter


def check_interfaces(names: Sequence[str]) -> None:
    """One interface may have several names. Raises SourceError."""
    found: dict[int, str] = {}
    for name in names:
        with suppress(OSError):  # `any`, or one that libpcap will not find either
            first = found.setdefault(if_nametoindex(name), name)
            if first != name:
                raise SourceError(f"{name}: is the same interface as {first}: each packet would be traced twice", True)


def warn_of_any(capture: Capture) -> None:
    others = [name for name in capture.interfaces if name != ANY]
    if ANY in capture.interfaces and others and not capture.drop_copies:
        _log.warning(
            "any shows what %s shows, too: each packet is captured twice (capture.drop_copies takes one)", others[0]
        )


def run(agent: Agent, on_ready: Callable[[], None] | None = None) -> None:
    """Live, from the configured interfaces, sockets and sources, until agent.stop is set. Raises SourceError."""
    capture = agent.config.capture
    check_interfaces(capture.interfaces)
    sources: list[Source] = [
        LiveInterface(
            name,
            bpf=partial(capture_filter, capture),
            snapshot_length=capture.snapshot_length,
            promiscuous=capture.promiscuous,
            buffer_mib=capture.buffer_mib,
            own=SOCKETS,
        )
        for name in capture.interfaces
    ]
    sources += [open_listener(address, capture.buffer_mib) for address in capture.listen]
    sources += agent.extensions.sources
    SOCKETS.look()
    if on_ready is not None:
        on_ready()
    warn_of_any(capture)
    agent.drain(sources)
