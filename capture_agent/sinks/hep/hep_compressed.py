"""HEP packets with a compressed payload, of every kind of message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from hep import HLOG_ORDER, SIP_ORDER, decode, encode
from hep.batch import Encoder


class Compressing:
    """Fills an encoder as `fill` does, with the packets that `plain`, another encoder, makes of the messages.

    A message that is too long without compression is too long: a receiver would have to inflate more than a packet
    holds.
    """

    def __init__(self, plain: Encoder) -> None:
        self._plain = plain

    def __call__(
        self,
        encoder: Encoder,
        batch: list[TracedMessage],
        first: int,
        enough: int,
        packet_of: Callable[[TracedMessage], bytes],
    ) -> tuple[int, bool]:
        for at in range(first, len(batch)):
            if encoder.used >= enough:
                return at, False
            self._plain.clear()
            _, too_long = fill(self._plain, batch[at : at + 1], 0, enough, packet_of)
            if too_long:
                return at, True
            is_sip = type(batch[at].message) is CapturedMessage
            encoder.append(compressed(bytes(self._plain.buffer), is_sip))
        return len(batch), False


def compressed(plain: bytes, is_sip: bool) -> bytes:
    """The packet with its payload compressed, or as it is if that saves nothing."""
    packet = encode(replace(decode(plain), compressed=True), order=SIP_ORDER if is_sip else HLOG_ORDER)
    return packet if len(packet) < len(plain) else plain
