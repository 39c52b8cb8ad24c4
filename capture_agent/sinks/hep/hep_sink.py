"""Sends to Homer and other HEP collectors."""

from __future__ import annotations

from functools import partial

from capture_agent.config.targets import HepTarget
from capture_agent.net.make_sender import make_sender
from capture_agent.net.sender import Tally
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sinks.hep.hep_log import log_packet
from capture_agent.sinks.packet_sink import Packed, PacketSink
from hep.batch import Encoder

# As much as the encoder takes without growing: one packet of 65,535 bytes may still come on top.
ENOUGH = (1 << 18) - 65_535


class HepSink(PacketSink):
    """One HEP packet per message, and per log event.

    rejected   oversize: longer than 65,535 bytes as HEP, or than a datagram; it is never cut
    lost       refused: the collector's host said that nobody listens there
    """

    def __init__(self, target: HepTarget) -> None:
        tally = Tally()
        self._encoder = Encoder(
            target.version, target.capture_id, target.auth_key.encode(), target.node_name.encode(), target.vlan
        )
        sender = make_sender(target, tally)
        self._log_packet = partial(log_packet, target=target, sender=sender)
        super().__init__(str(target), self._packed, sender, tally)

    def _packed(self, batch: list[TracedMessage], first: int) -> Packed:
        self._encoder.clear()
        stop, too_long = fill(self._encoder, batch, first, ENOUGH, self._log_packet)
        return Packed(self._encoder.buffer, self._encoder.ends, stop, "oversize" if too_long else "")
