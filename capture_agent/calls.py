"""What a message belongs to: its transaction and its dialog. Hot: compiled with calls.pxd, or plain Python.

`correlate` makes and ends them, `policy` writes down what of them is traced, and hooks read them.
"""

from __future__ import annotations

import cython


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Dialog:
    """The dialogs that one request of a caller has made: with forks, several that differ in the To tag."""

    __slots__ = ("call_id", "caller_tag", "hooked", "method", "traces")

    def __init__(self, call_id: bytes, caller_tag: bytes, method: bytes) -> None:
        self.call_id = call_id
        self.caller_tag = caller_tag
        self.method = method  # INVITE, SUBSCRIBE
        self.traces: tuple[object, ...] = ()  # Trace: everything in this dialog is traced so
        self.hooked: tuple[object, ...] = ()  # the same, by hooks: over what rules decide


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class Transaction:
    """A request as it goes from hop to hop, its responses, CANCEL, and the ACK for a failure.

    What a proxy sends on belongs to it as well: the same Call-ID, CSeq number and From tag.
    """

    __slots__ = ("cseq", "dialog", "from_tag", "hooked", "method", "traces")

    def __init__(self, method: bytes, cseq: int, from_tag: bytes, dialog: Dialog | None = None) -> None:
        self.method = method
        self.cseq = cseq
        self.from_tag = from_tag
        self.dialog = dialog
        self.traces: tuple[object, ...] = ()  # Trace: everything in this transaction is traced so
        self.hooked: tuple[object, ...] = ()  # the same, by hooks: over what rules decide
