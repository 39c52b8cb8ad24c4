"""A broker of Kafka on loopback: Tansu, which keeps everything in memory. Clients reach it through a proxy.

Broker   starts it; `kill` and `restart`: topics and records are gone, as with a broker that has lost its disk
         `cut`: connections of agents break, and new ones are refused; others go on. `mend`: no longer
         `mute`: agents get no answers any more, what they send arrives; until `mend`
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from faults.kafka_answers import Refuses, answer_for
from faults.kafka_sign_in import Accepts, sign_in
from faults.peers import server_context

from benchmarks.tansu import Tansu

AGENT = b"capture-agent"  # the client id in the first request of a connection
SILENCE = 0.4  # seconds: a topic that gives nothing for so long was read to its end


class Broker:
    """`address`: where clients connect. `arguments`: options of Tansu."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._server = Tansu(folder / "broker.log", *arguments, advertised=self.address)
        self._agents: set[socket.socket] = set()
        self._is_cut = self._is_mute = False
        self._lock = threading.Lock()
        self.tls: Path | None = None  # the certificate for clients that connect from now on
        self.accepts: Accepts | None = None  # of clients that connect from now on: they must sign in
        self.refuses: Refuses | None = None  # of what agents produce that connect from now on
        self.start()
        threading.Thread(target=self._accept, daemon=True).start()

    def start(self) -> None:
        self._server.start()

    def kill(self) -> None:
        self._server.kill()

    def restart(self, topic: str, partitions: int) -> None:
        """Without what it had."""
        self.kill()
        self.start()
        self.create(topic, partitions)

    def close(self) -> None:
        self.kill()
        self._listener.close()
        self.cut()

    def create(self, topic: str, partitions: int = 1) -> None:
        admin = AdminClient(self.client())
        for done in admin.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)]).values():
            done.result(10)

    def client(self) -> dict[str, object]:
        return {"bootstrap.servers": self.address, "client.id": "test", "log_level": 0}

    def messages(self, topic: str, least: int = 0, seconds: float = 60) -> list[Message]:
        """All that the topic has now, partition after partition. `least`: so many are there, or will be soon."""
        consumer = Consumer(self.client() | {"group.id": "reader", "isolation.level": "read_uncommitted"})
        found: list[Message] = []
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, one, 0) for one in partitions])
            deadline = time.monotonic() + seconds
            last = time.monotonic() + SILENCE
            # Tansu's high watermark is one too low after a batch of several records: it cannot say how many there are.
            while time.monotonic() < (deadline if len(found) < least else min(deadline, last + SILENCE)):
                if some := [one for one in consumer.consume(10_000, 0.1) if one.error() is None]:
                    found += some
                    last = time.monotonic()
        finally:
            consumer.close()
        return sorted(found, key=lambda one: (one.partition(), one.offset()))

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for client in self._agents:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def mute(self) -> None:
        self._is_mute = True

    def mend(self) -> None:
        with self._lock:
            self._is_cut = self._is_mute = False

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.tls is not None:
            try:
                client = server_context(self.tls).wrap_socket(client, server_side=True)
            except OSError:  # it does not accept the certificate
                return
        with client, suppress(OSError):
            if self.accepts is not None:
                with socket.create_connection(("127.0.0.1", self._server.port), 5) as server:
                    if sign_in(client, server, self.accepts):
                        self._join(client, server)
                return
            first = client.recv(1 << 16, socket.MSG_PEEK if self.refuses is not None else 0)
            with self._lock:
                if AGENT in first:
                    self._agents.add(client)
                    if self._is_cut:
                        return
            with socket.create_connection(("127.0.0.1", self._server.port), 5) as server:
                if AGENT in first and self.refuses is not None:
                    answer_for(client, server, lambda size: self.refuses(size) if self.refuses is not None else 0)
                    return
                server.sendall(first)
                self._join(client, server, lambda: self._is_mute)
        with self._lock:
            self._agents.discard(client)

    def _join(self, client: socket.socket, server: socket.socket, is_mute: Callable[[], bool] = lambda: False) -> None:
        back = threading.Thread(target=copy, args=(server, client, is_mute), daemon=True)
        back.start()
        copy(client, server)
        back.join(10)


def copy(source: socket.socket, destination: socket.socket, is_mute: Callable[[], bool] = lambda: False) -> None:
    """A connection on which something was not said is of no use after that."""
    has_gap = False
    with suppress(OSError):
        while data := source.recv(1 << 18):
            has_gap = has_gap or is_mute()
            if not has_gap:
                destination.sendall(data)
    for one in (source, destination):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@contextmanager
def broker(folder: Path, *arguments: str) -> Iterator[Broker]:
    one = Broker(folder, *arguments)
    try:
        yield one
    finally:
        one.close()
