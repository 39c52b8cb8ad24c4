"""Groups of sinks in memory that a test switches off and on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sink_samples import ListSink, eventually, numbered, traced

from capture_agent.config.configured_sinks import ConfiguredGroup
from capture_agent.config.groups import Group, GroupMode
from capture_agent.delivery.direct import Direct
from capture_agent.delivery.outbox import Outbox
from capture_agent.delivery.routes import Routes
from capture_agent.delivery.spool.spool import Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.net.sink_errors import SinkError
from capture_agent.records.traced import Trace, TracedMessage

GROUP_ID = 10


class Switched(ListSink):
    """Is down while it is off. `keeps`: how many messages it holds unconfirmed, which it forgets when it is closed."""

    def __init__(self, name: str, keeps: int = 0) -> None:
        super().__init__(self._check, together=8)
        self.name = name
        self.up = True
        self.unconfirmed = 0
        self._keeps = keeps
        self._unsure: list[TracedMessage] = []

    def _check(self, _: object) -> None:
        if not self.up:
            raise SinkError(f"{self.name}: connection refused")

    def open(self) -> None:
        self._check(None)

    def send(self, batch: Sequence[TracedMessage]) -> None:
        self._check(batch)
        self._unsure += batch
        self._confirm(self._keeps)

    def flush(self) -> None:
        self._check(None)
        self._confirm(0)

    def _confirm(self, but: int) -> None:
        sure = self._unsure[: max(0, len(self._unsure) - but)]
        self._unsure = self._unsure[len(sure) :]
        self.messages += sure
        self.sent += len(sure)
        self.unconfirmed = len(self._unsure)

    def close(self) -> None:
        self.lost["unconfirmed"] += len(self._unsure)
        self._unsure, self.unconfirmed = [], 0


@dataclass
class Pool:
    """`names` are the members. Their ids are 0, 1, ...; the group's is GROUP_ID."""

    mode: GroupMode
    names: tuple[str, ...] = ("a", "b", "c")
    keeps: int = 0
    spool: Path | None = None
    direct: bool = False
    limit: int = 100_000
    back_after: float = 0.0
    key: str = "call_id"
    sinks: list[Switched] = field(init=False)

    def __post_init__(self) -> None:
        self.sinks = [Switched(name, self.keeps) for name in self.names]
        self.boxes = {n: self._box(sink) for n, sink in enumerate(self.sinks)}
        self.routes = Routes(self.boxes, False, [self.configured()])

    def configured(self, names: tuple[str, ...] | None = None) -> ConfiguredGroup:
        names = names or self.names
        back_after = {} if self.mode == "mirror" else {"back_after_seconds": self.back_after}
        group = Group("all", self.mode, names, self.key, **back_after)  # type: ignore[arg-type]
        return ConfiguredGroup(group, GROUP_ID, {self.names.index(name): name for name in names})

    def _box(self, sink: Switched) -> Direct | Outbox:
        if self.direct:
            return Direct(sink)
        if self.spool is None:
            return Outbox(sink, self.limit, first_delay=0.01)
        return SpooledOutbox(sink, Spool(self.spool / sink.name, SpoolLimits()), self.limit, first_delay=0.01)

    def put(self, first: int, count: int, sinks: int = 1 << GROUP_ID, calls: int = 0) -> None:
        """Messages from `first` on, of as many calls as there are messages, or of `calls`."""
        trace = Trace(sinks)
        self.routes.put(
            [traced(message_of(n, calls), trace=trace) for n in range(first, first + count)],
        )

    def settle(self) -> None:
        """Until nothing waits anywhere."""
        eventually(lambda: not any(one.outcomes["waiting"] for one in self.routes.ledgers()), 30)

    def has_left(self, n: int) -> bool:
        return self.routes.groups()[0].members[n] is False

    def close(self) -> Counter[int]:
        """How often each message has arrived, in all. The books balance."""
        self.routes.close(None if self.direct else 20)
        for ledger, sink in zip(self.routes.ledgers(), self.sinks, strict=True):
            assert ledger.difference == 0, str(ledger)
            assert ledger.outcomes["sent"] == len(sink.messages), str(ledger)
        return Counter(number for sink in self.sinks for number in numbers(sink))

    def lost(self) -> int:
        return sum(sum(one.lost.values()) for one in self.routes.ledgers())


def message_of(n: int, calls: int = 0) -> bytes:
    message = numbered(n % calls) if calls else numbered(n)
    return message.replace(b"CSeq: 1 ", b"CSeq: %d " % (n + 1))


def numbers(sink: Switched) -> list[int]:
    return [one.message.sip.cseq - 1 for one in sink.messages]  # type: ignore[union-attr]


def once(count: int) -> Counter[int]:
    return Counter(range(count))
