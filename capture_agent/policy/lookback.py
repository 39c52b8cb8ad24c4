"""Holds back messages that no rule has matched yet, until one does: for example those before a call failed.

It holds copies, because a message itself would keep its whole batch in memory. Bounded in messages, bytes and packet
time; the oldest is evicted.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from capture_agent.clock import Clock
from capture_agent.policy.rules import CompiledRule
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.frames import CapturedFrame
from capture_agent.sip.scan import scan

# CANCEL, and the ACK for a failure, belong to the INVITE (RFC 3261 9.1, 17.1.1.3).
OF_INVITE = (b"ACK", b"CANCEL")

# CPython's memory for a message in addition to its bytes, and for a transaction and dialog kept only by such messages.
MESSAGE_COST = 1024
TRANSACTION_COST = 2560
FRAME_COST = 256  # of a captured frame, if they are kept


@dataclass(slots=True, eq=False)
class HeldMessage:
    """`given`: sinks that have it already, from other rules or hooks, so that it counts as traced. None: not traced."""

    message: CapturedMessage
    direction: Direction
    number: int
    time_ns: int
    since_ns: int  # when it was added, by the clock
    size: int
    given: int | None
    asked: int  # the sinks of rules that may yet trace it


class Lookback:
    """waiting: held and not traced; given_up: no rule matched in time; crowded_out: evicted before one matched.

    Messages are held by transaction, and those by dialog: the cost of a release is proportional to its messages.
    """

    def __init__(self, rules: Iterable[CompiledRule], most: int, most_bytes: int, keep_frames: bool = False) -> None:
        rules = [rule for rule in rules if rule.lookback_ns]
        self._hold_ns = max(rule.lookback_ns for rule in rules)
        self._dialogs = any(rule.mode == 2 for rule in rules)
        self._methods = methods_of(rules)
        self._most = most
        self._keep_frames = keep_frames
        self._most_bytes = most_bytes
        self._clock = Clock()
        self._bytes = 0
        self._held: OrderedDict[int, HeldMessage] = OrderedDict()  # by order of arrival
        self._transactions: dict[Transaction, OrderedDict[int, HeldMessage]] = {}
        self._of_dialogs: dict[Dialog, dict[Transaction, None]] = {}
        self._number = 0
        self._traced = 0
        self.given_up = 0
        self.crowded_out = 0

    @property
    def waiting(self) -> int:
        return len(self._held) - self._traced

    @property
    def held_bytes(self) -> int:
        return self._bytes

    def hold(self, message: CapturedMessage, direction: Direction, given: int | None = None, asked: int = -1) -> bool:
        """False: no later message could trace it, so it is not held. `asked`: the sinks that it may yet go to."""
        if not self._may_be_traced(message):
            return False
        transaction = message.transaction
        assert transaction is not None
        time_ns = self.pass_time(message.seen_ns)
        since_ns = max(time_ns, self._clock.now_ns)
        copy = copied(message, self._keep_frames)
        self._number += 1
        size = len(copy.datagram.data) + MESSAGE_COST + frames_size(copy.datagram.frames or ())
        held = HeldMessage(copy, direction, self._number, time_ns, since_ns, size, given, asked)
        self._put(held)
        return True

    def _put(self, held: HeldMessage) -> None:
        transaction, dialog = held.message.transaction, held.message.dialog
        assert transaction is not None
        self._held[held.number] = held
        self._traced += held.given is not None
        self._bytes += held.size
        if transaction not in self._transactions:
            self._transactions[transaction] = OrderedDict()
            self._bytes += TRANSACTION_COST
            if dialog is not None:
                self._of_dialogs.setdefault(dialog, {})[transaction] = None
        self._transactions[transaction][held.number] = held
        while len(self._held) > self._most or self._bytes > self._most_bytes:
            self.crowded_out += self._drop_oldest()

    def take_over(self, former: Lookback, asked: int) -> None:
        """Hold what another has held. `asked`: the sinks that a rule may yet send a message to which others traced."""
        self._clock = former._clock
        for held in former._held.values():
            held.asked = asked & ~(held.given or 0)
            if (held.given is not None and not held.asked) or not self._may_be_traced(held.message):
                self.given_up += held.given is None
                continue
            self._number += 1
            held.number = self._number
            self._put(held)
        former._held.clear()
        former.close()

    def _may_be_traced(self, message: CapturedMessage) -> bool:
        transaction = message.transaction
        if transaction is None:
            return False
        return (
            (message.dialog is not None and self._dialogs) or not self._methods or transaction.method in self._methods
        )

    def release(
        self, message: CapturedMessage, rule: CompiledRule, sinks: int
    ) -> Iterator[tuple[HeldMessage, int | None]]:
        """Held messages of the transaction or dialog that this rule traces from this message on, in order, each with
        the sinks that already have it.

        Messages that other rules may yet send elsewhere stay.
        """
        since_ns = self.pass_time(message.seen_ns) - rule.lookback_ns
        for held in sorted(self._found(message, whole=rule.mode == 2), key=lambda held: held.number):
            given = held.given
            in_time = held.time_ns >= since_ns
            if in_time:
                self._traced += given is None
                held.given = (given or 0) | sinks
                held.asked &= ~sinks
            if not held.asked:
                self.given_up += self._take(held).given is None
            if in_time:
                yield held, given

    def _found(self, message: CapturedMessage, whole: bool) -> list[HeldMessage]:
        transactions: Iterable[Transaction] = () if message.transaction is None else (message.transaction,)
        if whole and message.dialog is not None:
            transactions = self._of_dialogs.get(message.dialog, ())
        return [held for one in transactions for held in self._transactions.get(one, {}).values()]

    def _take(self, held: HeldMessage) -> HeldMessage:
        del self._held[held.number]
        self._bytes -= held.size
        self._traced -= held.given is not None
        transaction, dialog = held.message.transaction, held.message.dialog
        assert transaction is not None
        numbers = self._transactions[transaction]
        del numbers[held.number]
        if not numbers:
            del self._transactions[transaction]
            self._bytes -= TRANSACTION_COST
            if dialog is not None:
                of_dialog = self._of_dialogs[dialog]
                del of_dialog[transaction]
                if not of_dialog:
                    del self._of_dialogs[dialog]
        return held

    def _drop_oldest(self) -> bool:
        """True: it was not traced."""
        return self._take(next(iter(self._held.values()))).given is None

    def pass_time(self, seen_ns: int) -> int:
        """Give up messages older than any rule looks back. Returns the clock's time for a message seen at this time."""
        time_ns = self._clock.tick(seen_ns)
        while self._held:
            oldest = next(iter(self._held.values()))
            if oldest.since_ns + self._hold_ns >= self._clock.now_ns:
                break
            self.given_up += self._drop_oldest()
        return time_ns

    def close(self) -> None:
        """The capture has ended: no rule will match any more."""
        self.given_up += self.waiting
        self._traced = 0
        self._held.clear()
        self._transactions.clear()
        self._of_dialogs.clear()
        self._bytes = 0


