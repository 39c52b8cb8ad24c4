"""Records of Kafka that wait for an acknowledgement."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from measuring import documented, held_mib, main

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

pytestmark = pytest.mark.once


def a_batch_for_kafka() -> object:
    """Nobody acknowledges it: the sink is left as it was within `send`."""
    from faults.peers import Silent
    from sink_samples import batch_of

    from capture_agent.config.kafka_options import KafkaTarget
    from capture_agent.net.sink_errors import SinkError
    from capture_agent.sinks.kafka import kafka_sink

    held: list[object] = []
    kafka_sink.find_topic = lambda *arguments: None
    kafka_sink.KafkaSink._wait = lambda self, *waiting: held.append(waiting)  # type: ignore[method-assign]
    kafka_sink.KafkaSink._failed = lambda self, text: SinkError(text)  # type: ignore[method-assign]
    peer = Silent().__enter__()
    sink = kafka_sink.KafkaSink(KafkaTarget((f"127.0.0.1:{peer.port}",), "sip"))
    batch = batch_of(kafka_sink.TOGETHER, size=1600)
    with suppress(SinkError):
        sink.send(batch)
    return sink, held, peer


def records_read_ahead() -> object:
    """Long ones, of which a batch was taken."""
    import os
    import tempfile
    import time

    from confluent_kafka import Producer
    from faults.kafka import broker

    from capture_agent.config.kafka_options import KafkaSourceSection
    from capture_agent.sources.kafka_source import KafkaSource

    folder = tempfile.TemporaryDirectory()
    with broker(Path(folder.name)) as one:
        one.create("sip", 4)
        producer = Producer(one.client())
        for n in range(2500):
            producer.produce("sip", os.urandom(60_000), b"%d" % n)
        producer.flush(30)
        del producer
        options = KafkaSourceSection((one.address,), "sip", session_seconds=6)
        source = KafkaSource(options, lambda: False, lambda: True)
        batches = source.batches()
        deadline = time.monotonic() + 30
        while not (frames := next(batches)).count:
            assert time.monotonic() < deadline
        time.sleep(2)
    return source, batches, frames


CASES = {
    "records of Kafka read ahead": records_read_ahead,
    "a batch for Kafka": a_batch_for_kafka,
}


@pytest.mark.parametrize("case", CASES)
def test_memory(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
