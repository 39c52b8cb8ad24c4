"""Captures for some seconds with the agent's own sources and pipeline, so that it sees what the agent would see.

If a filter or a list of ports leaves something out, a second view captures without them, for comparison. Nothing is
sent, hooks are not called, and sources of packages are not read: reading from a queue would remove data.
"""

from __future__ import annotations

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from capture_agent.app.assembly import local_sides, make_pipeline, own_traffic
from capture_agent.app.capturing import open_interface
from capture_agent.app.extensions import Extensions
from capture_agent.config import Capture, Config
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.media_options import MediaSection
from capture_agent.doctor.sip_tally import SipTally
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.parallel import at_once
from capture_agent.pipeline import Pipeline
from capture_agent.policy.direction import LocalSide
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import FRAME_ROW, FRAME_TIME_NS, Frames
from capture_agent.records.traced import TracedMessage
from capture_agent.sources.interface_list import list_interfaces
from capture_agent.sources.live import LiveInterface
from capture_agent.sources.merge import Batch, merged
from capture_agent.sources.source import INTERFACE, KERNEL, Source, SourceError

MOST_MIB = 64  # of a buffer: a running agent has its own in addition
MOST_UNFILTERED = 500_000  # packets that the second view takes: it must not load the host
EARLIER = 0.3  # seconds that the second view ends before the first, so that it sees nothing more


@dataclass
class Observation:
    """What was seen. `packets`, `dropped` and `problems` are by interface; `dropped` also by place."""

    seconds: float = 0.0
    packets: Counter[str] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    promiscuous: set[str] = field(default_factory=set)
    sip: SipTally = field(default_factory=SipTally)
    unfiltered: SipTally | None = None  # None: nothing is left out
    traced: int = 0
    not_sip: Counter[str] = field(default_factory=Counter)  # payloads by kind
    cut: int = 0
    lag_ns: int | None = None  # the least time from a packet's timestamp until it was read

    def read(self, frames: Frames) -> None:
        lag = time.time_ns() - frames.index[(frames.count - 1) * FRAME_ROW + FRAME_TIME_NS]
        self.lag_ns = lag if self.lag_ns is None else min(lag, self.lag_ns)

    def note_traced(self, traced: Sequence[TracedMessage]) -> None:
        """SIP: HEP that a relay passes on has other kinds, too."""
        self.traced += sum(isinstance(one.message, CapturedMessage) for one in traced)


class View:
    """The interfaces through one configuration of capture. `note`: called with each batch's messages."""

    def __init__(self, capture: Capture, pipeline: Pipeline, note: Callable[[list[CapturedMessage]], None]) -> None:
        self.pipeline = pipeline
        self.packets: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self.sources: list[LiveInterface] = []
        self._note = note
        for name in capture.interfaces:
            try:
                self.sources.append(open_interface(capture, "", name))
            except SourceError as error:
                self.problems[name] = str(error).removeprefix(f"{name}: ")

    def follow(self, until: float, most: int = 0, read: Callable[[Frames], None] | None = None) -> None:
        """Capture until this time (monotonic) or until this many packets were read. Closes the sources."""
        taken = 0
        try:
            for source, frames in self._batches():
                if frames.count and source is not None:
                    if read is not None:
                        read(frames)
                    self.packets[source.name] += frames.count
                    self._note(self.pipeline.messages(frames))
                    taken += frames.count
                if time.monotonic() >= until or 0 < most <= taken:
                    break
            self._note(self.pipeline.last_messages())
        except SourceError as error:
            self._is_gone(None, error)
        finally:
            for source in self.sources:
                source.close()

    def _batches(self) -> Iterator[Batch]:
        if self.sources:
            with closing(merged(self.sources, self._is_gone, None, True)) as batches:
                yield from batches

    def _is_gone(self, source: Source | None, error: SourceError | None) -> None:
        if error is not None:
            name, _, text = str(error).partition(": ")
            self.problems[source.name if source is not None else name] = text


def observe(config: Config, extensions: Extensions, interfaces: list[str], seconds: float, seen: Observation) -> None:
    """Fill in `seen`, which may be read before the end."""
    if not interfaces:
        return
    seen.seconds = seconds
    side = LocalSide(local_sides(config))
    without = replace(config, media=MediaSection())  # SIP is what is looked for
    pipeline = make_pipeline(without, replace(extensions, hooks=()), ConfiguredSinks(config), own_traffic(config))

    def note(messages: list[CapturedMessage]) -> None:
        seen.sip.add(messages, side)
        seen.note_traced(pipeline.trace(messages))

    mib = min(config.capture.buffer_mib, MOST_MIB)
    capture = replace(config.capture, interfaces=tuple(interfaces), buffer_mib=mib)
    before = missed_by_card()
    view = View(capture, pipeline, note)
    seen.problems |= view.problems
    seen.opened = {source.name for source in view.sources}
    seen.promiscuous = {one.name for one in list_interfaces() if one.promiscuous}
    until = time.monotonic() + seconds + EARLIER
    actions = [lambda: view.follow(until, read=seen.read)]
    if (capture.filter or capture.ports) and view.sources:
        others = frozenset(duplicates(config))
        seen.unfiltered = tally = SipTally(others)
        plain = replace(capture, filter="", ports=(), interfaces=tuple(source.name for source in view.sources))
        whole = View(plain, Pipeline(plain, own=own_traffic(config)), lambda messages: tally.add(messages, side))
        actions.append(lambda: whole.follow(until - EARLIER, MOST_UNFILTERED))
    try:
        at_once(actions)
    finally:
        SOCKETS.wanted = False
        note_end(seen, view, before)


def note_end(seen: Observation, view: View, before: dict[str, int]) -> None:
    seen.packets += view.packets
    seen.problems |= view.problems
    for source in view.sources:
        # Packets left at the stop are not lost; libpcap counts packets that no protocol wanted for the interface.
        seen.dropped.update({(source.name, KERNEL): source.dropped().get(KERNEL, 0)})
    for name, missed in missed_by_card().items():
        if name in seen.opened:
            seen.dropped[name, INTERFACE] = missed - before.get(name, missed)
    seen.dropped = +seen.dropped
    for ledger in view.pipeline.ledgers():
        if ledger.name == "messages":
            seen.not_sip.update({kind: count for kind, count in ledger.rejected.items() if count})
        elif ledger.name == "frames":
            seen.cut += ledger.rejected.get("cut", 0)
    seen.cut += view.pipeline.problems().get("truncated", 0)


def missed_by_card() -> dict[str, int]:
    return {one.name: one.missed for one in list_interfaces()}


def duplicates(config: Config) -> Iterator[tuple[bytes, int]]:
    """Destinations of SIP copies, which a filter rightly leaves out."""
    for target in config.sip:
        with suppress(OSError, UnicodeError):
            for *_, address in socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM):
                yield ip_address(str(address[0]).partition("%")[0]).packed, target.port
