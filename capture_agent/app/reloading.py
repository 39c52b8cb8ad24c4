"""Applies another configuration while the agent runs: all of it, or nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import fields, replace
from queue import SimpleQueue

from capture_agent.app.agent import Agent
from capture_agent.app.assembly import all_alike, make_policy, spools_of
from capture_agent.app.decryption import private_keys
from capture_agent.app.extensions import Extensions, InUse
from capture_agent.config import Config, ConfigError
from capture_agent.config.configured_sinks import ConfiguredSinks, TooManySinks
from capture_agent.config.sections import KINDS
from capture_agent.config.targets import Target
from capture_agent.control.commands import Fault
from capture_agent.delivery.detours import detours_of
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.routes import outboxes
from capture_agent.emission.emission import emission
from capture_agent.metrics.figures import Reloaded
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks import make_sinks
from capture_agent.sources.source import SourceError

# Options that change while the agent runs. The answer names all others, which take effect after a restart.
SECTIONS = {"trace", "rule", "legs", *KINDS, "group", "hooks", "privacy", "queue", "aliases"}
OPTIONS = {
    "capture": {"interfaces", "wait_for_interfaces", "local"},
    "spool": {"mib", "max_age_hours", "above_percent", "beside", "drain_per_second"},
    "metrics": {"peers"},
    "tls": {"keys", "keys_password"},
    "log": {"level"},
}

LOOK = 0.2  # seconds
APPLIED_WITHIN = 10.0  # seconds: the capture looks up at least once a second, unless user code holds it

_log = logging.getLogger(__name__)

Read = Callable[[InUse], tuple[Config, Extensions]]


class NotReloaded(Fault):
    """Why nothing has changed: a line per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Reloader:
    """`read`: the configuration as it is now, with its user code; raises ConfigError. `during`: entered meanwhile."""

    def __init__(
        self, agent: Agent, read: Read, during: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._agent = agent
        self._read = read
        self._during = during
        self._lock = threading.Lock()
        self._requests: SimpleQueue[None] = SimpleQueue()  # whose put a signal may interrupt

    def reload(self) -> list[str]:
        """The changed options that take effect only after a restart. Raises NotReloaded."""
        if self._agent.stop.is_set():
            raise self._refused(["the agent is stopping"])
        with self._lock, self._during():
            try:
                later = self._reload()
            except ConfigError as error:
                raise self._refused(list(error.problems)) from None
            except (SourceError, SinkError, TooManySinks) as error:
                raise self._refused([str(error)]) from None
            except NotReloaded as error:
                raise self._refused(error.problems) from None
            except Exception as error:  # a bug must neither be silent nor end the thread that waits for signals
                raise self._refused([f"internal error: {type(error).__name__}"]) from error
        if later:
            _log.warning("the configuration is reloaded; a change of %s takes effect after a restart", ", ".join(later))
        else:
            _log.info("the configuration is reloaded")
        return later

    def request(self) -> None:
        """The same in a new thread, for a signal handler: problems are logged."""
        self._requests.put(None)

    def listen(self) -> None:
        """Handle requests from now on; several at once count as one."""
        threading.Thread(target=self._work, name="reload", daemon=True).start()

    def _work(self) -> None:
        while True:
            self._requests.get()
            while not self._requests.empty():
                self._requests.get()
            with suppress(NotReloaded):
                self.reload()

    def _refused(self, problems: list[str]) -> NotReloaded:
        observer = self._agent.observer
        observer.reloaded = replace(observer.reloaded, success=False)
        for problem in problems:
            _log.error("the configuration is not reloaded: %s", problem)
        return NotReloaded(problems)

    def _reload(self) -> list[str]:
        agent = self._agent
        wanted, extensions = self._read(InUse(agent.config, agent.extensions))
        config = in_force(agent.config, wanted)
        ids = agent.sink_ids.copy()
        sinks = ConfiguredSinks(config, ids)
        kept = kept_sinks(agent, sinks)
        made = make_sinks(sinks, extensions.sinks, except_for=kept)
        policy = make_policy(config, extensions, sinks)
        masks, keys = emission(config), private_keys(wanted.tls)
        detours = detours_of(sinks)
        move = None
        if agent.keeper is not None:
            move = agent.keeper.want(config.capture.interfaces, config.capture.wait_for_interfaces)

        def apply() -> None:
            queue, spools = config.queue, spools_of(config, sinks)
            routes: Mapping[int, Direct | Outbox] = kept | outboxes(made, queue, spools, kept.values())
            for id_, outbox in kept.items():
                outbox.hold_at_most(queue.messages, queue.mib << 20)
                outbox.limit_spool(spools[id_])
            alike = all_alike(config, extensions)
            agent.routes.change({one.id: routes[one.id] for one in sinks}, alike, queue.drain_seconds, sinks.groups)
            agent.routes.detours = detours
            agent.pipeline.use_private_keys(keys)
            agent.pipeline.change(policy, masks, config.correlate, config.named_metrics)
            agent.config, agent.extensions, agent.sink_ids = config, extensions, ids
            if move is not None:
                move()
            agent.observer.reloaded = Reloaded(True, time.time())  # also where the capture has stood still until now

        self._between_batches(apply)
        logging.getLogger().setLevel(config.log.level.upper())
        return later(wanted, config)

    def _between_batches(self, apply: Callable[[], None]) -> None:
        done = threading.Event()
        raised: list[Exception] = []

        def guarded() -> None:
            try:
                apply()
            except Exception as error:
                raised.append(error)
                raise
            finally:
                done.set()

        self._agent.between_batches(guarded)
        deadline = time.monotonic() + APPLIED_WITHIN
        while not done.wait(LOOK):
            if self._agent.stop.is_set():
                raise NotReloaded(["the agent is stopping"])
            if time.monotonic() >= deadline:
                raise NotReloaded(
                    [f"the capture has stood still for {APPLIED_WITHIN:.0f} s; it changes when it goes on"]
                )
        if raised:
            raise NotReloaded([f"internal error: {type(raised[0]).__name__}"])


def in_force(now: Config, wanted: Config) -> Config:
    """The wanted configuration, as far as possible without a restart."""
    stay = {
        field.name: getattr(now, field.name) for field in fields(Config) if field.name not in SECTIONS | OPTIONS.keys()
    }
    for section, options in OPTIONS.items():
        changed = {name: getattr(getattr(wanted, section), name) for name in options}
        if section == "capture" and not now.capture.interfaces:  # nothing keeps interfaces
            del changed["interfaces"]
        if section == "tls" and not now.tls.decrypts:  # nothing takes keys
            changed.clear()
        stay[section] = replace(getattr(now, section), **changed)
    return replace(wanted, **stay)


def later(wanted: Config, had: Config) -> list[str]:
    """The options in which they differ, as docs/configuration.md names them."""
    found: list[str] = []
    for field in fields(Config):
        one, other = getattr(wanted, field.name), getattr(had, field.name)
        if isinstance(one, tuple):
            found += [field.name] if one != other else []
        else:
            parts = [part.name for part in fields(one) if getattr(one, part.name) != getattr(other, part.name)]
            found += [f"{field.name}.{part}" for part in parts]
    return found


def kept_sinks(agent: Agent, sinks: ConfiguredSinks) -> dict[int, Outbox]:
    """Unchanged sinks by id, whose queues are kept."""
    now = ConfiguredSinks(agent.config, agent.sink_ids.copy())
    before = {one.id: one for one in now}
    kept: dict[int, Outbox] = {}
    for one in sinks:
        known = before.get(one.id)
        if known is not None and is_kept(known.target, one.target) and now.tables_of(known) == sinks.tables_of(one):
            outbox = agent.routes.route(one.id)
            assert isinstance(outbox, Outbox)
            kept[one.id] = outbox
    return kept


def is_kept(before: Target, now: Target) -> bool:
    """Nothing differs but limits of its spool."""
    return before.spool.on == now.spool.on and replace(before, spool=now.spool) == now  # type: ignore[type-var]
