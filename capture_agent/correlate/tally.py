"""How many of a kind there are, and what happened to the others. Hot: compiled with tally.pxd, or plain Python."""

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

    over         their time was over
    crowded_out  live ones, by others of their own Call-ID
    evicted      live ones, for want of room in the whole table
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
