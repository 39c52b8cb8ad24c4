"""A list of which only the visible lines are rendered, with a cursor: for lists of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from capture_agent.cli.screen.look import Look


class LineView(ScrollView, can_focus=True):
    """`count` lines, each asked for by `line_at` when it is visible. `head`: lines above, which do not scroll.

    Moved is posted when the cursor moves, Chosen when a line is clicked twice or entered.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("home,g", "end(0)", show=False),
        Binding("end,G", "end(1)", show=False),
        Binding("left", "sideways(-8)", show=False),
        Binding("right", "sideways(8)", show=False),
    ]
    DEFAULT_CSS = "LineView { scrollbar-size: 1 1; overflow-x: hidden; }"

    class Moved(Message):
        def __init__(self, view: LineView) -> None:
            super().__init__()
            self.view = view

    class Chosen(Moved):
        """The line under the cursor is wanted."""

    class HeadClicked(Message):
        def __init__(self, view: LineView, column: int) -> None:
            super().__init__()
            self.view, self.column = view, column

    has_cursor = True

    def __init__(self, look: Look, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.cursor = 0
        self.head_lines = 0
        self.shift = 0  # columns that are out of sight on the left
        self._count = 0
        if look.ascii:
            self.styles.scrollbar_size_vertical = 0
            self.styles.scrollbar_size_horizontal = 0

    def line_at(self, number: int, wide: int) -> Sequence[Segment]:
        """Each view has its own; the metaclass of Textual's widgets leaves no room for an abstract method."""
        raise NotImplementedError

    def head_at(self, number: int, wide: int) -> Sequence[Segment]:
        return ()

    @property
    def count(self) -> int:
        return self._count

    @property
    def page_lines(self) -> int:
        return max(1, self.scrollable_content_region.height - self.head_lines)

    def show_lines(self, count: int, cursor: int | None = None) -> None:
        """There are so many lines now; those on the screen are rendered again."""
        self._count = count
        self.virtual_size = Size(0, count + self.head_lines)
        wanted = self.cursor if cursor is None else cursor
        self.cursor = max(0, min(wanted, count - 1))
        if cursor is not None:
            self._reveal()
        self.refresh()

    def move_to(self, number: int) -> None:
        number = max(0, min(number, self._count - 1))
        if number != self.cursor:
            self.cursor = number
            self.refresh()
            self.post_message(self.Moved(self))
        self._reveal()

    def _reveal(self) -> None:
        if not self.has_cursor:
            return
        top, page = round(self.scroll_offset.y), self.page_lines
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + page:
            self.scroll_to(y=self.cursor - page + 1, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        wide = self.scrollable_content_region.width
        base = self.rich_style
        if y < self.head_lines:
            return strip_of(self.head_at(y, wide), base, wide, self.shift)
        number = y - self.head_lines + round(self.scroll_offset.y)
        if number >= self._count:
            return Strip.blank(wide, base)
        over = None
        if self.has_cursor and number == self.cursor:
            over = self.look.cursor if self.has_focus else self.look.away
        return strip_of(self.line_at(number, wide), base, wide, self.shift, over)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_move(self, lines: int) -> None:
        if self.has_cursor:
            self.move_to(self.cursor + lines)
        else:
            self.scroll_relative(y=lines, animate=False, immediate=True)

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(1, self.page_lines - 1))

    def action_end(self, last: int) -> None:
        if self.has_cursor:
            self.move_to(self._count - 1 if last else 0)
        else:
            self.scroll_to(y=self._count if last else 0, animate=False, immediate=True)

    def action_sideways(self, columns: int) -> None:
        self.shift = max(0, self.shift + columns)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.get_content_offset(self)
        if at is None:
            return
        if at.y < self.head_lines:
            self.post_message(self.HeadClicked(self, at.x + self.shift))
            return
        number = at.y - self.head_lines + round(self.scroll_offset.y)
        if number >= self._count or not self.has_cursor:
            return
        self.move_to(number)
        if event.chain > 1:
            self.post_message(self.Chosen(self))


def strip_of(segments: Sequence[Segment], base: Style, wide: int, shift: int, over: Style | None = None) -> Strip:
    """`over`: a style that covers the whole line."""
    line = Strip([Segment(one.text, base + one.style if one.style else base) for one in segments if one.text])
    if shift:
        line = line.crop(shift, None)
    line = line.adjust_cell_length(wide, base)
    if over is not None:
        line = Strip([Segment(one.text, (one.style or base) + over) for one in line], wide)
    return line
