"""Which member of a group gets a message. Hot: compiled with rendezvous.pxd, or plain Python.

Rendezvous hashing: a member's score for a call is a mix of two hashes, the call's and the member's; the member with the
highest score gets the call. So a member that leaves moves its own calls only, and gets the same ones when it is back.

The hashes are BLAKE2b with eight bytes, big-endian, and the group's seed as its key (RFC 7693); the mix is the
finalizer of SplitMix64. All agents with the same seed and names of members choose alike, in both builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import cython

from capture_agent.records.call_key import call_key
from capture_agent.records.traced import TracedMessage

MASK_64 = (1 << 64) - 1
FIRST = cython.declare(cython.ulonglong, 0xBF58476D1CE4E5B9)
SECOND = cython.declare(cython.ulonglong, 0x94D049BB133111EB)


@cython.final
@cython.cclass
class MemberChoice:
    """How a group chooses, for as long as the same members are there.

    bit      the group's, of TracedMessage.sinks
    fixed    the bits of the members that get every message; 0: one of `bits` by hash
    by_leg   whether the correlation id is hashed, where there is one, and not the Call-ID
    weights  hashes of the members
    bits     theirs, in the same order
    """

    __slots__ = ("bit", "bits", "by_leg", "fixed", "seed", "weights")

    def __init__(
        self,
        bit: int,
        fixed: int,
        by_leg: bool = False,
        seed: bytes = b"",
        weights: list[int] | None = None,
        bits: list[int] | None = None,
    ) -> None:
        self.bit = bit
        self.fixed = fixed
        self.by_leg = by_leg
        self.seed = seed
        self.weights = weights or []
        self.bits = bits or []


def hashed(text: bytes, seed: bytes) -> int:
    """64 bits."""
    return int.from_bytes(blake2b(text, digest_size=8, key=seed).digest(), "big")


def score(call: cython.ulonglong, member: cython.ulonglong) -> cython.ulonglong:
    mixed: cython.ulonglong = call ^ member
    mixed = (mixed ^ (mixed >> 30)) * FIRST
    if not cython.compiled:  # where numbers do not wrap around
        mixed &= MASK_64
    mixed = (mixed ^ (mixed >> 27)) * SECOND
    if not cython.compiled:
        mixed &= MASK_64
    return mixed ^ (mixed >> 31)


def best(call: cython.ulonglong, choice: MemberChoice) -> cython.int:
    """The number of the member with the highest score."""
    found: cython.int = 0
    n: cython.int
    highest: cython.ulonglong = 0
    one: cython.ulonglong
    for n in range(len(choice.weights)):
        one = score(call, choice.weights[n])
        if one > highest:
            highest, found = one, n
    return found


def member_bit(choice: MemberChoice, traced: TracedMessage) -> cython.ulonglong:
    """The bits of the members that get this message of the group."""
    if choice.fixed:
        return choice.fixed
    call: cython.ulonglong = hashed(call_key(traced, choice.by_leg), choice.seed)
    return choice.bits[best(call, choice)]


def share(batch: Sequence[TracedMessage], choices: Sequence[MemberChoice]) -> list[int]:
    """For each message, the bits of the sinks that get it. None gets a message twice, whatever names it."""
    found: list[int] = []
    traced: TracedMessage
    choice: MemberChoice
    last: object = None
    sinks: cython.ulonglong
    given: cython.ulonglong = 0
    for traced in batch:
        sinks = traced.sinks
        for choice in choices:
            if traced.sinks & choice.bit:
                sinks |= member_bit(choice, traced)
        if traced.message is last:  # under another trace
            sinks &= ~given
        else:
            last, given = traced.message, 0
        given |= sinks
        found.append(sinks)
    return found
