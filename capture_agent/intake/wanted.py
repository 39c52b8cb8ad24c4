"""Optional: drops messages that a filter does not match, for `replay --where`."""

from __future__ import annotations

from capture_agent.books import Account, Ledger, OfMessages
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.message_filter import MessageFilter

ACCOUNT = Account("messages", (OfMessages.NOT_WANTED,))


class WantedMessages:
    """Passes the messages that the filter matches, in order."""

    def __init__(self, wanted: MessageFilter) -> None:
        self._matches = wanted.matches
        self.left_out = 0

    def ledgers(self) -> list[Ledger]:
        return [ACCOUNT.ledger(outcomes={OfMessages.NOT_WANTED: self.left_out})]

    def chosen(self, messages: list[CapturedMessage]) -> list[CapturedMessage]:
        chosen = [message for message in messages if self._matches(message)]
        self.left_out += len(messages) - len(chosen)
        return chosen
