"""To Homer and other HEP collectors."""

from __future__ import annotations

import ssl

from capture_agent.config.targets import HepTarget
from capture_agent.records import TracedMessage
from capture_agent.sinks.hep_batch import fill
from capture_agent.sinks.packets import Packed, PacketSink, Sender, Tally
from capture_agent.sinks.sink import SinkError
from capture_agent.sinks.tcp import TcpSender
from capture_agent.sinks.udp import UdpSender
from hep.batch import Encoder

# As much as the encoder takes without growing: one packet of 65,535 bytes may still come on top.
ENOUGH = (1 << 18) - 65_535


class HepSink(PacketSink):
    """One HEP packet per message.

    rejected   oversize: longer than 65,535 bytes as HEP, or than a datagram; it is never cut
    lost       refused: the collector's host said that nobody listens there
    """

    def __init__(self, target: HepTarget) -> None:
        tally = Tally()
        self._encoder = Encoder(
            target.version, target.capture_id, target.auth_key.encode(), target.node_name.encode(), target.vlan
        )
        super().__init__(str(target), self._packed, make_sender(target, tally), tally)

    def _packed(self, batch: list[TracedMessage], first: int) -> Packed:
        self._encoder.clear()
        stop, too_long = fill(self._encoder, batch, first, ENOUGH)
        return Packed(self._encoder.buffer, self._encoder.ends, stop, too_long)


def make_sender(target: HepTarget, tally: Tally) -> Sender:
    name, host, port = str(target), target.host, target.port
    if target.transport == "udp":
        return UdpSender(name, host, port, tally)
    return TcpSender(name, host, port, tally, tls_context(target) if target.transport == "tls" else None)


def tls_context(target: HepTarget) -> ssl.SSLContext:
    """Certificate and host name are checked unless the target says otherwise. Raises SinkError: no such file."""
    try:
        context = ssl.create_default_context(cafile=target.tls_ca or None)
    except OSError as error:
        raise SinkError(f"{target}: tls_ca: {target.tls_ca}: not a file of certificates") from error
    if not target.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
