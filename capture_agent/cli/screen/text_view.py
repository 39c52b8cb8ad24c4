"""Lines of styled text that are scrolled: a message, a difference, figures, the help."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from rich.segment import Segment
from rich.style import Style

from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.look import DIM, HEAD, PARTS, PLAIN, SIGNS, Look
from capture_agent.sip.headers import text as as_text
from capture_agent.sip.message import SipMessage
from capture_agent.sip.session_description import sdp_of
from capture_agent.view.details import difference, parts_of
from capture_agent.view.ladder import Arrow, Ladder
from capture_agent.view.media_marks import summary
from capture_agent.view.sdp import explained
from capture_agent.view.text import taken, width
from capture_agent.view.time_text import moment

Line = Sequence[tuple[str, Style]]
MOST_LINES = 5000


class TextView(LineView):
    """Long lines are wrapped to the width."""

    has_cursor = False

    def __init__(self, look: Look, id: str | None = None) -> None:
        super().__init__(look, id=id)
        self.lines: list[Line] = []  # as long as they are
        self._shown: list[Line] = []
        self._shown_for = 0

    def show_text(self, lines: Sequence[Line]) -> None:
        self.lines = list(lines[:MOST_LINES])
        self.shift = 0
        self._fit()
        self.scroll_to(y=0, animate=False, force=True, immediate=True)

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._shown_for:
            self._fit()

    def _fit(self) -> None:
        wide = self._shown_for = self.scrollable_content_region.width
        self._shown = [part for line in self.lines for part in fitted(line, wide, self.look)]
        self.show_lines(len(self._shown))

    def line_at(self, number: int, wide: int) -> Sequence[Segment]:
        return [Segment(text, style) for text, style in self._shown[number]]


def fitted(line: Line, wide: int, look: Look) -> Iterator[Line]:
    """Clean, in lines of this width; what continues is indented."""
    clean = [(look.text(text), style) for text, style in line]
    if wide < 8 or sum(width(text) for text, _ in clean) <= wide:
        yield clean
        return
    now: list[tuple[str, Style]] = []
    used = 0
    for text, style in clean:
        rest = text
        while rest:
            part = taken(rest, wide - used)
            if part:
                now.append((part, style))
                used += width(part)
                rest = rest[len(part) :]
            if rest and (not part or used >= wide - 1):
                yield now
                now, used = [("  ", PLAIN)], 2
    yield now


def lines_of(sip: SipMessage) -> Iterator[Line]:
    line: list[tuple[str, Style]] = []
    for part in parts_of(sip):
        line.append((part.text.removesuffix("\n"), PARTS[part.kind]))
        if part.text.endswith("\n"):
            yield line
            line = []
    if line:
        yield line


def about(ladder: Ladder, one: Arrow, zone: tzinfo | None) -> Line:
    names = [ladder.participants[at].label for at in (one.source, one.destination)]
    datagram = one.message.datagram
    ends = f"{names[0]}:{datagram.source_port} -> {names[1]}:{datagram.destination_port} {datagram.transport}"
    when = moment(one.time_ns, zone, 6)
    return [(f"#{one.number} ", HEAD), (f"{when}  {ends}{', sent before' if one.retransmission else ''}", DIM)]


def message_lines(ladder: Ladder, one: Arrow, zone: tzinfo | None, with_sdp: bool) -> list[Line]:
    """A line about it, the message; `with_sdp`: its session description, explained."""
    found = [about(ladder, one, zone), [], *lines_of(one.message.sip)]
    sdp = sdp_of(one.message.sip) if with_sdp else b""
    if sdp:
        explanation = [[(line, PARTS["body"]), (f"  {words}" if words else "", DIM)] for line, words in explained(sdp)]
        found = [found[0], [("session description", HEAD)], [], *explanation]
    elif with_sdp:
        found = [found[0], [("no session description in this message", DIM)], *found[1:]]
    return found


def stream_lines(ladder: Ladder, call: int) -> list[Line]:
    """The streams of a call, a line each."""
    own = [one for one in ladder.streams if as_text(one.call_id) == ladder.call_ids[call]]
    return [[("streams of the call", HEAD)], [], *([(summary(one), PLAIN)] for one in own)]


def difference_lines(ladder: Ladder, one: Arrow, other: Arrow, zone: tzinfo | None) -> list[Line]:
    found: list[Line] = [
        [("- ", SIGNS["-"]), *about(ladder, one, zone)],
        [("+ ", SIGNS["+"]), *about(ladder, other, zone)],
    ]
    found.append([])
    for line in difference(one.message.sip, other.message.sip):
        found.append([(f"{line.sign} {line.line}", SIGNS[line.sign] if line.sign != " " else PLAIN)])
    return found
