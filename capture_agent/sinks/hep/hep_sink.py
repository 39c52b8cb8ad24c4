"""Sends to Homer and other HEP collectors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from capture_agent.config.targets import HepTarget
from capture_agent.net.make_sender import make_sender
from capture_agent.net.sender import OVERSIZE, PacketTally
from capture_agent.net.tcp_sender import KeepAlive
from capture_agent.records.kinds import ALL_KINDS
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sinks.hep.hep_other import other_packet
from capture_agent.sinks.packet_sink import Packed, PacketSink
from hep.batch import Encoder

# The encoder holds this much without growing, plus one packet of 65,535 bytes.
ENOUGH = (1 << 18) - 65_535

Fill = Callable[[Encoder, list[TracedMessage], int, int, Callable[[TracedMessage], bytes]], tuple[int, bool]]


class HepSink(PacketSink):
    """One HEP packet per message of any kind.

    rejected   oversize: longer than 65,535 bytes as HEP, or than a datagram; it is never cut
    lost       refused: the collector's host reported a closed port
    """

    kinds = ALL_KINDS

    def __init__(self, target: HepTarget) -> None:
        tally = PacketTally()
        self._encoder = encoder_of(target)
        keep_alive = None
        if target.keep_alive_seconds:
            from capture_agent.sinks.hep.keep_alive import keep_alive_packet

            keep_alive = KeepAlive(target.keep_alive_seconds, partial(keep_alive_packet, target))
        sender = make_sender(target, tally, keep_alive)
        self._other_packet = partial(other_packet, target=target, endpoints=sender.endpoints)
        self._fill: Fill = fill
        if target.compress:
            from capture_agent.sinks.hep.hep_compressed import Compressing

            self._fill = Compressing(encoder_of(target))
        super().__init__(str(target), self._packed, sender, tally)

    def _packed(self, batch: list[TracedMessage], first: int, needed: memoryview | None) -> Packed:
        self._encoder.clear(needed)
        stop, too_long = self._fill(self._encoder, batch, first, ENOUGH, self._other_packet)
        return Packed(self._encoder.buffer, self._encoder.ends, stop, OVERSIZE if too_long else "")


def encoder_of(target: HepTarget) -> Encoder:
    return Encoder(target.version, target.capture_id, target.auth_key.encode(), target.node_name.encode(), target.vlan)
