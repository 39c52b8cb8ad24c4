"""The list of calls: columns as `calls` has them, coloured by state."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style

from capture_agent.cli.call_columns import COLUMNS, Context
from capture_agent.cli.screen.call_rows import CallRows
from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.look import DIM, HEAD, HEAD_SORTED, MARKED, PLAIN, STATES, Look
from capture_agent.view.call import SipCall

WIDTHS = {
    "first": 14, "last": 14, "answered": 14, "ended": 14, "from": 12, "to": 12, "uri": 28, "method": 9, "state": 11,
    "status": 6, "reason": 20, "cause": 20, "messages": 8, "retransmissions": 5, "setup": 8, "duration": 8,
    "codecs": 14, "hosts": 26, "transport": 5, "legs": 24, "call-id": 24,
}  # fmt: skip
TIMES = ("first", "last", "answered", "ended")
GROWING = ("from", "to", "hosts", "call-id", "uri", "reason", "codecs")  # have what room is left
NARROW = ("first", "method", "from", "to", "state", "status", "messages", "duration")
MIDDLE = (
    "first",
    "method",
    "from",
    "to",
    "state",
    "status",
    "messages",
    "retransmissions",
    "setup",
    "duration",
    "hosts",
)
WIDE = ("first", "method", "from", "to", "state", "status", "reason", "messages", "retransmissions", "setup",
        "duration", "hosts", "call-id")  # fmt: skip
TIMED = (*NARROW[:-1], "retransmissions", "setup", "duration")
ROOM = ((160, WIDE), (110, MIDDLE), (0, NARROW))  # columns of a terminal from which they fit


class CallList(LineView):
    def __init__(self, look: Look, rows: CallRows, context: Context) -> None:
        super().__init__(look, id="calls")
        self.head_lines = 1
        self.rows = rows
        self.chosen: tuple[str, ...] = ()  # columns; (): as many as fit
        self.marked: dict[bytes, None] = {}
        self._in_context = context
        self._laid_out: tuple[tuple[str, int], ...] = ()
        self._laid_out_for: tuple[tuple[str, ...], int] = ((), 0)

    @property
    def names(self) -> tuple[str, ...]:
        """The column that decides the order is always one of them."""
        names = self.chosen or next(names for least, names in ROOM if self.size.width >= least)
        sort = self.rows.sort
        return names if self.chosen or sort in names else (*names[:-1], sort)

    @property
    def orders(self) -> tuple[str, ...]:
        """Columns by which `<` and `>` sort: also those for which a small terminal has no room."""
        return self.chosen or (TIMED if self.size.width < ROOM[1][0] else self.names)

    @property
    def call(self) -> SipCall | None:
        return self.rows.at(self.cursor) if self.cursor < len(self.rows) else None

    def layout_of(self, wide: int) -> tuple[tuple[str, int], ...]:
        """Each column with its width, so that the line is filled."""
        if self._laid_out_for != (self.names, wide):
            widths = {name: WIDTHS[name] for name in self.names}
            while (over := sum(widths.values()) + len(widths) + 1 - wide) > 0 and over > 0:
                widest = max(widths, key=lambda name: widths[name] if name in GROWING else 0)
                if widest not in GROWING or widths[widest] <= 8:
                    break
                widths[widest] -= 1
            grow = [name for name in widths if name in GROWING] or list(widths)
            spare = max(0, wide - sum(widths.values()) - len(widths) - 1)
            for number, name in enumerate(grow):
                widths[name] += spare // len(grow) + (number < spare % len(grow))
            self._laid_out, self._laid_out_for = tuple(widths.items()), (self.names, wide)
        return self._laid_out

    def head_at(self, number: int, wide: int) -> Sequence[Segment]:
        found = [Segment(" ", HEAD)]
        for name, room in self.layout_of(wide):
            column = COLUMNS[name].column
            is_sorted = name == self.rows.sort
            arrow = (self.look.down if self.rows.reverse else self.look.up) if is_sorted else ""
            title = f"{column.title}{arrow}"[:room]
            found += [Segment(f"{title:>{room}}" if column.right else f"{title:<{room}}",
                              HEAD_SORTED if is_sorted else HEAD), Segment(" ", HEAD)]  # fmt: skip
        return found

    def line_at(self, number: int, wide: int) -> Sequence[Segment]:
        call = self.rows.at(number)
        state = STATES.get(call.state, PLAIN)
        style = DIM if call.state in ("completed", "done", "unregistered") else PLAIN
        is_marked = call.call_id in self.marked
        found = [Segment(self.look.mark if is_marked else " ", MARKED)]
        for name, room in self.layout_of(wide):
            own = (
                state if name in ("state", "status", "reason") else again(call) if name == "retransmissions" else style
            )
            text = self.text_of(call, name)
            found += [Segment(self.look.cell(text, room, COLUMNS[name].column.right), own), Segment(" ", style)]
        return found

    def text_of(self, call: SipCall, name: str) -> str:
        if name == "retransmissions" and not call.retransmissions:
            return ""
        text = COLUMNS[name].text(call, self._in_context)
        return text[5:19] if name in TIMES else text

    def column_at(self, x: int) -> str | None:
        at = 1
        for name, room in self.layout_of(self.scrollable_content_region.width):
            at += room + 1
            if x < at:
                return name
        return None


def again(call: SipCall) -> Style:
    return STATES["ringing"] if call.retransmissions else PLAIN
