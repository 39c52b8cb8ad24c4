"""Answers before a broker: it refuses what clients produce, as brokers of Kafka do with a code of their protocol.

Tansu accepts records of any length, and for topics that were deleted.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from faults.kafka_sign_in import exactly, read_frame

PRODUCE = 0
UNKNOWN_TOPIC, MESSAGE_TOO_LARGE, INVALID_RECORD = 3, 10, 87
FLEXIBLE = 9  # from this version of Produce on, as librdkafka sends it

# Of the bytes of a batch of records: the code with which it is refused; 0: the broker gets it.
Refuses = Callable[[int], int]


def answer_for(client: socket.socket, server: socket.socket, refuses: Refuses) -> None:
    """One request after the other, until a connection ends. Raises OSError."""
    while True:
        frame = read_frame(client)
        produced = Produced(frame) if struct.unpack("!h", frame[:2])[0] == PRODUCE else None
        if produced is not None and (code := refuses(produced.size)):
            answer = produced.refused(code)
        else:
            server.sendall(struct.pack("!i", len(frame)) + frame)
            answer = exactly(server, struct.unpack("!i", exactly(server, 4))[0])
        client.sendall(struct.pack("!i", len(answer)) + answer)


class Produced:
    """A request with records for one partition, which is what librdkafka sends. `size`: of its records."""

    def __init__(self, frame: bytes) -> None:
        _, version, self._number, length = struct.unpack_from("!hhih", frame)
        assert version >= FLEXIBLE
        self._frame = frame
        self._at = 10 + length + 1  # no tags
        self._bytes()  # the transactional id
        self._at += 6  # acks, timeout
        topics = self._varint() - 1
        self._topic = self._bytes()
        partitions = self._varint() - 1
        assert (topics, partitions) == (1, 1)
        (self._partition,) = struct.unpack_from("!i", frame, self._at)
        self._at += 4
        self.size = len(self._bytes())

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._frame[self._at]
            self._at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def _bytes(self) -> bytes:
        length = max(0, self._varint() - 1)
        self._at += length
        return self._frame[self._at - length : self._at]

    def refused(self, code: int) -> bytes:
        """Without a message of its own, tags, and errors of single records."""
        partition = struct.pack("!ihqqq", self._partition, code, -1, -1, -1) + b"\1\0\0"
        topic = b"\2" + bytes((len(self._topic) + 1,)) + self._topic + b"\2" + partition + b"\0"
        return struct.pack("!i", self._number) + b"\0" + topic + bytes(4) + b"\0"
