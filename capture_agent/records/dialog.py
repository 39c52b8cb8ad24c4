"""The transaction and the dialog of a message. Hot: compiled with dialog.pxd, or plain Python.

`correlate` creates and ends them, `policy` stores what is traced of them, and hooks read them.
"""

from __future__ import annotations

from array import array
from enum import IntEnum

import cython

if not cython.compiled:
    FIRST_MARKS = 8  # messages of a transaction that are remembered within it

    # Memory is counted in these: Python's allocator gives multiples of 16 bytes.
    UNIT = 16
    SHIFT = 4
    BYTES_MORE = 48  # what an object of bytes takes more, 33 bytes, and what rounds up

    # What remember() says of a message.
    KNOWN = 0
    NEW = 1
    NEW_BUT_FORGOTTEN = 2

    # TransactionState and DialogState, which say what they mean.
    TRANSACTION_CALLING = 0
    TRANSACTION_PROCEEDING = 1
    TRANSACTION_ACCEPTED = 2
    TRANSACTION_COMPLETED = 3
    TRANSACTION_CONFIRMED = 4
    TRANSACTION_TRYING = 5
    TRANSACTION_ANSWERED = 6
    DIALOG_EARLY = 0
    DIALOG_CONFIRMED = 1
    DIALOG_ENDED = 2

MOST_MARKS = cython.declare(cython.int, 64)  # messages of a transaction that are remembered
MOST_TAGS = cython.declare(cython.int, 8)

ARRAY = cython.declare(cython.int, 9)  # units: an array, with what it keeps in hand; two items take one more
MARK = 4  # plain only: a mark is an object
MOST_UNITS = cython.declare(cython.int, 0xFFFF)  # of one transaction or dialog
CALLEE = cython.declare(cython.int, 8)  # beside its tag: a tuple and a number, and a place in a tuple


class TransactionState(IntEnum):
    """RFC 3261 17.1 and RFC 6026, as far as they show from outside. The first five are those of an INVITE."""

    CALLING = TRANSACTION_CALLING
    PROCEEDING = TRANSACTION_PROCEEDING  # a provisional response was seen
    ACCEPTED = TRANSACTION_ACCEPTED  # 2xx
    COMPLETED = TRANSACTION_COMPLETED  # every branch has its final response, and none is 2xx
    CONFIRMED = TRANSACTION_CONFIRMED  # and there was an ACK for it
    TRYING = TRANSACTION_TRYING
    ANSWERED = TRANSACTION_ANSWERED  # RFC 3261 17.1.2: Completed


