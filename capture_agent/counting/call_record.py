"""One call, as far as it was seen. Hot: compiled with call_record.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.counting.due_times import Timed

if not cython.compiled:
    # The states; counting/__init__.py has the picture.
    OPEN = 0
    RINGING = 1
    PENDING = 2  # failed, with a status after which the caller may try again
    OVER = 3  # failed, cancelled or abandoned
    ANSWERED = 4
    ENDED = 5

MOST_MORE_BRANCHES = cython.declare(cython.Py_ssize_t, 7)
MOST_LEGS = cython.declare(cython.Py_ssize_t, 4)
MOST_BYES = cython.declare(cython.Py_ssize_t, 4)

Bye = tuple[int, bool, int, int]  # a BYE that waits: the callee's tag, whether the caller sent it, branch, when


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class CallRecord(Timed):
    """A Call-ID from its first INVITE.

    tag          the caller's, in From of its INVITE
    cseq         of the last INVITE
    depth        of the nearest hops: so many Vias
    status       the failure that counts so far (RFC 3261 16.7), and its Q.850 cause; 0: none
    shown        whether 18x or 2xx was seen: session request delay is taken once for each INVITE
    cancel_cause  the Q.850 cause of the CANCEL
    ending       how it counts when it ends now: a call_counts.Count
    bye_branch   of the first BYE that waits for an answer; 0: none does
    bye_ns       when the last leg was ended: its first BYE
    begun_ns     the first INVITE; asked_ns: the last one; accepted_ns: a 2xx on a farther hop
    """

    __slots__ = (
        "_branch", "_bye_by_caller", "_bye_leg", "_bye_sent_ns", "_leg", "_more_branches", "_more_byes", "_more_legs",
        "accepted_ns", "answered_ns", "asked_ns", "begun_ns", "bye_branch", "bye_ns", "cancel_cause", "cancelled",
        "cause", "cseq", "depth", "ending", "shown", "side", "state", "status", "tag",
    )  # fmt: skip

    def begin(
        self, key: cython.ulonglong, tag: cython.ulonglong, side: cython.int, now_ns: cython.longlong
    ) -> cython.bint:
        self.start(key)
        self.tag = tag
        self.side = side
        self._leg = 0  # a To tag that has sent 2xx, and for which no BYE was answered,
        self._more_legs: list[int] | None = None  # and further ones: of forks
        self.bye_branch = 0
        self._bye_leg = 0
        self._bye_by_caller = False
        self._bye_sent_ns = 0
        self._more_byes: list[Bye] | None = None  # that wait as well: of further legs, or from the other side
        self.begun_ns = now_ns
        self.answered_ns = self.bye_ns = 0
        self.ending = 0
        return True

    def ask(
        self, cseq: cython.longlong, depth: cython.int, branch: cython.ulonglong, now_ns: cython.longlong
    ) -> cython.bint:
        """An INVITE that begins the call, or tries again."""
        self.cseq = cseq
        self.state = OPEN
        self.asked_ns = now_ns
        self.accepted_ns = 0
        self.cancelled = self.shown = False
        self.cancel_cause = 0
        return self._nearest(depth, branch)

    def _nearest(self, depth: cython.int, branch: cython.ulonglong) -> cython.bint:
        self.depth = depth
        self._branch = branch  # one without a final response,
        self._more_branches: list[int] | None = None  # and further ones: of forks
        self.status = self.cause = 0
        return True

    def has_branch(self, branch: cython.ulonglong) -> cython.bint:
        """Whether it is of a nearest hop, and waits for a final response."""
        return branch == self._branch or (self._more_branches is not None and branch in self._more_branches)

    def close_branches(self) -> cython.bint:
        """None is waited for any more."""
        self._branch = 0
        self._more_branches = None
        return True

    def add_branch(self, depth: cython.int, branch: cython.ulonglong) -> cython.bint:
        """The same INVITE on another hop; whether it is one of the nearest."""
        if depth > self.depth:
            return False
        if depth < self.depth:
            return self._nearest(depth, branch)
        if not self._branch:
            self._branch = branch
        elif not self.has_branch(branch):
            if self._more_branches is None:
                self._more_branches = []
            if len(self._more_branches) < MOST_MORE_BRANCHES:
                self._more_branches.append(branch)
        return True

    def fail(self, branch: cython.ulonglong, status: cython.int, cause: cython.int) -> cython.bint:
        """A failure on this branch; whether it was the last one of the nearest.

        Of several failures that counts which a proxy would choose: 6xx, or else the lowest class (RFC 3261 16.7).
        """
        if not self.has_branch(branch):
            return False
        if branch != self._branch:
            self._more_branches.remove(branch)  # type: ignore[union-attr]
        else:
            self._branch = self._more_branches.pop() if self._more_branches else 0
        better: cython.bint = status >= 600 or status // 100 < self.status // 100
        if not self.status or (self.status < 600 and better):
            self.status = status
            self.cause = cause
        return not self._branch

    def add_leg(self, tag: cython.ulonglong) -> cython.bint:
        """A callee with this tag has answered."""
        if not self._leg:
            self._leg = tag
        elif tag != self._leg:
            if self._more_legs is None:
                self._more_legs = []
            if tag not in self._more_legs and len(self._more_legs) < MOST_LEGS:
                self._more_legs.append(tag)
        return True

    def add_bye(
        self, leg: cython.ulonglong, by_caller: cython.bint, branch: cython.ulonglong, now_ns: cython.longlong
    ) -> cython.bint:
        """A BYE to or from the callee with this tag; whether it is the first one that waits."""
        if not self.bye_branch:
            self.bye_branch = branch
            self._bye_leg = leg
            self._bye_by_caller = by_caller
            self._bye_sent_ns = now_ns
            return True
        if self._more_byes is None:
            self._more_byes = []
        if len(self._more_byes) < MOST_BYES:
            self._more_byes.append((leg, by_caller, branch, now_ns))
        return False

    def waits_for(self, leg: cython.ulonglong, by_caller: cython.bint) -> cython.bint:
        """Whether a BYE of this side for this callee waits for an answer."""
        if self.bye_branch and self._bye_leg == leg and self._bye_by_caller == by_caller:
            return True
        return self._more_byes is not None and any(one[0] == leg and one[1] == by_caller for one in self._more_byes)

    def take_bye(self, branch: cython.ulonglong) -> cython.longlong:
        """When the BYE on this branch was sent, which waits no more; -1: none does on it."""
        at: cython.Py_ssize_t
        if not self._more_byes:
            if branch != self.bye_branch:
                return -1
            self.bye_branch = 0
            self.bye_ns = self._bye_sent_ns
            return self.bye_ns
        byes = [(self._bye_leg, self._bye_by_caller, self.bye_branch, self._bye_sent_ns), *self._more_byes]
        for at in range(len(byes)):
            leg, _, its_branch, sent_ns = byes[at]
            if its_branch == branch:
                self.bye_ns = min([one[3] for one in byes if one[0] == leg])
                del byes[at]
                self._bye_leg, self._bye_by_caller, self.bye_branch, self._bye_sent_ns = byes.pop(0)
                self._more_byes = byes
                return sent_ns
        return -1

    def end_unanswered(self) -> cython.bint:
        """Nobody answers the BYEs that wait: they are over, and so are their legs; whether none is left."""
        over: cython.bint = False
        while self.bye_branch:
            leg: cython.ulonglong = self._bye_leg
            self.take_bye(self.bye_branch)
            if self.end_leg(leg):
                over = True
        return over

    def end_leg(self, tag: cython.ulonglong) -> cython.bint:
        """The call with this callee has ended; whether none is left. A tag of nobody ends nothing.

        Peers of RFC 2543 leave the tag out: that ends all.
        """
        if not tag or not self._leg:
            return True
        if self._more_legs is not None and tag in self._more_legs:
            self._more_legs.remove(tag)
            return False
        if tag != self._leg:
            return False
        self._leg = self._more_legs.pop() if self._more_legs else 0
        return not self._leg
