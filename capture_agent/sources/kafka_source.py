"""A topic of Kafka with HEP: workers of one group share its partitions; each record is a frame, which intake opens.

An offset is committed when no message that was read before it is in memory only: sinks have sent it, or it is in a
spool on disk. So a worker that is killed loses nothing; what it had not committed, another one gets, too.
"""

from __future__ import annotations

import logging
import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from capture_agent.config.kafka_options import KafkaSourceSection
from capture_agent.net.kafka_client import MISSING, Trouble, connection_options, find_topic
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.frames import HEP_LINK_TYPE, Frames, Interface
from capture_agent.sources.source import SourceError

TOGETHER = 500  # records in a batch: at most 32 MiB of HEP, a part of the queue that sinks have free
MOST_UNCOMMITTED = 50_000  # records
COMMIT_SECONDS = 2.0  # since the first record that is not committed
READ_SECONDS = 0.2
LOOK_SECONDS = 0.005
LAST_SECONDS = 10.0  # that a partition is kept, when another worker wants it, until sinks have what was read
FOUND_SECONDS = 10.0  # for the first answer of a broker

_log = logging.getLogger(__name__)


class KafkaSource:
    """A Source, which must be the only one: a batch has reached the sinks' queues when the next one is asked for.

    `is_safe`: whether no message is in memory only; `has_room`: whether all queues of sinks have. Raises SourceError.
    """

    def __init__(self, options: KafkaSourceSection, is_safe: Callable[[], bool], has_room: Callable[[], bool]) -> None:
        self.name = str(options)
        self._is_safe = is_safe
        self._has_room = has_room
        self._closed = False
        self._interfaces = [Interface(self.name, HEP_LINK_TYPE, time_decimals=9)]
        self._number = 1
        self._offsets: dict[int, int] = {}  # the next ones, by partition, of what was read and is not committed
        self._uncommitted = 0
        self._since = 0.0
        self._topic = options.topic
        self._trouble = Trouble(options)
        self._consumer = self._opened(options)

    def _opened(self, options: KafkaSourceSection) -> Any:
        try:
            from confluent_kafka import Consumer, KafkaException
        except ImportError:
            raise SourceError(f"{self.name}: Kafka {MISSING}", usage=True) from None
        try:
            consumer = Consumer(consumer_options(options, self._noted))
        except KafkaException as error:
            raise SourceError(f"{self.name}: {self._trouble.said(error.args[0])}", usage=True) from None
        try:
            find_topic(consumer, options, self._trouble, self.name, FOUND_SECONDS)
        except SinkError as error:
            consumer.close()
            raise SourceError(str(error)) from None
        consumer.subscribe([options.topic], on_revoke=self._revoked, on_lost=self._lost)
        return consumer

    def _noted(self, error: Any) -> None:
        before = self._trouble.text
        self._trouble.note(error)
        if self._trouble.text != before:
            _log.warning("%s: %s", self.name, self._trouble.text)

    def batches(self) -> Iterator[Frames]:
        """Raises SourceError: the library has given up, for example because of the user or the password."""
        while not self._closed:
            if self._is_due() or not self._has_room():
                if self._is_safe():
                    self._commit()
                else:
                    time.sleep(LOOK_SECONDS)
                    yield self._frames([])
                continue
            yield self._frames(self._read())
        self._consumer.close()

    def _is_due(self) -> bool:
        late = bool(self._uncommitted) and time.monotonic() - self._since > COMMIT_SECONDS
        return late or self._uncommitted >= MOST_UNCOMMITTED

    def _read(self) -> list[bytes]:
        values: list[bytes] = []
        for record in self._consumer.consume(TOGETHER, READ_SECONDS):
            if record.error() is not None:
                self._noted(record.error())
                continue
            if not self._uncommitted:
                self._since = time.monotonic()
            self._uncommitted += 1
            self._offsets[record.partition()] = record.offset() + 1
            values.append(record.value() or b"")
        if self._trouble.ends:
            raise SourceError(f"{self.name}: {self._trouble.text}")
        return values

    def _frames(self, values: list[bytes]) -> Frames:
        now = time.time_ns()
        index = array("q")
        at = 0
        for value in values:
            index.extend((at, len(value), len(value), now, 0))
            at += len(value)
        frames = Frames(b"".join(values), index, len(values), self._interfaces, self._number)
        self._number += len(values)
        return frames

    def _commit(self) -> None:
        """What was read. If it fails, another worker reads it again."""
        from confluent_kafka import KafkaException, TopicPartition

        places = [TopicPartition(self._topic, partition, offset) for partition, offset in self._offsets.items()]
        self._offsets, self._uncommitted = {}, 0
        if places:
            try:
                self._consumer.commit(offsets=places, asynchronous=False)
            except KafkaException as error:
                _log.warning("%s: not committed: %s", self.name, self._trouble.said(error.args[0]))

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        """They go to another worker, which should not get again what sinks of this one are about to send."""
        deadline = time.monotonic() + LAST_SECONDS
        while not self._is_safe() and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        if self._is_safe():
            self._commit()
        else:
            self._lost(consumer, partitions)

    def _lost(self, consumer: Any, partitions: list[Any]) -> None:
        """Others have them already."""
        self._offsets, self._uncommitted = {}, 0

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        self._closed = True


def consumer_options(options: KafkaSourceSection, on_error: Callable[[Any], None]) -> dict[str, Any]:
    return connection_options(options, on_error) | {
        "group.id": options.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": options.start,
        "session.timeout.ms": int(options.session_seconds * 1000),
        "heartbeat.interval.ms": min(3000, int(options.session_seconds * 200)),  # several may be late
        "max.poll.interval.ms": 86_400_000,  # sinks may be full for long; a worker that hangs ends its session anyway
        "fetch.message.max.bytes": 4 << 20,
        "queued.max.messages.kbytes": 32 << 10,
    }
