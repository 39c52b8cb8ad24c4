"""Changes everything that is emitted, whatever traced it: masks and address rewriting.

It runs after rules and directions, which use what was on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

from capture_agent.config.endpoints import Advertised
from capture_agent.config.rule_options import joined
from capture_agent.config.sections import Config, Privacy
from capture_agent.emission.privacy import masker
from capture_agent.emission.rewriting import rewritten
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.kinds import Captured, RtcpReport, RtpReport
from capture_agent.records.traced import TracedMessage

Emission = Callable[[list[TracedMessage]], list[TracedMessage]]
Change = Callable[[CapturedMessage, Direction], CapturedMessage]
Shown = tuple[bytes, int | None]
Masks = tuple[str, ...]

SDES_ITEMS = {"sdes_information", "sdes_report_count"}


def emission(config: Config) -> Emission | None:
    """None if nothing is to be changed: then it costs nothing."""
    if not (config.privacy.mask or config.trace.advertise or any(rule.mask for rule in config.rule)):
        return None
    addresses = AddressMap(config.trace.advertise) if config.trace.advertise else None
    return Changes(config.privacy, addresses)


class Changes:
    """The changed messages, by the masks of their traces; done once for a message's traces with the same masks."""

    def __init__(self, privacy: Privacy, addresses: AddressMap | None = None) -> None:
        self._privacy = privacy
        self._addresses = addresses
        self._known: dict[Masks, tuple[Change, ...]] = {}  # at most one per set of masks

    def _for(self, masks: Masks) -> tuple[Change, ...]:
        if masks not in self._known:
            self._known[masks] = tuple(self._made(joined(self._privacy.mask, masks)))
        return self._known[masks]

    def _made(self, masks: Masks) -> Iterator[Change]:
        if masks:
            mask = masker(masks, self._privacy.hash_key.encode())
            yield lambda message, direction: mask(message)
        if self._addresses is not None:
            yield self._addresses.shown

    def __call__(self, traced: list[TracedMessage]) -> list[TracedMessage]:
        changed = []
        last: CapturedMessage | None = None
        done: dict[Masks, CapturedMessage] = {}
        for one in traced:
            message = one.message
            if not isinstance(message, CapturedMessage):
                other = self._other(message, one.trace.masks)
                changed.append(one if other is message else TracedMessage(other, one.direction, one.trace, one.sinks))
                continue
            masks = one.trace.masks
            if message is not last:
                last, done = message, {}
            if masks not in done:
                done[masks] = message
                for change in self._for(masks):
                    done[masks] = change(done[masks], one.direction)
            new = done[masks]
            changed.append(one if new is last else TracedMessage(new, one.direction, one.trace, one.sinks))
        return changed

    def _other(self, message: Captured, masks: Masks) -> Captured:
        """All other masks apply to SIP only; rewriting to reports of media, too."""
        if isinstance(message, RtcpReport) and joined(self._privacy.mask, masks):
            message = without_names(message)
        if isinstance(message, RtcpReport | RtpReport) and self._addresses is not None:
            message = self._addresses.shown_report(message)
        return message


def without_names(report: RtcpReport) -> RtcpReport:
    """Without the items of SDES, such as a canonical name, which is often user@host."""
    try:
        found = json.loads(report.raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not found.keys() & SDES_ITEMS:
        return report
    payload = json.dumps({name: value for name, value in found.items() if name not in SDES_ITEMS}).encode()
    return RtcpReport(report.datagram.with_payload(payload), report.origin, report.seen_ns)


class AddressMap:
    """siptrace's trace_local_ip and data_mode, for a server seen from outside.

    A listed address is replaced on either side; `*` means the server's side, by the direction.
    """

    def __init__(self, advertised: Iterable[Advertised]) -> None:
        self._shown: dict[tuple[str, bytes, int | None], Shown] = {}
        for one in advertised:
            # `*` means any address of the family: its key is only the length.
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

    def shown_report(self, report: RtcpReport | RtpReport) -> Captured:
        """Listed addresses only, and its own ports: media has others than SIP, and `*` knows only where SIP goes."""
        datagram = report.datagram
        ends = ((datagram.source, datagram.source_port), (datagram.destination, datagram.destination_port))
        found = [self._find(datagram.transport, *end, is_local=False) for end in ends]
        if not any(found):
            return report
        addresses = b"".join(end[0] if shown is None else shown[0] for end, shown in zip(ends, found, strict=True))
        data = addresses + datagram.payload
        changed = datagram.carrying(data, len(addresses), len(data))
        return type(report)(changed, report.origin, report.seen_ns)

    def _find(self, transport: str, address: bytes, port: int, is_local: bool) -> Shown | None:
        """Its replacement; the most specific entry counts."""
        anyone = bytes(len(address) + 1)
        for real in (address, anyone) if is_local else (address,):
            for real_port in (port, None):
                for over in (transport, ""):
                    found = self._shown.get((over, real, real_port))
                    if found is not None:
                        return found
        return None
