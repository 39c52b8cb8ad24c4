"""The books: what came in equals what became of it, at every stage and for every sink.

frames    seen = carried + own + other_ports + joined + waiting + rejected(reason) + lost(where)
segments  seen = delivered + empty + retransmitted + waiting + rejected(reason)
websocket seen = delivered + rejected(reason): messages of WebSockets
chunks    seen = delivered + joined + duplicate + control + waiting + rejected(reason)
payloads  seen = traced + not_traced + duplicate + waiting + crowded_out + rejected(reason) + lost(where)
          (waiting and crowded_out: held back by a rule with a lookback)
correlation   seen = new + retransmitted + unmarked + rejected(reason)
calls, transactions, dialogs   seen = over + held + lost(crowded_out: within a Call-ID; evicted: the table was full)
sink      given = sent + rejected(reason) + lost(where) + waiting
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

# Reasons whose short names, which are labels too, do not say enough.
IN_WORDS = {"not_ip": "ARP and the like", "protocol": "neither UDP, TCP nor SCTP"}


@dataclass(slots=True)
class Ledger:
    """One stage's account: what it was given, and where each one went."""

    name: str
    seen: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)  # those without a reason: traced, sent, ...
    rejected: Mapping[str, int] = field(default_factory=Counter)  # by reason
    lost: Mapping[str, int] = field(default_factory=Counter)  # by place

    @property
    def difference(self) -> int:
        """What the account cannot explain: 0, or there is a bug."""
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


@dataclass(slots=True)
class Books:
    """A snapshot of every ledger, in the order of the data's way."""

    ledgers: list[Ledger]
    problems: Mapping[str, int] = field(default_factory=Counter)  # of messages that were traced all the same
    notes: list[str] = field(default_factory=list)  # lines about what a counter's name cannot say

    @property
    def balanced(self) -> bool:
        return all(ledger.difference == 0 for ledger in self.ledgers)

    def lines(self) -> Iterator[str]:
        yield from map(str, self.ledgers)
        yield from self.notes
        some = [f"{name} {count}" for name, count in sorted(self.problems.items()) if count]
        if some:
            yield "malformed, traced all the same: " + ", ".join(some)
        counted = {reason for ledger in self.ledgers for reason, count in ledger.rejected.items() if count}
        yield from (f"{reason}: {words}" for reason, words in IN_WORDS.items() if reason in counted)
        for ledger in self.ledgers:
            if ledger.difference:
                yield f"{ledger.name} does not balance: {ledger.difference} unaccounted for"
