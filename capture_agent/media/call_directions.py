"""Whether an answered call had media in the directions that its descriptions want.

The caller's side is that of the first description's author, known by the tag. RTP that goes to a place of one side, or
comes from a place of the other, is heard by that side: behind NAT, one end of a packet is in no description. What was
wanted and what was heard are those of the whole call: one that was put on hold, or ends on hold, is not one-way.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from capture_agent.clock import SECOND_NS
from capture_agent.media.media_addresses import LONGEST, MOST_MEDIA
from capture_agent.records.captured import CapturedMessage

CALLER, CALLEE, BOTH = 1, 2, 3  # who hears it
SHORTEST_NS = 3 * SECOND_NS  # an answered call without media that was shorter may just not have begun

# RFC 8866 6.7: whether its author sends, and whether it listens.
ATTRIBUTES = {
    b"a=sendrecv": (True, True),
    b"a=sendonly": (True, False),
    b"a=recvonly": (False, True),
    b"a=inactive": (False, False),
}


class Heard(StrEnum):
    """What was heard. NOT_JUDGED: no media was wanted, the call was too short for it, or another one has its places."""

    COMPLETE = "complete"
    ONE_WAY = "one_way"
    NOTHING = "none"
    NOT_JUDGED = "not_judged"


class CallDirections:
    """Of one call. `side`: of the metrics, as its first description was seen."""

    __slots__ = (
        "answered_ns", "caller_places", "caller_tag", "expected", "heard", "shared", "side",
        "wanted_by_callee", "wanted_by_caller",
    )  # fmt: skip

    def __init__(self, caller_tag: int, side: int) -> None:
        self.caller_tag = caller_tag
        self.side = side
        self.caller_places: tuple[bytes, ...] = ()
        self.wanted_by_caller = self.wanted_by_callee = 0  # in the latest description: who is to hear something
        self.expected = 0
        self.heard = 0
        self.answered_ns = 0
        self.shared = False  # another call has announced one of its places, and has the streams there

    def describe(self, message: CapturedMessage, sdp: bytes, new: Iterable[bytes], places: tuple[bytes, ...]) -> None:
        """`new`: the places of this description; `places`: all that the call has."""
        author = CALLER if author_tag(message) == self.caller_tag else CALLEE
        of_author = set(new)
        was = set(self.caller_places)
        of_caller = was | of_author if author == CALLER else was - of_author
        self.caller_places = tuple(place for place in places if place in of_caller)
        if author == CALLER:
            self.wanted_by_caller = wanted_by(sdp, author)
        else:
            self.wanted_by_callee = wanted_by(sdp, author)
        self.expected |= self.wanted_by_caller & self.wanted_by_callee

    def hear(self, source: bytes, destination: bytes, places: Iterable[bytes]) -> None:
        """A stream from one place to another."""
        if destination in places:
            self.heard |= CALLER if destination in self.caller_places else CALLEE
        elif source in places:
            self.heard |= CALLEE if source in self.caller_places else CALLER

    def judged(self, now_ns: int) -> Heard:
        """At its end. An answered call that had no time for its media is not judged."""
        missing = self.expected & ~self.heard
        if not self.expected or (missing and (self.shared or now_ns - self.answered_ns < SHORTEST_NS)):
            return Heard.NOT_JUDGED
        if not missing:
            return Heard.COMPLETE
        return Heard.ONE_WAY if self.heard else Heard.NOTHING


def author_tag(message: CapturedMessage) -> int:
    """Who has written its body: the sender of a request is in From, that of a response in To. A tag may be long."""
    return hash(message.sip.from_tag if message.sip.is_request else message.sip.to_tag)


def wanted_by(sdp: bytes, author: int) -> int:
    """Who is to hear something, as far as this author has a say: any of its media lines is enough."""
    wanted = 0
    session, *media = sdp[:LONGEST].replace(b"\r", b"").split(b"\nm=", MOST_MEDIA)
    usual = direction(session, (True, True))
    for line in media:
        words = line.partition(b"\n")[0].split()
        if len(words) < 3 or b"RTP/" not in words[2] or words[1].partition(b"/")[0] == b"0":
            continue
        sends, listens = direction(line, usual)
        wanted |= (BOTH - author if sends else 0) | (author if listens else 0)
    return wanted


def direction(part: bytes, usual: tuple[bool, bool]) -> tuple[bool, bool]:
    return next((ATTRIBUTES[line] for line in part.split(b"\n") if line in ATTRIBUTES), usual)