def methods_of(rules: Iterable[CompiledRule]) -> frozenset[bytes]:
    """The methods of transactions that rules may yet trace; empty: all."""
    methods = set()
    for rule in rules:
        if not rule.methods:
            return frozenset()
        methods |= {b"INVITE" if method in OF_INVITE else method for method in rule.methods} | rule.methods
    return frozenset(methods)


def frames_size(frames: Iterable[CapturedFrame]) -> int:
    return sum(len(frame.data) + FRAME_COST for frame in frames)


def copied(message: CapturedMessage, keep_frames: bool = False) -> CapturedMessage:
    """A copy in a new buffer with the two addresses and the message; with its captured frames, if they are wanted."""
    datagram, raw = message.datagram, message.raw
    addresses = datagram.source + datagram.destination
    data = addresses + raw
    sip = scan(data, len(addresses), len(data))
    assert sip is not None  # the same bytes were SIP before
    sip.problems = message.sip.problems
    own = datagram.carrying(data, len(addresses), len(data), datagram.missing)
    if keep_frames:
        own.keep_frames(datagram.captured_frames())
    copy = CapturedMessage(own, sip, message.origin, message.seen_ns)
    copy.transaction, copy.dialog, copy.retransmission = message.transaction, message.dialog, message.retransmission
    return copy
