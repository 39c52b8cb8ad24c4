"""Messages of one or several calls as a ladder: a participant per host, an arrow per message, and its media.

RTP streams that were measured have marks between the messages (media_marks.py).

What draws it: ladder_text.py for a terminal, ladder_svg.py, ladder_page.py (HTML), ladder_exports.py (Mermaid, JSON).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from capture_agent.addresses import endpoint_text
from capture_agent.media.stream_figures import StreamFigures
from capture_agent.records.captured import CapturedMessage
from capture_agent.sip.headers import text
from capture_agent.sip.session_description import sdp_of
from capture_agent.view.aliases import Aliases, host_text, place_text
from capture_agent.view.call_state import CHALLENGES
from capture_agent.view.media_marks import MediaMark, labelled, streams_of
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


Row: TypeAlias = Arrow | MediaMark


@dataclass(frozen=True, slots=True)
class Ladder:
    """`rows`: messages, and marks of streams, in the order of time."""

    participants: tuple[Participant, ...]
    arrows: tuple[Arrow, ...]
    call_ids: tuple[str, ...]
    media: tuple[MediaLine, ...]
    streams: tuple[StreamFigures, ...] = ()
    rows: tuple[Row, ...] = ()


class Participants:
    """Numbers of participants, in the order in which they were first seen."""

    def __init__(self, aliases: Aliases, with_ports: bool) -> None:
        self.shown: list[Participant] = []
        self._aliases = aliases
        self._with_ports = with_ports
        self._numbers: dict[str, int] = {}
        self._announced: dict[str, int] = {}  # HOST:PORT of media, and who has said so first

    def number(self, address: bytes, port: int) -> int:
        place = place_text(address, port) if self._with_ports else host_text(address)
        name = self._aliases.name(address, port)
        key = f"{place}\0{name}"
        if key not in self._numbers:
            self._numbers[key] = len(self.shown)
            self.shown.append(Participant(place, name))
        return self._numbers[key]

    def announce(self, participant: int, media: Iterable[Session]) -> None:
        for one in media:
            self._announced.setdefault(endpoint_text(one.host, one.port), participant)

    def of_media(self, address: bytes, port: int) -> int:
        """An address that messages have, too; otherwise whoever has announced it: a relay has a host of its own."""
        host = host_text(address)
        if not self._with_ports and any(one.place == host for one in self.shown):
            return self.number(address, port)
        announced = self._announced.get(endpoint_text(host, port))
        return self.number(address, port) if announced is None else announced


def ladder_of(
    messages: Iterable[CapturedMessage], aliases: Aliases | None = None, reports: Iterable[StreamFigures] = ()
) -> Ladder:
    """The ladder of these messages, sorted by time; equal times keep their order. `reports`: of their streams."""
    ordered = sorted(messages, key=lambda message: message.time_ns)
    participants = Participants(
        aliases or Aliases(), any(one.datagram.source == one.datagram.destination for one in ordered)
    )
    calls: dict[bytes, int] = {}
    before: set[tuple[int, int, int, int, int]] = set()
    arrows: list[Arrow] = []
    for number, message in enumerate(ordered, start=1):
        datagram, sip = message.datagram, message.sip
        ends = (participants.number(datagram.source, datagram.source_port),
                participants.number(datagram.destination, datagram.destination_port))  # fmt: skip
        known = (*ends, datagram.source_port, datagram.destination_port, hash(sip.raw))
        sdp = sdp_of(sip)
        media = media_lines(sdp) if sdp else ()
        participants.announce(ends[0], media)
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
                media,
                bool(sdp),
                message,
            )
        )
        before.add(known)
    streams = tuple(one for one in streams_of(reports) if one.call_id in calls)
    rows = with_marks(arrows, streams, participants, calls)
    lines = tuple(line for call in range(len(calls)) for line in media_of(call, arrows))
    return Ladder(tuple(participants.shown), tuple(arrows), tuple(map(text, calls)), lines, streams, rows)


def with_marks(
    arrows: Sequence[Arrow], streams: Iterable[StreamFigures], participants: Participants, calls: Mapping[bytes, int]
) -> tuple[Row, ...]:
    """The messages, and after all of the same time the marks of streams."""
    marks: list[MediaMark] = []
    times = [one.time_ns for one in arrows]
    for stream in streams:
        ends = (participants.of_media(stream.source, stream.source_port),
                participants.of_media(stream.destination, stream.destination_port))  # fmt: skip
        for time_ns, words in labelled(stream):
            last = times[max(0, bisect_right(times, time_ns) - 1)]
            marks.append(MediaMark(time_ns, time_ns - times[0], time_ns - last, *ends, words, calls[stream.call_id]))
    return tuple(sorted((*arrows, *marks), key=lambda row: row.time_ns))


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
