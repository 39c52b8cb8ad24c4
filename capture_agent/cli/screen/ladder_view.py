"""The ladder of one or several calls: an arrow or a mark of a stream per line, the hosts on top."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from rich.segment import Segment
from rich.style import Style

from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.look import AMBER, CALLS, DIM, GREEN, HEAD, MARKED, PLAIN, RED, Look
from capture_agent.view.ladder import Arrow, Ladder, Row
from capture_agent.view.ladder_text import ASCII, BOX, draw, steps
from capture_agent.view.text import width
from capture_agent.view.time_text import TimeMode

EMPTY = Ladder((), (), (), ())


class LadderView(LineView):
    def __init__(self, look: Look, zone: tzinfo | None) -> None:
        super().__init__(look, id="ladder")
        self.ladder = EMPTY
        self.mode: TimeMode = "start"
        self.marked: int | None = None  # a message's number
        self._zone = zone
        self._head: list[str] = []
        self._body: list[str] = []

    @property
    def row(self) -> Row | None:
        """What the cursor is on."""
        rows = self.ladder.rows
        return rows[self.cursor] if self.cursor < len(rows) else None

    @property
    def arrow(self) -> Arrow | None:
        """The message that the cursor is on."""
        row = self.row
        return row if isinstance(row, Arrow) else None

    def show_ladder(self, ladder: Ladder, cursor: int | None = None) -> None:
        """None: the cursor stays on its message, which marks of streams may now be before."""
        if cursor is None:
            own = self.arrow
            same = (at for at, row in enumerate(ladder.rows) if own is not None and is_message(row, own.number))
            cursor = next(same, self.cursor)
        self.ladder = ladder
        self.draw(cursor)

    def draw(self, cursor: int | None = None) -> None:
        """For the width that there is."""
        room = max(20, self.scrollable_content_region.width - 1)
        drawn = list(draw(steps(self.ladder, self.mode, self._zone), room, ASCII if self.look.ascii else BOX))
        at = len(drawn) - len(self.ladder.rows)
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
        row = self.ladder.rows[number]
        if not isinstance(row, Arrow):
            return [Segment(" ", MARKED), Segment(self._body[number], DIM)]
        mark = self.look.mark if row.number == self.marked else " "
        return [Segment(mark, MARKED), Segment(self._body[number], self._style(row))]

    def _style(self, arrow: Arrow) -> Style:
        if arrow.retransmission:
            return AMBER
        status = arrow.message.sip.status
        if len(self.ladder.call_ids) > 1:
            return CALLS[arrow.call % len(CALLS)]
        return RED if status >= 400 and not arrow.challenge else GREEN if 200 <= status < 300 else PLAIN


def is_message(row: Row, number: int) -> bool:
    return isinstance(row, Arrow) and row.number == number


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
