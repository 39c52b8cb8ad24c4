"""What a record of Kafka holds: the key decides the partition, so that a partition has all of a call, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from capture_agent.config.kafka_options import KafkaTarget
from capture_agent.config.targets import HepTarget
from capture_agent.net.connecting import Endpoint
from capture_agent.records.call_key import call_key
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sinks.hep.hep_other import other_packet
from capture_agent.sinks.kafka.homer_columns import SCHEMA, json_value
from hep.batch import Encoder

ENOUGH = (1 << 18) - 65_535  # of the encoder's buffer
NOWHERE: Endpoint = (bytes(4), 0)  # both ends of what has no addresses

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    key: bytes | None
    value: bytes
    headers: Headers

    @property
    def size(self) -> int:
        return len(self.value) + len(self.key or b"")


class Records:
    """Makes the records of a target's messages."""

    def __init__(self, target: KafkaTarget) -> None:
        self._by_leg = target.key == "correlation_id"
        self._capture_id, self._node = target.capture_id, target.node_name
        self._schema = b"hep3" if target.format == "hep" else b"json-%d" % SCHEMA
        self._headers = self._said(target.capture_id, target.node_name.encode())
        self._values: Callable[[list[TracedMessage]], Iterator[bytes]] = self._json
        if target.format == "hep":
            as_hep = HepTarget("0.0.0.0", capture_id=target.capture_id, node_name=target.node_name, transport="tcp")
            self._encoder = Encoder(3, target.capture_id, b"", target.node_name.encode())
            self._other = partial(other_packet, target=as_hep, endpoints=lambda: (NOWHERE, NOWHERE))
            self._values = self._hep

    def of(self, batch: list[TracedMessage]) -> Iterator[Record | None]:
        """One for each message, in order. None: HEP cannot hold it."""
        for one, value in zip(batch, self._values(batch), strict=True):
            yield Record(call_key(one, self._by_leg) or None, value, self._headers_of(one)) if value else None

    def _headers_of(self, one: TracedMessage) -> Headers:
        origin = one.message.origin
        if origin is None:
            return self._headers
        number = self._capture_id if origin.capture_id is None else origin.capture_id
        return self._said(number, origin.node or self._node.encode())

    def _said(self, capture_id: int, node: bytes) -> Headers:
        return [("schema", self._schema), ("capture_id", b"%d" % capture_id), ("node", node)]

    def _json(self, batch: list[TracedMessage]) -> Iterator[bytes]:
        return (json_value(one, self._capture_id, self._node) for one in batch)

    def _hep(self, batch: list[TracedMessage]) -> Iterator[bytes]:
        at = 0
        while at < len(batch):
            self._encoder.clear()
            at, too_long = fill(self._encoder, batch, at, ENOUGH, self._other)
            begin = 0
            packets, ends = bytes(self._encoder.buffer), self._encoder.ends
            for end in ends:
                yield packets[begin:end]
                begin = end
            if too_long:
                at += 1
                yield b""
