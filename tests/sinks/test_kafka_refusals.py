"""Brokers that are there and refuse: records that are too large, alone or together, or not valid; topics that go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from faults.kafka import Broker, broker
from faults.kafka_answers import INVALID_RECORD, MESSAGE_TOO_LARGE, UNKNOWN_TOPIC
from sink_samples import INVITE, eventually, numbered, traced

from capture_agent.config.kafka_options import KafkaTarget
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.kafka.kafka_sink import KafkaSink

pytestmark = pytest.mark.once
TOPIC = "sip"
LIMIT = 29_000  # bytes: what a broker takes; more than COUNT usual messages have
COUNT = 30
PATIENCE = 30


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as one:
        one.create(TOPIC, 2)
        yield one


def sink_of(one: Broker, **options: Any) -> KafkaSink:
    return KafkaSink(KafkaTarget((one.address,), TOPIC, **{"dead_after_seconds": 10.0, "compress": "none"} | options))


def messages(large: set[int], count: int = COUNT) -> list[TracedMessage]:
    """Two calls in turn, with numbers in order; some are larger than the broker takes."""
    return [
        traced(numbered(n % 2, 30_000 if n in large else 300).replace(b"CSeq: 1 ", b"CSeq: %d " % n))
        for n in range(count)
    ]


def stored(one: Broker, least: int) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for record in one.messages(TOPIC, least):
        value = record.value() or b""
        found.setdefault(record.key() or b"", []).append(int(value.partition(b"CSeq: ")[2].split()[0]))
    return found


def without(large: set[int], count: int = COUNT) -> dict[bytes, list[int]]:
    return {b"call-%d" % call: [n for n in range(count) if n % 2 == call and n not in large] for call in (0, 1)}


@pytest.mark.parametrize(
    ("code", "reason"), [(MESSAGE_TOO_LARGE, "oversize"), (INVALID_RECORD, "record_refused")], ids=["large", "invalid"]
)
def test_what_is_refused_alone_is_rejected(kafka: Broker, code: int, reason: str) -> None:
    """Of batches that are refused as a whole, in order."""
    kafka.refuses = lambda size: code if size > LIMIT else 0
    sink = sink_of(kafka)
    sink.send(messages({7, 20}))
    sink.close()
    assert (sink.sent, sink.rejected, sink.lost) == (28, Counter({reason: 2}), Counter())
    assert stored(kafka, 28) == without({7, 20})


def test_batches_that_are_too_large_become_smaller(kafka: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """The topic's max.message.bytes is smaller than message_bytes: that is learnt, and said."""
    sizes = list[int]()

    def refuses(size: int) -> int:
        sizes.append(size)
        return MESSAGE_TOO_LARGE if size > LIMIT else 0

    kafka.refuses = refuses
    sink = sink_of(kafka, message_bytes=64_000)
    while not sizes or max(sizes) > LIMIT:
        sizes.clear()
        sink.send(messages(set(), 120))
    sink.close()
    assert sink.sent % 120 == 0
    assert not sink.rejected
    said = [line for line in caplog.messages if "message_bytes = 64000" in line]
    assert 1 <= len(said) <= 2
    found = stored(kafka, sink.sent)
    assert found == {call: numbers * (sink.sent // 120) for call, numbers in without(set(), 120).items()}


@pytest.mark.parametrize("spool", [False, True], ids=["memory", "spool"])
def test_what_waits_goes_on_after_what_is_refused(kafka: Broker, tmp_path: Path, spool: bool) -> None:
    """The broker is down at first. Then what it does not take holds nothing up."""
    kafka.cut()
    sink = sink_of(kafka, dead_after_seconds=2.0)
    box: Outbox = (
        SpooledOutbox(sink, Spool(tmp_path / "s", SpoolLimits()), first_delay=0.05)
        if spool
        else Outbox(sink, first_delay=0.05)
    )
    box.put(messages({7, 20}))
    eventually(box.down, PATIENCE)
    kafka.refuses = lambda size: MESSAGE_TOO_LARGE if size > LIMIT else 0
    kafka.mend()
    eventually(lambda: box.ledger().outcomes["waiting"] == 0, PATIENCE)
    box.close(PATIENCE)
    ledger = box.ledger()
    assert (ledger.outcomes["sent"], +Counter(ledger.rejected), ledger.difference) == (28, Counter(oversize=2), 0)
    assert stored(kafka, 28) == without({7, 20})


def test_a_broker_that_fails_after_it_has_refused_some(kafka: Broker) -> None:
    """What it has refused together is sent again: it was rejected as too large."""
    refused = list[int]()

    def refuses(size: int) -> int:
        if size > LIMIT:
            refused.append(size)
            return MESSAGE_TOO_LARGE
        kafka.cut()
        return 0

    kafka.refuses = refuses
    sink = sink_of(kafka, dead_after_seconds=2.0)
    with pytest.raises(SinkError):
        sink.send(messages(set(), 120))
    assert refused
    assert sink.rejected == Counter()
    kafka.refuses = None
    kafka.mend()
    sink.send(messages(set(), 120)[sink.sent :])
    sink.close()
    assert (sink.sent, sink.rejected) == (120, Counter())


def test_a_topic_that_is_deleted_and_made_again(kafka: Broker) -> None:
    sink = sink_of(kafka, dead_after_seconds=2.0)
    codes = [0]
    kafka.refuses = lambda size: codes[-1]
    sink.send([traced(INVITE)])
    codes.append(UNKNOWN_TOPIC)
    with pytest.raises(SinkError, match="kafka:"):
        sink.send([traced(INVITE)])
    assert (sink.sent, sink.rejected) == (1, Counter())
    admin = AdminClient(kafka.client())  # without a name it would end before its answer
    for done in admin.delete_topics([TOPIC]).values():
        done.result(10)
    with pytest.raises(SinkError, match="no such topic"):
        sink.send([traced(INVITE)])
    kafka.create(TOPIC, 3)
    codes.append(0)
    sink.send([traced(INVITE)])
    sink.close()
    assert (sink.sent, len(kafka.messages(TOPIC, 1))) == (2, 1)
