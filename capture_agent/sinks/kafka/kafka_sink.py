"""Produces a record for each message, and waits for the brokers' acknowledgement."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from capture_agent.books import Account
from capture_agent.config.kafka_options import KafkaTarget
from capture_agent.net.kafka_client import MISSING, Trouble, connection_options, find_topic
from capture_agent.net.sender import OVERSIZE
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.kinds import ALL_KINDS
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.kafka.kafka_records import Record, Records

SENT = "sent"
RECORD_REFUSED = "record_refused"  # rejected: the brokers take records, but not this one
ACCOUNT = Account("sink", rejected=(RECORD_REFUSED,))

TOGETHER = 5000  # messages
MOST_BYTES = 8 << 20  # of records that wait for an acknowledgement
LEAST_BATCH = 16 << 10  # bytes of records for one partition, however often the brokers have refused larger ones
WAIT_SECONDS = 0.25

_log = logging.getLogger(__name__)


class KafkaSink:
    """`send` returns when all records are acknowledged by all in-sync replicas, or rejected.

    rejected   oversize: longer than HEP, `message_bytes` or the brokers allow; record_refused: not valid to them

    A message counts as sent once it, and all before it in its batch, are acknowledged. A producer that has failed is
    not used again: the next one sends again what was not acknowledged.
    """

    kinds = ALL_KINDS
    together = TOGETHER

    def __init__(self, target: KafkaTarget) -> None:
        self.name = str(target)
        self.sent = 0
        self.rejected: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.connections = 0
        self._target = target
        self._batch_bytes = target.message_bytes
        self._records = Records(target)
        self._trouble = Trouble(target)
        self._producer: Any = None

    def open(self) -> None:
        if self._producer is not None:
            return
        try:
            from confluent_kafka import KafkaException, Producer
        except ImportError:
            raise SinkError(f"{self.name}: Kafka {MISSING}") from None
        self._trouble = Trouble(self._target)
        try:
            producer = Producer(producer_options(self._target, self._trouble, self._batch_bytes))
        except KafkaException as error:  # a certificate, a URL
            raise SinkError(f"{self.name}: {self._trouble.said(error.args[0])}") from None
        find_topic(producer, self._target, self._trouble, self.name, self._target.dead_after_seconds)
        self._producer = producer
        self.connections += 1

    def send(self, batch: Sequence[TracedMessage]) -> None:
        if not batch:
            if self._producer is not None:
                self._producer.poll(0)
            return
        self.open()
        part: list[Record | None] = []
        size = 0
        for record in self._records.of(list(batch)):
            if part and record is not None and size + record.size > MOST_BYTES:
                self._deliver(part)
                part, size = [], 0
            part.append(record)
            size += 0 if record is None else record.size
        self._deliver(part)

    def _deliver(self, records: list[Record | None]) -> None:
        """Raises SinkError."""
        outcomes = ["" if one is not None else OVERSIZE for one in records]
        try:
            if self._produce(records, outcomes, [n for n, one in enumerate(outcomes) if not one]):
                self._make_smaller_batches()
        finally:
            self._count(outcomes)

    def _count(self, outcomes: list[str]) -> None:
        """Up to the first message that is not done."""
        for outcome in outcomes:
            if outcome == SENT:
                self.sent += 1
            elif not outcome:
                break
            else:
                self.rejected[outcome] += 1

    def _produce(self, records: list[Record | None], outcomes: list[str], which: list[int]) -> bool:
        """Fills in the outcomes of these. Whether some were refused with others, and none alone. Raises SinkError.

        Brokers refuse a batch of records as a whole: one is not valid, or all are too large together. It goes again in
        halves, with all that is not acknowledged then, in order. Only what is refused alone is rejected.
        """
        self.open()
        refused = self._once(records, outcomes, which)
        if not refused:
            return False
        self.close()  # in this producer's sequence, records are missing now
        if len(which) == 1:
            outcomes[which[0]] = refused[which[0]]
            return False
        again = [n for n in which if not outcomes[n]]
        middle = (len(again) + 1) // 2
        for part in (again[:middle], again[middle:]):
            if part:
                self._produce(records, outcomes, part)
        return all(outcomes[n] == SENT for n in again)

    def _once(self, records: list[Record | None], outcomes: list[str], which: list[int]) -> dict[int, str]:
        """Those that were refused, with the reason: then the rest is not waited for. Raises SinkError."""
        from confluent_kafka import KafkaError, KafkaException

        waiting, refused = set(which), dict[int, str]()
        delivered = partial(self._delivered, outcomes, refused, waiting)
        for n in which:
            record = records[n]
            assert record is not None
            try:
                self._producer.produce(
                    self._target.topic, record.value, record.key, headers=record.headers,
                    on_delivery=partial(delivered, n),
                )  # fmt: skip
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise self._failed(self._trouble.said(error.args[0])) from None
                outcomes[n] = OVERSIZE
                waiting.discard(n)
        self._wait(waiting, refused)
        if not refused and any(not outcomes[n] for n in which):
            raise self._failed(self._trouble.text)
        return refused

    def _make_smaller_batches(self) -> None:
        self.close()
        self._batch_bytes = max(LEAST_BATCH, self._batch_bytes // 2)
        _log.warning(
            "%s: the brokers refuse batches of records that message_bytes = %d allows: from now on at most %d bytes",
            self.name, self._target.message_bytes, self._batch_bytes,
        )  # fmt: skip

    def _wait(self, waiting: set[int], refused: dict[int, str]) -> None:
        """Until all are reported, or one is refused. Raises SinkError: there was no report for too long."""
        patience = self._target.dead_after_seconds
        deadline, before = time.monotonic() + patience, len(waiting)
        while waiting and not refused:
            self._producer.flush(WAIT_SECONDS)
            if len(waiting) < before:
                deadline, before = time.monotonic() + patience, len(waiting)
            elif self._trouble.ends or time.monotonic() > deadline:
                raise self._failed(self._trouble.text or f"no acknowledgement in {patience:g} s")

    def _delivered(
        self, outcomes: list[str], refused: dict[int, str], waiting: set[int], n: int, error: Any, message: Any
    ) -> None:
        """librdkafka's delivery report. After a failure nobody looks at the outcomes any more."""
        waiting.discard(n)
        if error is None:
            outcomes[n] = SENT
        elif (reason := refusals().get(error.code())) is not None:
            if not refused and self._producer is not None:
                self._producer.purge(blocking=False)  # or what follows is stored before it
            refused[n] = reason
        elif not refused:
            self._trouble.note(error)

    def _failed(self, text: str) -> SinkError:
        self.close()
        return SinkError(f"{self.name}: {text}")

    def flush(self) -> None:
        """Nothing waits: `send` has waited."""

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.poll(0)


@cache
def refusals() -> dict[int, str]:
    """By code: the reason for which a broker refuses a record, or others in its batch."""
    from confluent_kafka import KafkaError

    invalid = (KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP, KafkaError._INVALID_DIFFERENT_RECORD)
    return {KafkaError.MSG_SIZE_TOO_LARGE: OVERSIZE, **dict.fromkeys(invalid, RECORD_REFUSED)}


def producer_options(target: KafkaTarget, trouble: Trouble, batch_bytes: int) -> dict[str, Any]:
    return connection_options(target, trouble.note) | {
        "acks": "all",
        "enable.idempotence": True,  # retries of this producer write nothing twice, and keep the order
        "compression.type": target.compress,
        "message.max.bytes": target.message_bytes,
        "batch.size": batch_bytes,
        "message.timeout.ms": max(1000, int(target.dead_after_seconds * 1000)),
        "linger.ms": 5,
        "partitioner": "murmur2_random",  # as Kafka's own clients: a call is in one partition, whoever sends it
        "queue.buffering.max.messages": 2 * TOGETHER,
        "queue.buffering.max.kbytes": 2 * MOST_BYTES >> 10,
    }