class DialogState(IntEnum):
    """RFC 3261 12. One that forks have made is confirmed with the first 2xx, and ends with the 2xx to the last BYE."""

    EARLY = DIALOG_EARLY
    CONFIRMED = DIALOG_CONFIRMED
    ENDED = DIALOG_ENDED


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(1024)
@cython.cclass
class Dialog:
    """The dialogs that one request of a caller has made: with forks, several that differ in the To tag.

    state   of the type DialogState
    joined  its beginning was not seen: `caller_tag` is that of whoever was seen to speak first
    confirming_cseq  of the request whose 2xx has made it; 0: none was seen
    traces  Trace: everything in this dialog is traced so
    hooked  the same, by hooks: over what rules decide
    """

    __slots__ = (
        "_answered", "_born_ns", "_callee", "_callee_at", "_caller", "_caller_at", "_last_ns", "_next", "_others",
        "_text", "_units", "confirming_cseq", "hooked", "joined", "method", "state", "traces",
    )  # fmt: skip

    def __init__(self, call_id: bytes, caller_tag: bytes, method: bytes) -> None:
        self.method = method  # INVITE, SUBSCRIBE, REFER
        self.state = 0
        self.joined = False
        self.confirming_cseq = 0
        self.traces: tuple[object, ...] = ()
        self.hooked: tuple[object, ...] = ()
        self._next: Dialog | None = None
        self._born_ns = 0
        self._last_ns = 0
        # The Call-ID, the caller's tag and the first callee's: three objects would cost more to make than to cut.
        self._text = call_id + caller_tag
        self._caller_at = len(call_id)
        self._callee_at = len(self._text)
        self._caller = 0  # the tags as numbers, which are compared instead (reading.tag_key); 0: there is none
        self._callee = 0
        self._others: tuple[tuple[int, bytes], ...] | None = None  # further callees
        self._units = 0  # that its texts and traces take, once the table counts it
        self._answered = 0  # a bit for each callee that has sent 2xx and no BYE came for

    @property
    def call_id(self) -> bytes:
        return self._text[: self._caller_at]

    @property
    def caller_tag(self) -> bytes:
        return self._text[self._caller_at : self._callee_at]

    @property
    def callee_tags(self) -> tuple[bytes, ...]:
        """In the order in which they were seen; of very many forks not all."""
        if not self._callee:
            return ()
        return (self._text[self._callee_at :], *(tag for _, tag in self._others or ()))

    def tag(self, key: cython.ulonglong) -> bytes:
        """The tag that this number is of."""
        place: cython.int = self.callee(key)
        return self.caller_tag if key == self._caller or place < 0 else self.callee_tags[place]

    def has(self, key: cython.ulonglong) -> cython.bint:
        """Is it the number of one of the tags?"""
        return key == self._caller or self.callee(key) >= 0

    def callee(self, key: cython.ulonglong) -> cython.int:
        """The place of the tag with this number among callee_tags, or -1."""
        if not key or not self._callee:
            return -1
        if key == self._callee:
            return 0
        if self._others is None:
            return -1
        return next((place for place, (other, _) in enumerate(self._others, start=1) if other == key), -1)

    def hold(self, units: cython.int) -> cython.int:
        """Its traces take so many units of memory more, or less; how many of them count."""
        units = max(-self._units, min(units, MOST_UNITS - self._units))
        self._units += units
        return units

    def add_callee(self, key: cython.ulonglong, tag: bytes) -> cython.int:
        """One that is not among them yet, if there is room: its place, or -1."""
        if not self._callee:
            before: cython.int = (len(self._text) + BYTES_MORE) >> SHIFT
            self._text += tag
            self._units += ((len(self._text) + BYTES_MORE) >> SHIFT) - before
            self._callee = key
            return 0
        others: tuple[tuple[int, bytes], ...] = self._others or ()
        if len(others) + 1 >= MOST_TAGS:
            return -1
        self._others = (*others, (key, tag))
        self._units += CALLEE + ((len(tag) + BYTES_MORE) >> SHIFT)
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
        "_ends", "_first_hop", "_from", "_from_tag", "_hops", "_initial", "_kind", "_last_ns", "_marked", "_marks",
        "_more", "_next", "_open", "_units", "cseq", "dialog", "hooked", "method", "spiral", "state", "traces",
    )  # fmt: skip

    def __init__(self, method: bytes, cseq: int, from_tag: bytes, dialog: Dialog | None = None) -> None:
        self.method = method
        self.cseq = cseq
        self._from = 0  # the tag as a number
        self._from_tag: bytes | None = from_tag  # None: the dialog has it
        self.dialog = dialog
        self.traces: tuple[object, ...] = ()
        self.hooked: tuple[object, ...] = ()
        self.state = 0
        self.spiral = False
        self._next: Transaction | None = None
        self._kind = 0
        self._initial = False  # it makes a dialog
        self._ends = False  # a 2xx to it ends its dialog
        self._last_ns = 0
        self._units = 0  # that it takes beside what each takes
        self._open = 0  # branches without a final response
        self._first_hop = 0  # a hash of its request's top Via and URI
        self._hops: array[int] | None = None  # those of the others
        self._marked = 0
        self._more: array[int] | None = None
        if not cython.compiled:
            self._marks: list[int] = []

    @property
    def from_tag(self) -> bytes:
        if self._from_tag is None and self.dialog is not None:
            return self.dialog.tag(self._from)
        return self._from_tag or b""

    @property
    def branches(self) -> int:
        return (self._first_hop != 0) + (0 if self._hops is None else len(self._hops))

    def hold(self, units: cython.int) -> cython.int:
        """Its traces take so many units of memory more, or less; how many of them count."""
        units = max(-self._units, min(units, MOST_UNITS - self._units))
        self._units += units
        return units

    def remember(self, mark: cython.ulonglong) -> cython.int:
        """Whether a message with this mark was seen before: KNOWN, NEW, or NEW_BUT_FORGOTTEN for want of room."""
        i: cython.int
        if not cython.compiled:
            if mark in self._marks:
                return KNOWN
            if len(self._marks) >= MOST_MARKS:
                return NEW_BUT_FORGOTTEN
            self._units += MARK
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
            self._units += ARRAY
            self._more = array("Q")
        if mark in self._more:
            return KNOWN
        if FIRST_MARKS + len(self._more) >= MOST_MARKS:
            return NEW_BUT_FORGOTTEN
        self._more.append(mark)
        self._units += len(self._more) & 1
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
            self._units += ARRAY
            self._hops = array("Q")
        if len(self._hops) >= MOST_MARKS:
            return False
        self._hops.append(hop)
        self._units += len(self._hops) & 1
        return True
