"""The transaction and the dialog of a message. Hot: compiled with dialog.pxd, or plain Python.

`correlate` creates and ends them, `policy` stores their traces, and hooks read them.
"""

from __future__ import annotations

from array import array
from enum import IntEnum

import cython

if not cython.compiled:
    FIRST_MARKS = 8  # messages that a transaction remembers within itself

    # Memory is counted in these units: Python's allocator returns multiples of 16 bytes.
    UNIT = 16
    SHIFT = 4
    BYTES_MORE = 48  # overhead of a bytes object, 33 bytes, and rounding

    # Results of remember().
    KNOWN = 0
    NEW = 1
    NEW_BUT_FORGOTTEN = 2

    # TransactionState and DialogState, which explain them, as integers.
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

MOST_MARKS = cython.declare(cython.int, 64)  # messages that a transaction remembers
MOST_TAGS = cython.declare(cython.int, 8)

ARRAY = cython.declare(cython.int, 9)  # units: an array with its spare room; two items take one more
MARK = 4  # plain build only: a mark is an object
MOST_UNITS = cython.declare(cython.int, 0xFFFF)  # for one transaction or dialog
CALLEE = cython.declare(cython.int, 8)  # in addition to its tag: a tuple and a number, and a place in a tuple


class TransactionState(IntEnum):
    """RFC 3261 17.1 and RFC 6026, as far as visible from outside. The first five are an INVITE's."""

    CALLING = TRANSACTION_CALLING
    PROCEEDING = TRANSACTION_PROCEEDING  # a provisional response was seen
    ACCEPTED = TRANSACTION_ACCEPTED  # 2xx
    COMPLETED = TRANSACTION_COMPLETED  # every branch has a final response, none of them 2xx
    CONFIRMED = TRANSACTION_CONFIRMED  # COMPLETED, and an ACK was seen
    TRYING = TRANSACTION_TRYING
    ANSWERED = TRANSACTION_ANSWERED  # RFC 3261 17.1.2: Completed


class DialogState(IntEnum):
    """RFC 3261 12. A forked dialog is confirmed by the first 2xx, and ended by the 2xx to the last BYE."""

    EARLY = DIALOG_EARLY
    CONFIRMED = DIALOG_CONFIRMED
    ENDED = DIALOG_ENDED


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class Dialog:
    """The dialogs that one request of a caller has created: with forks, several that differ in the To tag.

    state   a DialogState
    joined  its beginning was missed: `caller_tag` belongs to the first sender seen
    confirming_cseq  of the request whose 2xx confirmed it; 0: none was seen
    traces  each a Trace for everything in this dialog
    hooked  the same, by hooks: they override rules
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
        # The Call-ID, the caller's tag and the first callee's: slicing costs less than creating three objects.
        self._text = call_id + caller_tag
        self._caller_at = len(call_id)
        self._callee_at = len(self._text)
        self._caller = 0  # the tags as numbers, which are compared instead (marks.tag_key); 0: none
        self._callee = 0
        self._others: tuple[tuple[int, bytes], ...] | None = None  # further callees
        self._units = 0  # units of its texts and traces, once the table counts it
        self._answered = 0  # a bit for each callee that has sent 2xx and was not ended by a BYE

    @property
    def call_id(self) -> bytes:
        return self._text[: self._caller_at]

    @property
    def caller_tag(self) -> bytes:
        return self._text[self._caller_at : self._callee_at]

    @property
    def callee_tags(self) -> tuple[bytes, ...]:
        """In order of appearance; not all of very many forks."""
        if not self._callee:
            return ()
        return (self._text[self._callee_at :], *(tag for _, tag in self._others or ()))

    def tag(self, key: cython.ulonglong) -> bytes:
        """The tag with this number."""
        place: cython.int = self.callee(key)
        return self.caller_tag if key == self._caller or place < 0 else self.callee_tags[place]

    def has(self, key: cython.ulonglong) -> cython.bint:
        """Whether it is the number of one of the tags."""
        return key == self._caller or self.callee(key) >= 0

    def callee(self, key: cython.ulonglong) -> cython.int:
        """The index of the tag with this number in callee_tags, or -1."""
        if not key or not self._callee:
            return -1
        if key == self._callee:
            return 0
        if self._others is None:
            return -1
        return next((place for place, (other, _) in enumerate(self._others, start=1) if other == key), -1)

    def hold(self, units: cython.int) -> cython.int:
        """Its traces take this many more (or fewer) units of memory. Returns how many of them count."""
        units = max(-self._units, min(units, MOST_UNITS - self._units))
        self._units += units
        return units

    def add_callee(self, key: cython.ulonglong, tag: bytes) -> cython.int:
        """Add a new one, if there is room. Returns its index, or -1."""
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
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class Transaction:
    """A request on all its hops, its responses, CANCEL, and the ACK for a failure.

    Includes the messages that proxies forward: the same Call-ID, CSeq number and From tag.

    state     a TransactionState
    branches  the RFC 3261 transactions seen in it: one per hop of the request, and per fork
    spiral    the request passed the same host twice
    traces    each a Trace for everything in this transaction
    hooked    the same, by hooks: they override rules
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
        self._initial = False  # it creates a dialog
        self._ends = False  # a 2xx to it ends its dialog
        self._last_ns = 0
        self._units = 0  # units in addition to what each transaction takes
        self._open = 0  # branches without a final response
        self._first_hop = 0  # a hash of its request's top Via and URI
        self._hops: array[int] | None = None  # the other branches' hashes
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
        """Its traces take this many more (or fewer) units of memory. Returns how many of them count."""
        units = max(-self._units, min(units, MOST_UNITS - self._units))
        self._units += units
        return units

    def remember(self, mark: cython.ulonglong) -> cython.int:
        """Whether a message with this mark was seen before: KNOWN, NEW, or, if there is no room, NEW_BUT_FORGOTTEN."""
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
        """Whether the request was seen with this top Via and URI. An ACK for a failure has both (RFC 3261 17.1.1.3)."""
        return hop == self._first_hop or (self._hops is not None and hop in self._hops)

    def add_hop(self, hop: cython.ulonglong) -> cython.bint:
        """Remember it. False: it is known, or there are too many."""
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
