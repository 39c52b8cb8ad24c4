"""Workers of one group on a topic of Kafka: killed, joined by others, and with sinks that are down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from faults.kafka import Broker, broker
from sink_samples import INVITE, eventually

from capture_agent.cli.failures import WrongUsage
from capture_agent.cli.options import overrides
from capture_agent.config import load
from capture_agent.config.config_errors import ConfigError
from capture_agent.config.kafka_options import KafkaSourceSection
from capture_agent.sources.kafka_source import MOST_UNCOMMITTED, TOGETHER, KafkaSource
from capture_agent.sources.source import SourceError
from hep import Packet, encode

pytestmark = pytest.mark.once
CALLS, EACH = 10_000, 20  # 200,000 messages
PATIENCE = 60.0


def produce(one: Broker, first: int, calls: int) -> None:
    """The messages of these calls, all mixed, as HEP."""
    producer = Producer(one.client() | {"enable.idempotence": True, "linger.ms": 20, "compression.type": "lz4",
                                        "queue.buffering.max.messages": 500_000})  # fmt: skip
    packet = encode(Packet(source=b"\xc0\0\2\1", destination=b"\xc0\0\2\2", source_port=5060, destination_port=5060,
                           protocol=17, seconds=1_795_386_683, microseconds=1, protocol_type=1, capture_id=7,
                           payload=INVITE.replace(b"call-1", b"call-000000").replace(b"CSeq: 1 ", b"CSeq: 01 ")))  # fmt: skip
    for n in range(1, EACH + 1):
        for number in range(first, first + calls):
            value = packet.replace(b"call-000000", b"call-%06d" % number).replace(b"CSeq: 01 ", b"CSeq: %02d " % n)
            producer.produce("sip", value, b"call-%06d" % number)
        producer.poll(0)
    assert producer.flush(30) == 0


class Worker:
    """`capture-agent run` with a file of its own. `sink`: of the configuration."""

    def __init__(self, folder: Path, number: int, one: Broker, sink: str = "") -> None:
        self.file = folder / f"{number}.jsonl"
        self._log = folder / f"{number}.log"
        config = folder / f"{number}.toml"
        config.write_text(
            f'[[kafka_source]]\nbrokers = "{one.address}"\ntopic = "sip"\nsession_seconds = 6\n'
            + (sink or f'[[jsonl]]\nfile = "{self.file}"\nrotate_mib = 0\nmessage = false\n')
            + '[control]\nsocket = ""\n'
        )
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "capture_agent", "run", "--config", str(config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        assert self.process.returncode == 0, self.log()

    def log(self) -> str:
        return self._log.read_text()

    def size(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def lines(self) -> list[dict[str, Any]]:
        text = self.file.read_bytes() if self.file.exists() else b""
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


@contextmanager
def workers(*those: Worker) -> Iterator[tuple[Worker, ...]]:
    try:
        yield those
    finally:
        for one in those:
            one.process.kill()
            one.process.wait(10)


def steps(worker: Worker) -> dict[str, list[int]]:
    found = defaultdict(list)
    for line in worker.lines():
        found[line["call_id"]].append(line["cseq"])
    return found


def test_three_workers_of_which_one_is_killed(tmp_path: Path) -> None:
    """Two share the topic, a third comes, and one is killed. Each message is delivered, each call in order."""
    calls = 0

    def more(worker: Worker) -> bool:
        """Whether it has had some of what is produced meanwhile."""
        nonlocal calls
        produce(one, calls, 20)
        calls += 20
        time.sleep(0.3)
        return worker.size() > 0

    with broker(tmp_path) as one:
        one.create("sip", 6)
        with workers(Worker(tmp_path, 1, one), Worker(tmp_path, 2, one)) as (first, second):
            for worker in (first, second):
                eventually(lambda worker=worker: more(worker), PATIENCE)
            with workers(Worker(tmp_path, 3, one)) as (third,):
                eventually(lambda: more(third), PATIENCE)
                produce(one, calls, CALLS // 2 - 100 - calls)
                os.kill(first.process.pid, signal.SIGKILL)
                produce(one, CALLS // 2 - 100, 100)  # also to its partitions: committed, once others have them
                eventually(lambda: committed(one, 6) == CALLS // 2 * EACH, PATIENCE)
                produce(one, CALLS // 2, CALLS - CALLS // 2)
                eventually(lambda: committed(one, 6) == CALLS * EACH, PATIENCE)
                third.stop()
                second.stop()
    delivered, found = 0, [steps(worker) for worker in (first, second, third)]
    for calls_there in found:
        for call, numbers in calls_there.items():
            delivered += len(numbers)
            seen = list(dict.fromkeys(numbers))
            assert seen == sorted(seen), f"{call}: {numbers}"
    for number in range(CALLS):
        call = f"call-{number:06d}"
        assert {n for calls_there in found for n in calls_there.get(call, ())} == set(range(1, EACH + 1)), call
    # What a worker had not committed when it was killed, or lost partitions to another: others get it, too.
    assert delivered - CALLS * EACH <= 3 * (MOST_UNCOMMITTED + TOGETHER)
    # Once the others had its partitions, each call was at one worker.
    for number in range(CALLS // 2, CALLS):
        assert [len(calls_there.get(f"call-{number:06d}", ())) > 0 for calls_there in found].count(True) == 1


def test_nothing_is_committed_while_sinks_do_not_have_it(tmp_path: Path) -> None:
    """A worker whose collector is down, without a spool, is killed: the next one gets everything."""
    with broker(tmp_path) as one:
        one.create("sip", 2)
        produce(one, 0, 50)
        down = '[[hep]]\nuri = "hep+tcp:127.0.0.1:9"\n'
        with workers(Worker(tmp_path, 1, one, down)) as (first,):
            eventually(lambda: "refused" in first.log(), PATIENCE)
        with workers(Worker(tmp_path, 2, one)) as (second,):
            eventually(lambda: len(second.lines()) >= 50 * EACH, PATIENCE)
            second.stop()
    assert {(line["call_id"], line["cseq"]) for line in second.lines()} == {
        (f"call-{number:06d}", n) for number in range(50) for n in range(1, EACH + 1)
    }


def test_a_spool_is_enough(tmp_path: Path) -> None:
    """Then offsets are committed while the collector is down: the next worker of the group gets nothing of it."""
    with broker(tmp_path) as one:
        one.create("sip", 1)
        produce(one, 0, 50)
        down = f'[[hep]]\nuri = "hep+tcp:127.0.0.1:9"\n[spool]\ndirectory = "{tmp_path}/spool"\n'
        with workers(Worker(tmp_path, 1, one, down)) as (first,):
            eventually(lambda: committed(one, 1) == 50 * EACH, PATIENCE)
            first.process.kill()


def test_what_a_topic_cannot_take_is_spooled_and_drained(tmp_path: Path) -> None:
    """From one cluster to another, which is down at first: in order once it is there."""
    (tmp_path / "other").mkdir()
    with broker(tmp_path) as one, broker(tmp_path / "other") as other:
        one.create("sip", 1)
        other.create("out", 3)
        other.cut()
        produce(one, 0, 50)
        sink = f'[[kafka]]\nbrokers = "{other.address}"\ntopic = "out"\ndead_after_seconds = 2\n'
        with workers(Worker(tmp_path, 1, one, f'{sink}[spool]\ndirectory = "{tmp_path}/spool"\n')) as (worker,):
            eventually(lambda: committed(one, 1) == 50 * EACH, PATIENCE)
            other.mend()
            records = other.messages("out", 50 * EACH)
            worker.stop()
    found = defaultdict(list)
    for record in records:
        found[record.key()].append(int((record.value() or b"").partition(b"CSeq: ")[2].split()[0]))
    assert {call: list(dict.fromkeys(numbers)) for call, numbers in found.items()} == {
        b"call-%06d" % number: list(range(1, EACH + 1)) for number in range(50)
    }


def test_records_that_are_no_hep_do_no_harm(tmp_path: Path) -> None:
    """Empty, cut, huge, with strange keys and headers: the messages among them arrive, and the worker goes on."""
    with broker(tmp_path) as one:
        one.create("sip", 1)
        producer = Producer(one.client())
        for value in (None, b"", b"HEP3", b"HEP3\0\6", b"HEP3\xff\xff" + bytes(20), bytes(12), b"\x01\x10" * 6,
                      b"x" * 900_000, b"\x02\x10\x02\x11" + bytes(8)):  # fmt: skip
            producer.produce("sip", value, b"\xff\0", headers=[("schema", b"json-1"), ("\u00e9" * 200, b"\0" * 5000)])
        assert producer.flush(30) == 0
        produce(one, 0, 10)
        with workers(Worker(tmp_path, 1, one)) as (worker,):
            eventually(lambda: len(worker.lines()) == 10 * EACH, PATIENCE)
            worker.stop()
    assert "Traceback" not in worker.log()


def committed(one: Broker, partitions: int) -> int:
    """Records, of all partitions."""
    consumer = Consumer(one.client() | {"group.id": "capture-agent"})
    try:
        places = consumer.committed([TopicPartition("sip", n) for n in range(partitions)], timeout=5)
        return sum(max(0, place.offset) for place in places)
    finally:
        consumer.close()
        time.sleep(0.1)


def test_an_unknown_topic(tmp_path: Path) -> None:
    with broker(tmp_path) as one, pytest.raises(SourceError, match="no such topic"):
        KafkaSource(KafkaSourceSection((one.address,), "nix"), lambda: True, lambda: True)


def test_the_command_line_names_a_topic() -> None:
    said = overrides(capture_listen=["kafka:kafka1,kafka2:9093/sip?group=to-homer", "hep:127.0.0.1:9060"])
    assert said == {
        "kafka_source": [{"brokers": ["kafka1", "kafka2:9093"], "topic": "sip", "group": "to-homer"}],
        "capture": {"listen": ["hep:127.0.0.1:9060"]},
    }
    del said["capture"]
    [source] = load(None, {}, said).kafka_source
    assert source == KafkaSourceSection(("kafka1:9092", "kafka2:9093"), "sip", group="to-homer")


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        pytest.param("kafka:kafka1", "--listen: .*not empty", id="no topic"),
        pytest.param("kafka:/sip", "--listen: .*host", id="no broker"),
        pytest.param("kafka:kafka1/sip?grup=x", "--listen: unknown parameter", id="another option"),
    ],
)
def test_a_wrong_uri_of_a_topic(uri: str, problem: str) -> None:
    with pytest.raises((ConfigError, WrongUsage), match=problem):
        load(None, {}, overrides(capture_listen=[uri]))


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        pytest.param('[capture]\nlisten = ["hep:127.0.0.1:9060"]\n', "the only source", id="with another source"),
        pytest.param("[queue]\nmessages = 100\n", "kafka_source needs messages = 50000", id="a small queue"),
        pytest.param('topic = "a b"\n', "letters, digits", id="topic"),
        pytest.param('user = "x"\n', "sasl", id="a user without a mechanism"),
    ],
)
def test_what_is_refused(tmp_path: Path, more: str, problem: str) -> None:
    topic = "" if more.startswith("topic") else 'topic = "sip"\n'
    (tmp_path / "agent.toml").write_text(f'[[kafka_source]]\nbrokers = "kafka1"\n{topic}{more}')
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path / "agent.toml")
