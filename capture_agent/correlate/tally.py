"""Counts of one kind of entry, live and former. Hot: compiled with tally.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.books import Account, Ledger

OF_CALLS, OF_TRANSACTIONS, OF_DIALOGS = (
    Account(name, ("over", "held"), lost=("crowded_out", "evicted")) for name in ("calls", "transactions", "dialogs")
)


@cython.final
@cython.cclass
class Tally:
    """begun = held + over + crowded_out + evicted.

    over         expired
    crowded_out  removed while live, by others with the same Call-ID
    evicted      removed while live, because the table was full
    """

    __slots__ = ("begun", "crowded_out", "evicted", "held", "over")

    def __init__(self) -> None:
        self.begun = 0
        self.held = 0
        self.over = 0
        self.crowded_out = 0
        self.evicted = 0

    def ledger(self, account: Account) -> Ledger:
        lost = {"crowded_out": self.crowded_out, "evicted": self.evicted}
        return account.ledger(self.begun, {"over": self.over, "held": self.held}, lost=lost)
