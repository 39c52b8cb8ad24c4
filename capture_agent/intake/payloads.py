"""Turns payloads into SIP messages. Hot: compiled with payloads.pxd, or plain Python."""

from __future__ import annotations

from array import array
from collections import Counter

import cython

from capture_agent.books import Account, Ledger, OfMessages
from capture_agent.records.captured import CapturedMessage, captured
from capture_agent.records.datagram import Datagram
from capture_agent.sip.message import SipMessage
from capture_agent.sip.problems import Problem, Stranger
from capture_agent.sip.scan import scan
from capture_agent.sip.stranger import stranger

TRUNCATED = cython.declare(cython.int, Problem.TRUNCATED)

STRANGERS = {stranger: stranger.name.lower() for stranger in Stranger if stranger}
PROBLEMS = {problem: str(problem.name).lower() for problem in Problem}
ACCOUNT = Account("messages", (OfMessages.DUPLICATE,), rejected=tuple(STRANGERS.values()))


@cython.final
@cython.cclass
class Intake:
    """Counts: seen = accepted + the sum of rejected. A message may have several problems."""

    __slots__ = ("_rejected", "accepted", "problems", "rejected", "seen")

    def __init__(self) -> None:
        self.seen = 0
        self.accepted = 0
        self.rejected = array("Q", bytes(8 * (max(Stranger) + 1)))  # by Stranger
        self.problems: Counter[int] = Counter()  # by combination of Problem
        self._rejected = self.rejected

    def accept(self, datagrams: list[Datagram]) -> list[CapturedMessage]:
        """The SIP messages among these payloads, in order."""
        messages: list[CapturedMessage] = []
        datagram: Datagram
        sip: SipMessage | None
        for datagram in datagrams:
            sip = scan(datagram.data, datagram.start, datagram.end)
            if sip is None:
                self._rejected[stranger(datagram.data, datagram.start, datagram.end)] += 1
                continue
            if datagram.missing:
                sip.problems |= TRUNCATED
            if sip.problems:
                self.problems[sip.problems] += 1
            messages.append(captured(datagram, sip))
        self.seen += len(datagrams)
        self.accepted += len(messages)
        return messages

    def ledgers(self) -> list[Ledger]:
        """Includes `duplicate`, whether or not copies are dropped."""
        rejected = {name: self.rejected[stranger] for stranger, name in STRANGERS.items()}
        return [ACCOUNT.ledger(self.seen, {OfMessages.DUPLICATE: 0}, rejected)]

    def malformed(self) -> Counter[str]:
        """Problems of messages that were malformed but traced, by name of Problem."""
        counts: Counter[str] = Counter()
        for combination, count in list(self.problems.items()):  # read while other threads count
            for problem in Problem(combination):
                counts[PROBLEMS[problem]] += count
        return counts
