"""What is changed in everything that is emitted, whatever traced it: masks, and addresses shown as others.

Rules and directions look at what was on the wire; this comes behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from capture_agent.config.advertised import Advertised
from capture_agent.config.sections import Config
from capture_agent.policy.privacy import masker
from capture_agent.policy.rewriting import rewritten
from capture_agent.records import LOG_PAYLOAD, CapturedMessage, Direction, TracedMessage

Emission = Callable[[list[TracedMessage]], list[TracedMessage]]
Change = Callable[[CapturedMessage, Direction], CapturedMessage]
Shown = tuple[bytes, int | None]


def emission(config: Config) -> Emission | None:
    """None when nothing is to be changed: then it costs nothing."""
    changes: list[Change] = []
    if config.privacy.mask:
        mask = masker(config.privacy.mask, config.privacy.hash_key.encode())
        changes.append(lambda message, direction: mask(message))
    if config.trace.advertise:
        changes.append(AddressMap(config.trace.advertise).shown)
    return Changes(changes) if changes else None


class Changes:
    """Calls each of them, once for a message that several traces have."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._changes = tuple(changes)

    def __call__(self, traced: list[TracedMessage]) -> list[TracedMessage]:
        changed = []
        last = new = None
        for one in traced:
            if one.trace.payload_type == LOG_PAYLOAD:
                changed.append(one)  # no message, and of no address
                continue
            if last is None or one.message is not last:
                last = new = one.message
                for change in self._changes:
                    new = change(new, one.direction)
            changed.append(
                one if new is last or new is None else TracedMessage(new, one.direction, one.trace, one.sinks)
            )
        return changed


class AddressMap:
    """siptrace's trace_local_ip and data_mode, for a server seen from outside.

    An address that is listed is shown so on either side; `*` is the server's side, which the direction tells.
    """

    def __init__(self, advertised: Iterable[Advertised]) -> None:
        self._shown: dict[tuple[str, bytes, int | None], Shown] = {}
        for one in advertised:
            # `*` stands for any address of the family: its key has the length alone.
            real = bytes(len(one.shown.packed) + 1) if one.real is None else one.real.packed
            self._shown[one.transport, real, one.real_port] = (one.shown.packed, one.shown_port)

    def shown(self, message: CapturedMessage, direction: Direction) -> CapturedMessage:
        datagram = message.datagram
        transport = datagram.transport
        source = self._find(transport, datagram.source, datagram.source_port, direction is Direction.OUT)
        destination = self._find(transport, datagram.destination, datagram.destination_port, direction is Direction.IN)
        if source is None and destination is None:
            return message
        return rewritten(
            message,
            source=source and source[0],
            source_port=source and source[1],
            destination=destination and destination[0],
            destination_port=destination and destination[1],
        )

    def _find(self, transport: str, address: bytes, port: int, is_local: bool) -> Shown | None:
        """What it is shown as; the most exact entry counts."""
        anyone = bytes(len(address) + 1)
        for real in (address, anyone) if is_local else (address,):
            for real_port in (port, None):
                for over in (transport, ""):
                    found = self._shown.get((over, real, real_port))
                    if found is not None:
                        return found
        return None
