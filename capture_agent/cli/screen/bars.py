"""The line on top and the line with keys at the bottom."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from capture_agent.cli.screen.look import BAR, BAR_KEY, PLAIN, Look
from capture_agent.view.text import padded, shortened, width

Keys = Sequence[tuple[str, str, str]]  # key as it is shown, what it does, action


class TitleBar(Widget):
    """What is looked at on the left, figures on the right."""

    DEFAULT_CSS = "TitleBar { height: 1; dock: top; }"

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self._left = self._right = ""

    def say(self, left: str, right: str) -> None:
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def render_line(self, y: int) -> Strip:
        wide = self.size.width
        right = shortened(self._look.text(self._right), max(0, wide - 12), ending=0)
        room = wide - width(right) - 3
        left = padded(shortened(self._look.text(self._left), room), room)
        return Strip([Segment(f" {left} {right} ", self._look.title)]).adjust_cell_length(wide)


class KeyBar(Widget):
    """Keys, which may be clicked. Those that do not fit are in the help."""

    DEFAULT_CSS = "KeyBar { height: 1; dock: bottom; }"

    def __init__(self, look: Look, keys: Keys) -> None:
        super().__init__()
        self._look, self._keys = look, keys

    def render_line(self, y: int) -> Strip:
        bar, key_style = (BAR, BAR_KEY) if self._look.colours else (PLAIN, self._look.title)
        found: list[Segment] = []
        used = 0
        for key, words, _ in self._keys:
            wide = width(key) + width(words) + 3
            if used + wide > self.size.width:
                break
            used += wide
            found += [Segment(" ", bar), Segment(key, key_style), Segment(f" {words} ", bar)]
        return Strip([*found, Segment(" " * (self.size.width - used), bar)])

    async def on_click(self, event: events.Click) -> None:
        at = 0
        for key, words, action in self._keys:
            at += width(key) + width(words) + 3
            if event.x < at:
                await self.screen.run_action(action)
                return
