"""The whole way of the data, between a source and the sinks' outboxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from capture_agent.books import Ledger
from capture_agent.config.local import LocalAddress
from capture_agent.intake import Intake
from capture_agent.packet.decode import PacketDecoder
from capture_agent.packet.rejects import Reject
from capture_agent.policy.trace import Policy
from capture_agent.records import CapturedMessage, Frames, TracedMessage
from capture_agent.sip.problems import Problem, Stranger


class Pipeline:
    """Packets in, messages to trace out. Holds all state of one source; nothing here does I/O or reads the clock."""

    def __init__(self, local: Iterable[LocalAddress] = (), trace_on: bool = True) -> None:
        self.packets = PacketDecoder()
        self.intake = Intake()
        self.policy = Policy(local, trace_on)

    def process(self, frames: Frames) -> list[TracedMessage]:
        return self.policy.decide(self.messages(frames))

    def messages(self, frames: Frames) -> list[CapturedMessage]:
        """The way up to policy: all SIP that is in these frames."""
        datagrams = self.packets.decode(frames)
        return self.intake.accept(datagrams)

    def ledgers(self, dropped: Mapping[str, int] | None = None) -> list[Ledger]:
        """The accounts so far. `dropped`: packets lost before us, by place."""
        lost = Counter(dropped or {})
        packets, intake, policy = self.packets, self.intake, self.policy
        frames = Ledger(
            "frames",
            seen=packets.seen + sum(lost.values()),
            outcomes={"carried": packets.carried},
            rejected=Counter({reason.name.lower(): packets.rejected[reason] for reason in Reject}),
            lost=lost,
        )
        payloads = Ledger(
            "messages",
            seen=intake.seen,
            outcomes={"traced": policy.traced, "not_traced": policy.not_traced, "duplicate": 0},
            rejected=Counter({stranger.name.lower(): intake.rejected[stranger] for stranger in Stranger}),
        )
        return [frames, payloads]

    def problems(self) -> Counter[str]:
        """What was wrong with messages that were traced all the same, by name of Problem."""
        counts: Counter[str] = Counter()
        for combination, count in self.intake.problems.items():
            for problem in Problem(combination):
                counts[str(problem.name).lower()] += count
        return counts
