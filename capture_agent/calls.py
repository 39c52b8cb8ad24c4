"""What a message belongs to: its transaction and its dialog. Hot: compiled with calls.pxd, or plain Python.

`correlate` makes and ends them, `policy` writes down what of them is traced, and hooks read them.
"""

from __future__ import annotations

from array import array
from enum import IntEnum

import cython

FIRST_MARKS = cython.declare(cython.int, 8)  # messages of a transaction that are remembered within it
MOST_MARKS = cython.declare(cython.int, 64)  # and in all
MOST_TAGS = cython.declare(cython.int, 8)

# What remember() says of a message.
KNOWN = cython.declare(cython.int, 0)
NEW = cython.declare(cython.int, 1)
NEW_BUT_FORGOTTEN = cython.declare(cython.int, 2)


class TransactionState(IntEnum):
    """RFC 3261 17.1 and RFC 6026, as far as they show from outside. The first five are those of an INVITE."""

    CALLING = 0
    PROCEEDING = 1  # a provisional response was seen
    ACCEPTED = 2  # 2xx
    COMPLETED = 3  # every branch has its final response, and none is 2xx
    CONFIRMED = 4  # and there was an ACK for it
    TRYING = 5
    ANSWERED = 6  # RFC 3261 17.1.2: Completed


class DialogState(IntEnum):
    """RFC 3261 12. A dialog that forks have made is confirmed with the first 2xx, and ends with the last BYE."""

    EARLY = 0
    CONFIRMED = 1
    ENDED = 2


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class Dialog:
    """The dialogs that one request of a caller has made: with forks, several that differ in the To tag.

    state   of the type DialogState
    joined  its beginning was not seen: `caller_tag` is that of whoever was seen to speak first
    traces  Trace: everything in this dialog is traced so
    hooked  the same, by hooks: over what rules decide
    """

    __slots__ = (
        "_answered", "_born_ns", "_last_ns", "_next", "_other_tags", "_tag", "call_id", "caller_tag", "hooked",
        "joined", "method", "state", "traces",
    )  # fmt: skip

    def __init__(self, call_id: bytes, caller_tag: bytes, method: bytes) -> None:
        self.call_id = call_id
        self.caller_tag = caller_tag
        self.method = method  # INVITE, SUBSCRIBE, REFER
        self.state = 0
        self.joined = False
        self.traces: tuple[object, ...] = ()
        self.hooked: tuple[object, ...] = ()
        self._next: Dialog | None = None
        self._born_ns = 0
        self._last_ns = 0
        self._tag: bytes | None = None
        self._other_tags: tuple[bytes, ...] | None = None
        self._answered = 0  # a bit for each callee that has sent 2xx and no BYE came for

    @property
    def callee_tags(self) -> tuple[bytes, ...]:
        """In the order in which they were seen; of very many forks not all."""
        return () if self._tag is None else (self._tag, *(self._other_tags or ()))

    def callee(self, tag: bytes) -> cython.int:
        """The place of this tag among callee_tags, or -1."""
        if self._tag is None:
            return -1
        if tag == self._tag:
            return 0
        if self._other_tags is None or tag not in self._other_tags:
            return -1
        return 1 + self._other_tags.index(tag)

    def add_callee(self, tag: bytes) -> cython.int:
        """The place of this tag, which is added if there is room; -1 if there is none."""
        place: cython.int = self.callee(tag)
        if place >= 0:
            return place
        if self._tag is None:
            self._tag = tag
            return 0
        others: tuple[bytes, ...] = self._other_tags or ()
        if len(others) + 1 >= MOST_TAGS:
            return -1
        self._other_tags = (*others, tag)
        return len(others) + 1


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class Transaction:
    """A request as it goes from hop to hop, its responses, CANCEL, and the ACK for a failure.

    What a proxy sends on belongs to it as well: the same Call-ID, CSeq number and From tag.

    state     of the type TransactionState
    branches  RFC 3261's transactions that were seen in it: one for each hop of the request, and for each fork
    spiral    the request came through the same host twice
    traces    Trace: everything in this transaction is traced so
    hooked    the same, by hooks: over what rules decide
    """

    __slots__ = (
        "_first_hop", "_hops", "_initial", "_kind", "_last_ns", "_marked", "_marks", "_more", "_next", "_open", "cseq",
        "dialog", "from_tag", "hooked", "method", "spiral", "state", "traces",
    )  # fmt: skip

    def __init__(self, method: bytes, cseq: int, from_tag: bytes, dialog: Dialog | None = None) -> None:
        self.method = method
        self.cseq = cseq
        self.from_tag = from_tag
        self.dialog = dialog
        self.traces: tuple[object, ...] = ()
        self.hooked: tuple[object, ...] = ()
        self.state = 0
        self.spiral = False
        self._next: Transaction | None = None
        self._kind = 0
        self._initial = False  # it makes a dialog
        self._last_ns = 0
        self._open = 0  # branches without a final response
        self._first_hop = 0  # a hash of its request's top Via and URI
        self._hops: array[int] | None = None  # those of the others
        self._marked = 0
        self._more: array[int] | None = None
        if not cython.compiled:
            self._marks: list[int] = []

    @property
    def branches(self) -> int:
        return (self._first_hop != 0) + (0 if self._hops is None else len(self._hops))

    def remember(self, mark: cython.ulonglong) -> cython.int:
        """Whether a message with this mark was seen before: KNOWN, NEW, or NEW_BUT_FORGOTTEN for want of room."""
        i: cython.int
        if not cython.compiled:
            if mark in self._marks:
                return KNOWN
            if len(self._marks) >= MOST_MARKS:
                return NEW_BUT_FORGOTTEN
            self._marks.append(mark)
            return NEW
        for i in range(self._marked):
            if self._marks[i] == mark:
                return KNOWN
        if self._marked < FIRST_MARKS:
            self._marks[self._marked] = mark
            self._marked += 1
            return NEW
        return self._remember_more(mark)

    def _remember_more(self, mark: cython.ulonglong) -> cython.int:
        if self._more is None:
            self._more = array("Q")
        if mark in self._more:
            return KNOWN
        if FIRST_MARKS + len(self._more) >= MOST_MARKS:
            return NEW_BUT_FORGOTTEN
        self._more.append(mark)
        return NEW

    def knows_hop(self, hop: cython.ulonglong) -> cython.bint:
        """Was the request seen with this top Via and URI? An ACK for a failure has them as well (RFC 3261 17.1.1.3)."""
        return hop == self._first_hop or (self._hops is not None and hop in self._hops)

    def add_hop(self, hop: cython.ulonglong) -> cython.bint:
        """Remember it; False if it is known, or there are too many."""
        if not self._first_hop:
            self._first_hop = hop
            return True
        if self.knows_hop(hop):
            return False
        if self._hops is None:
            self._hops = array("Q")
        if len(self._hops) >= MOST_MARKS:
            return False
        self._hops.append(hop)
        return True
