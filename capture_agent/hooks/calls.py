"""The transaction and the dialog of a message, as hooks see them: read only, text as str.

They can be kept, compared, and used as keys: the same dialog is equal to itself at its next message.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent import calls
from capture_agent.sip.headers import text


@dataclass(frozen=True, slots=True)
class Dialog:
    """The dialogs that one request of a caller has made. RFC 3261 12, RFC 6665."""

    _dialog: calls.Dialog

    @property
    def method(self) -> str:
        """INVITE or SUBSCRIBE."""
        return text(self._dialog.method)

    @property
    def call_id(self) -> str:
        return text(self._dialog.call_id)

    @property
    def caller_tag(self) -> str:
        """The From tag of the request that made it."""
        return text(self._dialog.caller_tag)

    @property
    def traced(self) -> bool:
        """Is all that belongs to it traced?"""
        return bool(self._dialog.traces or self._dialog.hooked)

    def __repr__(self) -> str:
        return f"Dialog(method={self.method!r}, call_id={self.call_id!r}, caller_tag={self.caller_tag!r})"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request from hop to hop, its responses, CANCEL, and the ACK for a failure. RFC 3261 17."""

    _transaction: calls.Transaction

    @property
    def method(self) -> str:
        """Of the request that made it: INVITE also in the CANCEL and the ACK for a failure."""
        return text(self._transaction.method)

    @property
    def cseq(self) -> int:
        return self._transaction.cseq

    @property
    def from_tag(self) -> str:
        return text(self._transaction.from_tag)

    @property
    def traced(self) -> bool:
        """Is all that belongs to it traced?"""
        return bool(self._transaction.traces or self._transaction.hooked)

    def __repr__(self) -> str:
        return f"Transaction(method={self.method!r}, cseq={self.cseq}, from_tag={self.from_tag!r})"
