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

MOST_BRANCHES = cython.declare(cython.Py_ssize_t, 8)
MOST_LEGS = cython.declare(cython.Py_ssize_t, 4)


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.cclass
class CallRecord(Timed):
    """A Call-ID from its first INVITE.

    tag          the caller's, in From of its INVITE
    cseq         of the last INVITE
    depth        of the nearest hops: so many Vias
    branches     of them, those without a final response
    status       the failure that counts so far (RFC 3261 16.7), and its Q.850 cause; 0: none
    shown        whether 18x or 2xx was seen: session request delay is taken once for each INVITE
    ending       how it counts when it ends now: a calls.Count
    bye_branch   of the BYE that waits for an answer; 0: none does
    begun_ns     the first INVITE; asked_ns: the last one; accepted_ns: a 2xx on a farther hop
    """

    __slots__ = (
        "_leg", "_more_legs", "accepted_ns", "answered_ns", "asked_ns", "begun_ns", "branches", "bye_branch", "bye_ns",
        "cancelled", "cause", "cseq", "depth", "ending", "key", "shown", "side", "state", "status", "tag",
    )  # fmt: skip

    def __init__(self, key: cython.ulonglong, tag: cython.ulonglong, side: cython.int, now_ns: cython.longlong) -> None:
        Timed.__init__(self)
        self.key = key
        self.tag = tag
        self.side = side
        self._leg = 0  # a To tag that has sent 2xx, and for which no BYE was answered,
        self._more_legs: list[int] | None = None  # and further ones: of forks
        self.bye_branch = 0
        self.begun_ns = now_ns
        self.answered_ns = self.bye_ns = 0
        self.ending = 0

    def ask(
        self, cseq: cython.longlong, depth: cython.int, branch: cython.ulonglong, now_ns: cython.longlong
    ) -> cython.bint:
        """An INVITE that begins the call, or tries again."""
        self.cseq = cseq
        self.state = OPEN
        self.asked_ns = now_ns
        self.accepted_ns = 0
        self.cancelled = self.shown = False
        return self._nearest(depth, branch)

    def _nearest(self, depth: cython.int, branch: cython.ulonglong) -> cython.bint:
        self.depth = depth
        self.branches = [branch]
        self.status = self.cause = 0
        return True

    def add_branch(self, depth: cython.int, branch: cython.ulonglong) -> cython.bint:
        """The same INVITE on another hop; whether it is one of the nearest."""
        if depth > self.depth:
            return False
        if depth < self.depth:
            return self._nearest(depth, branch)
        if branch not in self.branches and len(self.branches) < MOST_BRANCHES:
            self.branches.append(branch)
        return True

    def fail(self, branch: cython.ulonglong, status: cython.int, cause: cython.int) -> cython.bint:
        """A failure on this branch; whether it was the last one of the nearest.

        Of several failures that counts which a proxy would choose: 6xx, or else the lowest class (RFC 3261 16.7).
        """
        if branch not in self.branches:
            return False
        self.branches.remove(branch)
        better: cython.bint = status >= 600 or status // 100 < self.status // 100
        if not self.status or (self.status < 600 and better):
            self.status = status
            self.cause = cause
        return not self.branches

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

    def end_leg(self, tag: cython.ulonglong) -> cython.bint:
        """The call with this callee has ended; whether none is left. A tag of nobody ends nothing.

        PeerNames of RFC 2543 leave the tag out: that ends all.
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
