"""The books: at every stage and for every sink, the count of inputs equals the sum of their outcomes.

frames    seen = carried + own + other_ports + media + joined + waiting + rejected(reason) + lost(where)
segments  seen = delivered + empty + retransmitted + waiting + rejected(reason)
hep       seen = each kind of payload + rejected(reason): HEP packets that came in
websocket seen = delivered + rejected(reason): messages of WebSockets
chunks    seen = delivered + joined + duplicate + control + waiting + rejected(reason)
rtcp      seen = traced + not_traced + duplicate + no_report + waiting + rejected(reason)
rtp       seen = measured + not_sampled + duplicate + waiting + rejected(reason)
messages  seen = traced + not_traced + duplicate + waiting + crowded_out + rejected(reason) + lost(where)
          (waiting and crowded_out: held back by a rule with a lookback)
correlation   seen = new + retransmitted + unmarked + rejected(reason)
calls, transactions, dialogs   seen = over + held + lost(crowded_out: within a Call-ID; evicted: the table was full)
condition     seen = true + false + rejected(exception)
hook      seen = passed + dropped + rejected(exception)
sink      seen = sent + waiting + moved + rejected(reason) + lost(where)

docs/books.md explains each name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

# Explanations for reasons whose short names, which are also labels, do not say enough.
IN_WORDS = {"not_ip": "ARP and the like", "protocol": "neither UDP, TCP nor SCTP"}


class OfFrames(StrEnum):
    """The outcomes of frames, in print order. Several stages count in this ledger."""

    CARRIED = "carried"
    OWN = "own"
    OTHER_PORTS = "other_ports"
    MEDIA = "media"
    JOINED = "joined"
    WAITING = "waiting"


class OfMessages(StrEnum):
    """The outcomes of messages, as OfFrames."""

    TRACED = "traced"
    NOT_TRACED = "not_traced"
    DUPLICATE = "duplicate"
    WAITING = "waiting"
    CROWDED_OUT = "crowded_out"
    NOT_WANTED = "not_wanted"


@dataclass(frozen=True, slots=True)
class Account:
    """Every name that one stage uses in the ledger of this name. docs/books.md explains them, which a test checks."""

    name: str
    outcomes: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def ledger(
        self,
        seen: int = 0,
        outcomes: Mapping[str, int] | None = None,
        rejected: Mapping[str, int] | None = None,
        lost: Mapping[str, int] | None = None,
    ) -> Ledger:
        """Leaves out names that are not in the account, so that the ledger does not balance."""
        return Ledger(
            self.name,
            seen,
            {name: outcomes[name] for name in self.outcomes if name in outcomes} if outcomes else {},
            {reason: rejected[reason] for reason in self.rejected if reason in rejected} if rejected else {},
            {place: lost[place] for place in self.lost if place in lost} if lost else {},
        )


@dataclass(slots=True)
class Ledger:
    """A stage's account: how many entries it received, and the outcome of each."""

    name: str
    seen: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)  # outcomes without a reason: traced, sent, ...
    rejected: Mapping[str, int] = field(default_factory=Counter)  # by reason
    lost: Mapping[str, int] = field(default_factory=Counter)  # by place

    @property
    def difference(self) -> int:
        """The number of unexplained entries: 0, or there is a bug."""
        known = sum(self.outcomes.values()) + sum(self.rejected.values()) + sum(self.lost.values())
        return self.seen - known

    def __str__(self) -> str:
        parts = [
            f"{self.seen} seen",
            *(f"{count} {name.replace('_', ' ')}" for name, count in self.outcomes.items()),
        ]
        for name, counts in (("rejected", self.rejected), ("lost", self.lost)):
            some = {reason: count for reason, count in sorted(counts.items()) if count}
            if some:
                reasons = ", ".join(f"{reason} {count}" for reason, count in some.items())
                parts.append(f"{sum(some.values())} {name} ({reasons})")
        return f"{self.name}: " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class HeldTable:
    """A bounded table at one moment. `evicted`: how many entries have made room for others; None: not known."""

    name: str
    held: int
    evicted: int | None = None


# Ledgers that several stages count in, with their outcomes in print order.
SHARED: dict[str, type[StrEnum]] = {"frames": OfFrames, "messages": OfMessages}


def joined(parts: Iterable[Ledger]) -> list[Ledger]:
    """The ledgers of a list of stages: parts of a shared ledger are merged at the place of the first."""
    ledgers: list[Ledger] = []
    shared: dict[str, Ledger] = {}
    for part in parts:
        if part.name not in SHARED:
            ledgers.append(part)
            continue
        if part.name not in shared:
            shared[part.name] = Ledger(part.name)
            ledgers.append(shared[part.name])
        whole = shared[part.name]
        counts = summed(whole.outcomes, part.outcomes)
        whole.seen += part.seen
        whole.outcomes = {name: counts[name] for name in SHARED[part.name] if name in counts}
        whole.rejected = summed(whole.rejected, part.rejected)
        whole.lost = summed(whole.lost, part.lost)
    return ledgers


def with_former(present: Iterable[Ledger], former: Sequence[Ledger]) -> list[Ledger]:
    """These ledgers; and where there are former ones, each name once, with all that was counted under it."""
    if not former:
        return list(present)
    ledgers: dict[str, Ledger] = {}
    for part in [*present, *former]:
        one = ledgers.get(part.name, Ledger(part.name))
        ledgers[part.name] = Ledger(
            part.name,
            one.seen + part.seen,
            {
                name: one.outcomes.get(name, 0) + part.outcomes.get(name, 0)
                for name in {**one.outcomes, **part.outcomes}
            },
            summed(one.rejected, part.rejected),
            summed(one.lost, part.lost),
        )
    return list(ledgers.values())


def summed(one: Mapping[str, int], other: Mapping[str, int]) -> Counter[str]:
    total = Counter(one)
    total.update(other)
    return total


@dataclass(slots=True)
class Books:
    """A snapshot of every ledger, in the order of the data path."""

    ledgers: list[Ledger]
    problems: Mapping[str, int] = field(default_factory=Counter)  # of malformed messages that were traced
    notes: list[str] = field(default_factory=list)  # lines with details that a counter's name cannot give

    @property
    def balanced(self) -> bool:
        return all(ledger.difference == 0 for ledger in self.ledgers)

    def lines(self) -> Iterator[str]:
        yield from map(str, self.ledgers)
        yield from self.notes
        some = [f"{name} {count}" for name, count in sorted(self.problems.items()) if count]
        if some:
            yield "malformed but traced: " + ", ".join(some)
        counted = {reason for ledger in self.ledgers for reason, count in ledger.rejected.items() if count}
        yield from (f"{reason}: {words}" for reason, words in IN_WORDS.items() if reason in counted)
        for ledger in self.ledgers:
            if ledger.difference:
                yield f"{ledger.name} does not balance: {ledger.difference} unaccounted for"
