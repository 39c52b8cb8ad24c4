"""The transaction and the dialog of a message, as hooks see them: read only, text as str.

They can be stored, compared, and used as keys: a dialog compares equal to itself at its next message.
"""

from __future__ import annotations

from dataclasses import dataclass

from capture_agent.records import dialog
from capture_agent.records.dialog import DialogState, TransactionState
from capture_agent.sip.headers import text


@dataclass(frozen=True, slots=True)
class Dialog:
    """The dialogs that one request of a caller created. RFC 3261 12, RFC 6665."""

    _dialog: dialog.Dialog

    @property
    def method(self) -> str:
        """INVITE, SUBSCRIBE or REFER."""
        return text(self._dialog.method)

    @property
    def call_id(self) -> str:
        return text(self._dialog.call_id)

    @property
    def caller_tag(self) -> str:
        """The From tag of the request that created it."""
        return text(self._dialog.caller_tag)

    @property
    def callee_tags(self) -> tuple[str, ...]:
        """The To tags of the answers, in order: several if the request forked, at most eight."""
        return tuple(map(text, self._dialog.callee_tags))

    @property
    def state(self) -> str:
        """early, confirmed or ended: the current state, also in a dialog that you keep."""
        return DialogState(self._dialog.state).name.lower()

    @property
    def joined(self) -> bool:
        """Whether the beginning was missed, so that `caller_tag` belongs to the first sender seen."""
        return self._dialog.joined

    @property
    def traced(self) -> bool:
        """Whether the whole dialog is traced."""
        return bool(self._dialog.traces or self._dialog.hooked)

    def __repr__(self) -> str:
        return f"Dialog(method={self.method!r}, call_id={self.call_id!r}, caller_tag={self.caller_tag!r})"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A request on all its hops, its responses, CANCEL, and the ACK for a failure. RFC 3261 17."""

    _transaction: dialog.Transaction

    @property
    def method(self) -> str:
        """The method of the request that created it: INVITE also in the CANCEL and the ACK for a failure."""
        return text(self._transaction.method)

    @property
    def cseq(self) -> int:
        return self._transaction.cseq

    @property
    def from_tag(self) -> str:
        return text(self._transaction.from_tag)

    @property
    def state(self) -> str:
        """INVITE: calling, proceeding, accepted, completed or confirmed; other methods: trying or answered."""
        return TransactionState(self._transaction.state).name.lower()

    @property
    def branches(self) -> int:
        """The number of RFC 3261 transactions seen: one for each hop of the request, and for each fork."""
        return self._transaction.branches

    @property
    def spiral(self) -> bool:
        """Whether the request passed through the same host twice."""
        return self._transaction.spiral

    @property
    def traced(self) -> bool:
        """Whether the whole transaction is traced."""
        return bool(self._transaction.traces or self._transaction.hooked)

    def __repr__(self) -> str:
        return f"Transaction(method={self.method!r}, cseq={self.cseq}, from_tag={self.from_tag!r})"
