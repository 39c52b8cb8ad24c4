"""Fills the calls of a view that stays open, in a thread: from capture files, a table, or what is captured live.

    feed = CallFeed(config, files=["a.pcap"])     # or target=SqlTarget(...), or neither: config's interfaces, listeners
    feed.start()                                  # raises SourceError: it cannot be read at all
    feed.store, feed.reading, feed.problems       # any thread may look
    feed.stop()

What is captured live takes the way of `run`: an agent whose only sink is the store. The masks of [privacy] hold for
whatever comes, because the store applies them.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from capture_agent.config import Config, SqlTarget
from capture_agent.config.targets import PackageSink
from capture_agent.emission.privacy import masker
from capture_agent.media.rtp_json import all_figures
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import RtpReport
from capture_agent.records.traced import TracedMessage
from capture_agent.view.call_store import CallStore, Mask

if TYPE_CHECKING:
    from capture_agent.app.agent import Agent

LOOK_AGAIN = 1.0  # seconds between two looks at a table
LATEST = 10_000  # calls that are read of a table
NAME = "view"


class StoreSink:
    """What an agent has traced, into the store."""

    name = NAME
    together = 1000
    kinds = (CapturedMessage, RtpReport)

    def __init__(self, store: CallStore) -> None:
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self._store = store

    def open(self) -> None:
        """The store is there."""

    def send(self, batch: Sequence[TracedMessage]) -> None:
        """Of others, only reports of streams come: `kinds`."""
        self._store.add([one.message for one in batch if isinstance(one.message, CapturedMessage)])
        self._store.add_streams(all_figures(one.message for one in batch if isinstance(one.message, RtpReport)))
        self.sent += len(batch)

    def flush(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """The store stays."""


def view_mask(config: Config) -> Mask | None:
    """[privacy] of the configuration, for whatever a view shows."""
    privacy = config.privacy
    return masker(privacy.mask, privacy.hash_key.encode()) if privacy.mask else None


def store_for(config: Config, keep_frames: bool = False) -> CallStore:
    return CallStore(config.legs, mask=view_mask(config), keep_frames=keep_frames, lock=threading.RLock())


class CallFeed:
    """`reading`: more may come. `problems`: lines for the user; what was read stays."""

    def __init__(
        self, config: Config, files: Sequence[str] = (), target: SqlTarget | None = None, latest: int = LATEST
    ) -> None:
        self.store = store_for(config, keep_frames=target is None)
        self.problems: list[str] = []
        self.reading = True
        self.is_live = target is not None or not files
        self._config, self._files, self._target, self._latest = config, files, target, latest
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._agent: Agent | None = None
        self._thread = threading.Thread(target=self._read, name=NAME, daemon=True)

    def start(self) -> None:
        """Returns when files are being read, a table has been read, or sources are open. Raises SourceError,
        SinkError."""
        self._thread.start()
        if self._files:
            return
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    @property
    def lost(self) -> int:
        """Messages and packets that came too fast."""
        agent = self._agent
        if agent is None:
            return 0
        outboxes = sum(sum(outbox.ledger().lost.values()) for outbox in agent.routes)
        return outboxes + sum(sum(lost.values()) for lost in agent.sources.lost().values())

    def _read(self) -> None:
        from capture_agent.net.sink_errors import SinkError
        from capture_agent.sources.source import SourceError

        try:
            if self._files:
                self._read_files()
            elif self._target is not None:
                self._read_table(self._target)
            else:
                self._capture()
        except (SourceError, SinkError) as error:
            self._failure = error
            self.problems.append(str(error))
        except Exception as error:  # a traceback of this thread would spoil the screen; what was read can be seen
            self._failure = error
            self.problems.append(f"internal error: {type(error).__name__}")
        finally:
            self.reading = False
            self._ready.set()

    def _read_files(self) -> None:
        from capture_agent.app.opened_capture import opened
        from capture_agent.sources.source import SourceError

        for file in self._files:
            try:
                with opened(self._config, file, self.store.keeps_frames, with_streams=True) as (source, pipeline):
                    for messages in pipeline.read(source.batches()):
                        self.store.add(messages)
                        self.store.add_streams(all_figures(pipeline.take_reports()))
                        if self._stop.is_set():
                            return
            except SourceError as error:
                self.problems.append(str(error))

    def _read_table(self, target: SqlTarget) -> None:
        from capture_agent.history.stored_calls import gather
        from capture_agent.net.sink_errors import SinkError

        last_id = gather(target, self.store, self._latest)
        self._ready.set()
        while not self._stop.wait(LOOK_AGAIN):
            try:
                last_id = gather(target, self.store, self._latest, last_id)
                self.problems.clear()
            except SinkError as error:  # it may come back
                self.problems[:] = [str(error)]

    def _capture(self) -> None:
        from capture_agent.app import capturing
        from capture_agent.app.agent import Agent
        from capture_agent.app.extensions import Extensions

        config, known = self._config, self.store
        own = Config(
            capture=config.capture, tls=config.tls, media=config.media, listen=config.listen,
            kafka_source=config.kafka_source, sink=(PackageSink(use=NAME),),
        )  # fmt: skip
        agent = Agent(own, lossless=False, stop=self._stop, extensions=Extensions(sinks=(StoreSink(known),)))
        agent.pipeline.packets.keeps_frames = known.keeps_frames
        self._agent = agent
        try:
            capturing.run(agent, self._ready.set)
        finally:
            agent.close()
        self.problems += map(str, agent.gone)
