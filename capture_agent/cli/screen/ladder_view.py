"""The ladder of one or several calls: an arrow per line, the hosts on top."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from rich.segment import Segment
from rich.style import Style

from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.look import AMBER, CALLS, GREEN, HEAD, MARKED, PLAIN, RED, Look
from capture_agent.view.ladder import Arrow, Ladder
from capture_agent.view.ladder_text import ASCII, BOX, draw, steps
from capture_agent.view.text import width
from capture_agent.view.time_text import TimeMode

EMPTY = Ladder((), (), (), ())


class LadderView(LineView):
    def __init__(self, look: Look, zone: tzinfo | None) -> None:
        super().__init__(look, id="ladder")
        self.ladder = EMPTY
        self.mode: TimeMode = "start"
        self.marked: int | None = None  # an arrow's index
        self._zone = zone
        self._head: list[str] = []
        self._body: list[str] = []

    @property
    def arrow(self) -> Arrow | None:
        arrows = self.ladder.arrows
        return arrows[self.cursor] if self.cursor < len(arrows) else None

    def show_ladder(self, ladder: Ladder, cursor: int) -> None:
        self.ladder = ladder
        self.draw(cursor)

    def draw(self, cursor: int | None = None) -> None:
        """For the width that there is."""
        room = max(20, self.scrollable_content_region.width - 1)
        drawn = list(draw(steps(self.ladder, self.mode, self._zone), room, ASCII if self.look.ascii else BOX))
        at = len(drawn) - len(self.ladder.arrows)
        # In ASCII escaped text may be longer than what was measured: such lines are shifted with the keys.
        lines = [self.look.text(line) for line in drawn]
        self._head, self._body = together(lines[:at], room), lines[at:]
        self.head_lines = len(self._head)
        self.show_lines(len(self._body), self.cursor if cursor is None else cursor)

    def on_resize(self) -> None:
        self.draw()

    def head_at(self, number: int, wide: int) -> Sequence[Segment]:
        return [Segment(f" {self._head[number]}", HEAD)]

    def line_at(self, number: int, wide: int) -> Sequence[Segment]:
        arrow = self.ladder.arrows[number]
        mark = self.look.mark if number == self.marked else " "
        return [Segment(mark, MARKED), Segment(self._body[number], self._style(arrow))]

    def _style(self, arrow: Arrow) -> Style:
        if arrow.retransmission:
            return AMBER
        status = arrow.message.sip.status
        if len(self.ladder.call_ids) > 1:
            return CALLS[arrow.call % len(CALLS)]
        return RED if status >= 400 and not arrow.challenge else GREEN if 200 <= status < 300 else PLAIN


def together(head: list[str], room: int) -> list[str]:
    """Hosts that have a line each, because only their numbers fit, in few lines."""
    if len(head) < 3:
        return head
    found = [""]
    for host in (" ".join(line.split()) for line in head[:-2]):
        if found[-1] and width(found[-1]) + 2 + width(host) > room:
            found.append("")
        found[-1] += f"  {host}" if found[-1] else host
    return [*found, head[-1]]
