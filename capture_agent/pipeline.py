"""The complete data path between a source and the sinks' outboxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from capture_agent.books import Ledger
from capture_agent.config import Capture, Correlate
from capture_agent.correlate.correlator import Correlator
from capture_agent.emission.emission import Emission
from capture_agent.intake.copies import DuplicateFilter
from capture_agent.intake.own_traffic import OwnTraffic
from capture_agent.intake.payloads import Intake
from capture_agent.intake.ports import PortFilter
from capture_agent.intake.restore import Restorer
from capture_agent.packet.decode import PacketDecoder
from capture_agent.packet.link_type_names import named
from capture_agent.packet.outer_headers import identification, way
from capture_agent.packet.rejects import Reject
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames
from capture_agent.records.traced import TracedMessage
from capture_agent.sip.problems import Problem, Stranger
from capture_agent.streams.streams import Streams

# Fragments of datagrams that another one completes, or may yet complete.
WITHIN_A_DATAGRAM = ("joined", "waiting")
CHUNK_OUTCOMES = ("delivered", "joined", "duplicate", "control", "waiting")


class Pipeline:
    """Packets in, messages to trace out. Holds all state of one source; nothing here does I/O or reads the clock."""

    def __init__(
        self,
        capture: Capture | None = None,
        policy: Policy | None = None,
        correlator: Correlator | None = None,
        emission: Emission | None = None,
        correlate: Correlate | None = None,
        own: OwnTraffic | None = None,
    ) -> None:
        capture = capture or Capture()
        self.packets = PacketDecoder(capture.esp_null)
        self.own = own
        self.ports = PortFilter(capture.ports) if capture.ports else None
        self.streams = Streams()
        self.intake = Intake()
        self.duplicates = DuplicateFilter(capture.copies_ms * 10**6, identification, way) if capture.copies_ms else None
        self.restorer = Restorer() if capture.x_headers else None
        self.policy = policy or Policy()
        follows = self.policy.settings.follows_calls
        self.correlator = correlator or (Correlator.configured(correlate or Correlate()) if follows else None)
        self.emission = emission

    def process(self, frames: Frames) -> list[TracedMessage]:
        return self.trace(self.messages(frames))

    def trace(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """What is traced of them, as it is to be emitted."""
        if self.policy.settings.asks_others:
            traced = self._one_by_one(messages)
        else:
            traced = self.policy.decide(self.correlated(messages))
        return self.emission(traced) if self.emission is not None else traced

    def _one_by_one(self, messages: list[CapturedMessage]) -> list[TracedMessage]:
        """Code of others is told how a transaction stands at this message, not at the end of the batch."""
        correlated, decide = self.correlated, self.policy.decide
        traced: list[TracedMessage] = []
        for message in messages:
            traced += decide(correlated([message]))
        return traced

    def messages(self, frames: Frames) -> list[CapturedMessage]:
        """All SIP that is in these frames."""
        packets = self.packets.decode(frames)
        if self.own is not None:
            packets = self.own.others(packets)
        if self.ports is not None:
            packets = self.ports.chosen(packets)
        datagrams = self.streams.messages(packets)
        return self._accepted(datagrams)

    def begin(self) -> None:
        """Another capture comes now, perhaps the same one again: none of it is a copy of what was before."""
        if self.duplicates is not None:
            self.duplicates.forget()

    def _accepted(self, datagrams: list[Datagram]) -> list[CapturedMessage]:
        messages = self.intake.accept(datagrams)
        if self.duplicates is not None:
            messages = self.duplicates.kept(messages)
        return messages if self.restorer is None else self.restorer.restore(messages)

    def correlated(self, messages: list[CapturedMessage]) -> list[CapturedMessage]:
        """The same messages, which know now what they belong to."""
        if self.correlator is not None:
            self.correlator.observe(messages)
        return messages

    def close(self) -> list[TracedMessage]:
        """The capture has ended: what was still waiting for packets that were never seen."""
        traced = self.trace(self.last_messages())
        self.policy.close()
        return traced

    def restart(self) -> list[TracedMessage]:
        """The same capture comes once more: nothing of it belongs to what was before. What was still waiting."""
        traced = self.close()
        self.packets.fragments.forget()
        self.streams.sctp.forget()
        if self.correlator is not None:
            self.correlator.close()
        return traced

    def last_messages(self) -> list[CapturedMessage]:
        return self._accepted(self.streams.close())

    def read(self, capture: Iterable[Frames]) -> Iterator[list[CapturedMessage]]:
        """All messages of a capture, up to its end or to where it is damaged: then what it raises is raised."""
        try:
            for frames in capture:
                yield self.messages(frames)
        except Exception:
            yield self.last_messages()
            raise
        yield self.last_messages()

    def ledgers(self, dropped: Mapping[str, int] | None = None) -> list[Ledger]:
        """The accounts so far. `dropped`: packets lost before us, by place."""
        rejected = Counter({stranger.name.lower(): self.intake.rejected[stranger] for stranger in Stranger})
        if self.restorer is not None:
            rejected.update(self.restorer.rejected())
        payloads = Ledger(
            "messages",
            seen=self.intake.seen,
            outcomes=dict(self._decided()),
            rejected=rejected,
        )
        calls = self.correlator.ledgers() if self.correlator is not None else []
        return [self._frames(Counter(dropped or {})), *self._streams(), payloads, *calls, *self.policy.ledgers()]

    def _decided(self) -> Iterator[tuple[str, int]]:
        policy = self.policy
        duplicate = self.duplicates.dropped if self.duplicates is not None else 0
        yield from (("traced", policy.traced), ("not_traced", policy.not_traced), ("duplicate", duplicate))
        if policy.looks_back:
            yield from (("waiting", policy.waiting), ("crowded_out", policy.crowded_out))

    def _frames(self, lost: Counter[str]) -> Ledger:
        packets = self.packets
        parts = dict(packets.fragments.accounts())
        parts.pop("completed")  # carried, or rejected for what was in the datagram
        rejected = Counter({reason.name.lower(): packets.rejected[reason] for reason in Reject})
        rejected.update({f"fragment_{name}": count for name, count in parts.items() if name not in WITHIN_A_DATAGRAM})
        left_out = self.ports.left_out if self.ports is not None else 0
        own = self.own.left_out if self.own is not None else 0
        outcomes = {"carried": packets.carried - left_out - own}
        outcomes |= {name: count for name, count in (("own", own), ("other_ports", left_out)) if count}
        return Ledger(
            "frames",
            seen=packets.seen + sum(lost.values()),
            outcomes=outcomes | {name: parts[name] for name in WITHIN_A_DATAGRAM if parts[name]},
            rejected=rejected,
            lost=lost,
        )

    def _streams(self) -> Iterator[Ledger]:
        """Only what there was: most hosts have SIP over UDP alone."""
        streams = self.streams
        if streams.counts.seen:
            yield Ledger("segments", streams.counts.seen, dict(streams.outcomes()), streams.rejected())
        others = streams.websocket_rejected()
        delivered = streams.counts.websocket_messages
        if delivered or any(others.values()):
            yield Ledger("websocket", delivered + sum(others.values()), {"delivered": delivered}, others)
        chunks = dict(streams.sctp.accounts())
        if any(chunks.values()):
            outcomes = {name: chunks[name] for name in CHUNK_OUTCOMES}
            rejected = Counter({name: count for name, count in chunks.items() if name not in CHUNK_OUTCOMES})
            yield Ledger("chunks", streams.sctp.seen, outcomes, rejected)

    def notes(self) -> list[str]:
        """A line for each link type that could not be read."""
        unread = sorted(self.packets.unread.items())  # asked for while others count
        return [f"{named(number)} is not supported: {count} frames rejected" for number, count in unread]

    def problems(self) -> Counter[str]:
        """What was wrong with messages that were traced all the same, by name of Problem."""
        counts: Counter[str] = Counter()
        for combination, count in list(self.intake.problems.items()):  # asked for while others count
            for problem in Problem(combination):
                counts[str(problem.name).lower()] += count
        return counts
