"""Whether the HEP packet of a message is longer than a datagram may be."""

from __future__ import annotations

from functools import partial

from capture_agent.config.targets import HepTarget
from capture_agent.net.connecting import Endpoint
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_batch import fill
from capture_agent.sinks.hep.hep_other import other_packet
from capture_agent.sinks.hep.hep_sink import Fill, encoder_of

NUMBERS = 256  # bytes of the chunks with addresses, ports, times and numbers, and of all headers
NOWHERE: Endpoint = (bytes(16), 0)


class HepSize:
    """Makes the packet if it might be longer. The addresses of a message that has none count as IPv6."""

    def __init__(self, target: HepTarget) -> None:
        self._encoder = encoder_of(target)
        self._besides = NUMBERS + len(target.auth_key.encode()) + len(target.node_name.encode())
        self._other_packet = partial(other_packet, target=target, endpoints=lambda: (NOWHERE, NOWHERE))
        self._fill: Fill = fill
        if target.compress:
            from capture_agent.sinks.hep.hep_compressed import Compressing

            self._fill = Compressing(encoder_of(target))

    def __call__(self, traced: TracedMessage, most: int) -> bool:
        message, origin = traced.message, traced.message.origin
        size = message.sip.end - message.sip.start if isinstance(message, CapturedMessage) else len(message.raw)
        size += len(traced.trace.correlation_id) + self._besides
        if origin is not None:
            size += len(origin.node) + len(origin.correlation_id)
        if size <= most:
            return False
        self._encoder.clear()
        _, too_long = self._fill(self._encoder, [traced], 0, 1, self._other_packet)
        return too_long or self._encoder.used - self._encoder.start > most
