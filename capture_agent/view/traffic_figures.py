"""Figures of many messages and calls: methods, statuses, failures by peer, set-up delays, retransmissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.headers import text
from capture_agent.view.aliases import Aliases
from capture_agent.view.call import Endpoint, SipCall

MOST_NAMES = 1000  # methods, or hosts, that are counted by name: a peer chooses them
OTHERS = "others"
DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)  # seconds
PERCENTILES = (50, 90, 95, 99)


@dataclass(slots=True)
class TrafficFigures:
    """`add` takes messages, `finish` the calls that they belong to."""

    messages: int = 0
    methods: Counter[str] = field(default_factory=Counter)  # of requests
    statuses: Counter[str] = field(default_factory=Counter)  # of responses
    transports: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)  # of calls, by method and state
    failures: Counter[str] = field(default_factory=Counter)  # by status and reason
    failing_peers: Counter[str] = field(default_factory=Counter)  # by the host that was called
    retransmissions: Counter[str] = field(default_factory=Counter)  # by method of the call
    setup_seconds: list[float] = field(default_factory=list)

    def add(self, messages: Iterable[CapturedMessage]) -> None:
        for message in messages:
            sip = message.sip
            self.messages += 1
            if sip.is_request:
                count(self.methods, text(sip.method))
            else:
                count(self.statuses, str(sip.status))
            self.transports[message.datagram.transport] += 1

    def finish(self, calls: Iterable[SipCall], aliases: Aliases) -> None:
        for call in calls:
            method = text(call.method)
            count(self.states, f"{method} {call.state}")
            if call.retransmissions:
                count(self.retransmissions, method, call.retransmissions)
            if call.failed:
                count(self.failures, f"{call.status} {text(call.reason)}".strip())
                if call.hops:
                    count(self.failing_peers, aliases.label(*called_host(call)))
            if call.setup_seconds is not None:
                self.setup_seconds.append(call.setup_seconds)
        self.setup_seconds.sort()

    def delays(self) -> Counter[str]:
        """Calls by set-up delay, the bounds in order."""
        found = Counter({f"<= {bound:g} s": 0 for bound in DELAYS} | {f"> {DELAYS[-1]:g} s": 0})
        for seconds in self.setup_seconds:
            bound = next((one for one in DELAYS if seconds <= one), None)
            found[f"> {DELAYS[-1]:g} s" if bound is None else f"<= {bound:g} s"] += 1
        return found

    def percentiles(self) -> dict[int, float]:
        """Seconds that so many percent of set-up delays do not exceed (nearest rank)."""
        values = self.setup_seconds
        return {one: values[max(0, -(-len(values) * one // 100) - 1)] for one in PERCENTILES} if values else {}


def called_host(call: SipCall) -> Endpoint:
    """Where its request went last: hops back to a host that sent it on are those of answers."""
    senders: set[bytes] = set()
    last = call.hops[0][2:]
    for source, _, host, port in call.hops:
        senders.add(source)
        if host not in senders:
            last = (host, port)
    return last


def count(counter: Counter[str], name: str, number: int = 1) -> None:
    counter[name if name in counter or len(counter) < MOST_NAMES else OTHERS] += number
