"""Messages of one or several calls as a ladder: a participant per host, an arrow per message, and its media.

What draws it: ladder_text.py for a terminal, ladder_svg.py, ladder_page.py (HTML), ladder_exports.py (Mermaid, JSON).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.headers import text
from capture_agent.sip.session_description import sdp_of
from capture_agent.view.aliases import Aliases, host_text, place_text
from capture_agent.view.call_state import CHALLENGES
from capture_agent.view.message_label import label
from capture_agent.view.sdp import Session, media_lines


@dataclass(frozen=True, slots=True)
class Participant:
    """`name`: its alias; '' for none. `place`: its address, with its port where a host talks to itself."""

    place: str
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.place


@dataclass(frozen=True, slots=True)
class Arrow:
    """One message. Texts are as received: whoever shows them makes them printable, or escapes them.

    number          from 1, in the order of time
    delay_ns        since the message before it
    source, destination  indexes of participants
    call            index of its Call-ID in Ladder.call_ids
    retransmission  the same bytes went the same way before
    challenge       401 or 407
    media           what its session description says
    """

    number: int
    time_ns: int
    since_ns: int
    delay_ns: int
    source: int
    destination: int
    label: str
    call: int
    retransmission: bool
    challenge: bool
    media: tuple[Session, ...]
    has_sdp: bool
    message: CapturedMessage

    @property
    def marks(self) -> str:
        """` (SDP) (auth) again`"""
        return (" (SDP)" if self.has_sdp else "") + (" (auth)" if self.challenge else "") + self.again

    @property
    def again(self) -> str:
        return " again" if self.retransmission else ""


@dataclass(frozen=True, slots=True)
class MediaLine:
    """One medium between the two ends that a call's offer and answer name."""

    call: int
    kind: str
    offered: str  # HOST:PORT
    answered: str  # '': there was no answer
    codecs: tuple[str, ...]

    def __str__(self) -> str:
        between = f"{self.offered} <-> {self.answered}" if self.answered else f"{self.offered}, not answered"
        return f"{self.kind}: {between} {', '.join(self.codecs)}".rstrip()


@dataclass(frozen=True, slots=True)
class Ladder:
    participants: tuple[Participant, ...]
    arrows: tuple[Arrow, ...]
    call_ids: tuple[str, ...]
    media: tuple[MediaLine, ...]


def ladder_of(messages: Iterable[CapturedMessage], aliases: Aliases | None = None) -> Ladder:
    """The ladder of these messages, sorted by time; equal times keep their order."""
    aliases = aliases or Aliases()
    ordered = sorted(messages, key=lambda message: message.time_ns)
    with_ports = any(one.datagram.source == one.datagram.destination for one in ordered)
    participants: dict[str, int] = {}
    shown: list[Participant] = []

    def participant(address: bytes, port: int) -> int:
        place = place_text(address, port) if with_ports else host_text(address)
        name = aliases.name(address, port)
        key = f"{place}\0{name}"
        if key not in participants:
            participants[key] = len(shown)
            shown.append(Participant(place, name))
        return participants[key]

    calls: dict[bytes, int] = {}
    before: set[tuple[int, int, int, int, int]] = set()
    arrows: list[Arrow] = []
    for number, message in enumerate(ordered, start=1):
        datagram, sip = message.datagram, message.sip
        ends = (participant(datagram.source, datagram.source_port),
                participant(datagram.destination, datagram.destination_port))  # fmt: skip
        known = (*ends, datagram.source_port, datagram.destination_port, hash(sip.raw))
        sdp = sdp_of(sip)
        last = arrows[-1].time_ns if arrows else message.time_ns
        arrows.append(
            Arrow(
                number,
                message.time_ns,
                message.time_ns - ordered[0].time_ns,
                message.time_ns - last,
                *ends,
                label(sip),
                calls.setdefault(sip.call_id or b"", len(calls)),
                known in before,
                sip.status in CHALLENGES,
                media_lines(sdp) if sdp else (),
                bool(sdp),
                message,
            )
        )
        before.add(known)
    media = tuple(line for call in range(len(calls)) for line in media_of(call, arrows))
    return Ladder(tuple(shown), tuple(arrows), tuple(map(text, calls)), media)


def media_of(call: int, arrows: Sequence[Arrow]) -> list[MediaLine]:
    """The media of a call's first offer, and of the first description that answers it."""
    own = [one for one in arrows if one.call == call and one.media]
    if not own:
        return []
    offer = own[0]
    answer = next((one for one in own if one.message.sip.is_request != offer.message.sip.is_request), None)
    found = []
    for number, line in enumerate(offer.media):
        other = answer.media[number] if answer is not None and number < len(answer.media) else None
        place = "" if other is None else "refused" if not other.port else f"{other.host}:{other.port}"
        found.append(MediaLine(call, line.kind, f"{line.host}:{line.port}", place, (other or line).codecs))
    return found
