"""Messages of which no rule has decided yet, held back until one does: what came before a call failed, say.

Held is a copy, not the message: that would keep the whole batch in which it was read. Bounded in messages, bytes and
packet time; the oldest gives way.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from capture_agent.calls import Dialog, Transaction
from capture_agent.policy.rules import Rule
from capture_agent.records import CapturedMessage, Datagram, Direction
from capture_agent.sip.scan import scan

# A CANCEL, and the ACK for a failure, belong to the INVITE (RFC 3261 9.1, 17.1.1.3).
OF_INVITE = (b"ACK", b"CANCEL")

Scope = Dialog | Transaction


@dataclass(slots=True, eq=False)
class Held:
    message: CapturedMessage
    direction: Direction
    scope: Scope
    time_ns: int
    size: int
    given: int | None  # the sinks that have it already, from hooks: it counts as traced


class Lookback:
    """waiting: held now; given_up: no rule has come in time; crowded_out: there was no room until one came."""

    def __init__(self, rules: Iterable[Rule], most: int, most_bytes: int) -> None:
        rules = [rule for rule in rules if rule.lookback_ns]
        self._hold_ns = max(rule.lookback_ns for rule in rules)
        self._dialogs = any(rule.mode == 2 for rule in rules)
        self._methods = methods_of(rules)
        self._most = most
        self._most_bytes = most_bytes
        self._now_ns = 0
        self._bytes = 0
        self._held: OrderedDict[int, Held] = OrderedDict()  # by the order of their coming
        self._scopes: dict[Scope, deque[int]] = {}
        self._number = 0
        self._traced = 0
        self.given_up = 0
        self.crowded_out = 0

    @property
    def waiting(self) -> int:
        return len(self._held) - self._traced

    def hold(self, message: CapturedMessage, direction: Direction, given: int | None = None) -> bool:
        """False: nothing that may come would trace it, so it is not held."""
        scope = self._scope_of(message)
        if scope is None:
            return False
        self.pass_time(message.time_ns)
        copy = copied(message)
        size = len(copy.datagram.data)
        self._number += 1
        self._held[self._number] = Held(copy, direction, scope, message.time_ns, size, given)
        self._traced += given is not None
        self._scopes.setdefault(scope, deque()).append(self._number)
        self._bytes += size
        while len(self._held) > self._most or self._bytes > self._most_bytes:
            self.crowded_out += self._drop_oldest()
        return True

    def _scope_of(self, message: CapturedMessage) -> Scope | None:
        transaction, dialog = message.transaction, message.dialog
        if dialog is not None and self._dialogs:
            return dialog
        if transaction is None or (self._methods and transaction.method not in self._methods):
            return None
        return transaction if dialog is None else dialog

    def release(self, message: CapturedMessage, rule: Rule) -> Iterator[Held]:
        """What belongs to the transaction or dialog that this rule traces from this message on, in its order."""
        since_ns = message.time_ns - rule.lookback_ns
        for number in sorted(self._found(message, whole=rule.mode == 2)):
            held = self._take(number)
            if held.time_ns >= since_ns:
                yield held
            else:
                self.given_up += held.given is None

    def _found(self, message: CapturedMessage, whole: bool) -> list[int]:
        numbers: list[int] = []
        for scope in (message.dialog, message.transaction):
            if scope is not None and scope in self._scopes:
                numbers += self._scopes[scope]
        if whole and message.dialog is not None:
            return numbers
        return [number for number in numbers if self._held[number].message.transaction is message.transaction]

    def _take(self, number: int) -> Held:
        held = self._held.pop(number)
        self._bytes -= held.size
        self._traced -= held.given is not None
        numbers = self._scopes[held.scope]
        numbers.remove(number)  # nearly always the first
        if not numbers:
            del self._scopes[held.scope]
        return held

    def _drop_oldest(self) -> bool:
        """True: it was not traced."""
        return self._take(next(iter(self._held))).given is None

    def pass_time(self, now_ns: int) -> None:
        """Give up what is older than any rule looks back."""
        self._now_ns = max(self._now_ns, now_ns)
        while self._held:
            oldest = next(iter(self._held.values()))
            if oldest.time_ns + self._hold_ns >= self._now_ns:
                return
            self.given_up += self._drop_oldest()

    def close(self) -> None:
        """The capture has ended: nothing decides any more."""
        self.given_up += self.waiting
        self._traced = 0
        self._held.clear()
        self._scopes.clear()
        self._bytes = 0


def methods_of(rules: Iterable[Rule]) -> frozenset[bytes]:
    """Of the transactions that rules may yet trace; empty: all."""
    methods = set()
    for rule in rules:
        if not rule.methods:
            return frozenset()
        methods |= {b"INVITE" if method in OF_INVITE else method for method in rule.methods} | rule.methods
    return frozenset(methods)


def copied(message: CapturedMessage) -> CapturedMessage:
    """The same over a buffer of its own, which holds the two addresses and the message."""
    datagram, raw = message.datagram, message.raw
    addresses = datagram.source + datagram.destination
    data = addresses + raw
    sip = scan(data, len(addresses), len(data))
    assert sip is not None  # the same bytes were SIP before
    sip.problems = message.sip.problems
    copy = CapturedMessage(
        Datagram(
            data,
            len(addresses),
            len(data),
            0,
            datagram.address_size,
            datagram.source_port,
            datagram.destination_port,
            datagram.time_ns,
            datagram.frame,
            datagram.protocol,
            datagram.transport,
            datagram.vlan,
            datagram.interface,
            datagram.missing,
            datagram.sequence,
            datagram.flags,
        ),
        sip,
        message.direction,
    )
    copy.transaction, copy.dialog, copy.retransmission = message.transaction, message.dialog, message.retransmission
    return copy
