"""Counts each message, and follows calls where that is wanted. Hot: compiled with stage.pxd, or plain Python."""

from __future__ import annotations

from collections.abc import Iterable

import cython

from capture_agent.books import Account, HeldTable, Ledger
from capture_agent.clock import Clock
from capture_agent.config.endpoints import LocalAddress
from capture_agent.counting.exchanges import Exchanges
from capture_agent.counting.followed_calls import Calls
from capture_agent.counting.peer_names import Named
from capture_agent.counting.sides import Sides
from capture_agent.counting.sip_counters import SipCounters
from capture_agent.counting.snapshot import Counted, counted
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.methods import Method

SECOND = cython.declare(cython.longlong, 1_000_000_000)
INVITE = cython.declare(cython.int, Method.INVITE)
REGISTER = cython.declare(cython.int, Method.REGISTER)
OPTIONS = cython.declare(cython.int, Method.OPTIONS)

OF_CALLS = Account("counted_calls", ("over", "held"), lost=("evicted",))
OF_EXCHANGES = Account("counted_exchanges", ("over", "held"), lost=("evicted",))
OF_BINDINGS = Account("bindings", ("over", "held"), lost=("evicted",))


@cython.final
@cython.cclass
class Counting:
    """Counts of SIP, and with `calls` of calls, registrations and OPTIONS. It does no I/O; time is the packets'.

    named         [metrics.peers]: names of networks; addresses in none of them are `other`
    local         the server's addresses, which decide the direction
    idle_seconds  so long an answered call lasts without a message
    """

    __slots__ = ("_second", "calls", "clock", "counters", "exchanges", "sides")

    def __init__(
        self,
        named: Named | None = None,
        local: Iterable[LocalAddress] = (),
        calls: bool = False,
        idle_seconds: int = 14_400,
    ) -> None:
        self.sides = Sides(local, named)
        self.counters = SipCounters(self.sides)
        self.calls = Calls(idle_seconds=idle_seconds) if calls else None
        self.exchanges = Exchanges() if calls else None
        self.clock = Clock()
        self._second = -1

    def observe(self, messages: list[CapturedMessage]) -> None:
        """Messages in their order, after the correlator's: it knows which ones were sent again."""
        message: CapturedMessage
        seen: cython.int
        if self.calls is None or self.exchanges is None:
            self.counters.count_all(messages)
            return
        for message in messages:
            seen = self.counters.count(message)
            self._follow(self.calls, self.exchanges, message, seen)

    def change_local(self, local: Iterable[LocalAddress]) -> None:
        """The server's addresses, from now on."""
        self.sides.change_local(local)

    def change_peers(self, named: Named) -> None:
        """From now on these networks have these names; what was counted keeps its own."""
        self.sides.change_peers(named)

    def close(self) -> None:
        """The capture has ended: nothing of what comes next belongs to it. Counts stay."""
        if self.calls is not None and self.exchanges is not None:
            self.calls.close(self.clock.now_ns)
            self.exchanges.close()
        self.clock.reset()
        self._second = -1

    def snapshot(self) -> Counted:
        """All figures by now, by metric and labels. Between two batches any thread may ask."""
        return counted(self.counters, self.calls, self.exchanges)

    def ledgers(self) -> list[Ledger]:
        """The accounts of the tables."""
        if self.calls is None or self.exchanges is None:
            return []
        return [
            account.ledger(table.begun, {"over": table.over, "held": table.held}, lost={"evicted": table.evicted})
            for account, table in (
                (OF_CALLS, self.calls.table),
                (OF_EXCHANGES, self.exchanges),
                (OF_BINDINGS, self.exchanges.bindings),
            )
        ]

    def held_tables(self) -> list[HeldTable]:
        """What is held now, and what had to make room."""
        if self.calls is None or self.exchanges is None:
            return []
        return [
            HeldTable("counted_calls", self.calls.table.held, self.calls.table.evicted),
            HeldTable("counted_exchanges", self.exchanges.held, self.exchanges.evicted),
            HeldTable("bindings", self.exchanges.bindings.held, self.exchanges.bindings.evicted),
        ]

    def _follow(self, calls: Calls, exchanges: Exchanges, message: CapturedMessage, seen: cython.int) -> cython.bint:
        side: cython.int = seen >> 4
        kind: cython.int = seen & 15
        now_ns: cython.longlong = self.clock.tick(message.seen_ns)
        if self.clock.now_ns // SECOND != self._second:
            self._second = self.clock.now_ns // SECOND
            calls.pass_time(self.clock.now_ns)
            exchanges.pass_time(self.clock.now_ns)
        if message.retransmission:
            return True
        if kind in (REGISTER, OPTIONS):
            if message.sip.is_request:
                exchanges.request(message, side, kind == REGISTER, now_ns)
            else:
                exchanges.response(message, kind == REGISTER, now_ns)
        if kind != REGISTER:
            if message.sip.is_request:
                calls.request(message, side, kind, now_ns)
            else:
                calls.response(message, kind, now_ns)
        return True
