"""Which columns the list has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from capture_agent.cli.call_columns import COLUMNS
from capture_agent.cli.screen.call_list import CallList
from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.look import DIM, GREEN, HEAD, PLAIN, Look
from capture_agent.cli.screen.sight import Sight


class ColumnChoice(LineView):
    DEFAULT_CSS = "ColumnChoice { width: 46; height: 90%; max-height: 26; background: #1c212a; padding: 1 2; }"

    def __init__(self, look: Look, chosen: Sequence[str]) -> None:
        super().__init__(look)
        self.chosen = list(chosen)
        self.names = [*chosen, *(name for name in COLUMNS if name not in chosen)]
        self.head_lines = 2

    def head_at(self, number: int, wide: int) -> Sequence[Segment]:
        return [Segment("Space shows or hides, + and - move" if number == 0 else "", HEAD)]

    def line_at(self, number: int, wide: int) -> Sequence[Segment]:
        name = self.names[number]
        is_on = name in self.chosen
        place = f"{self.chosen.index(name) + 1:>2}" if is_on else "  "
        return [Segment(f" [{'x' if is_on else ' '}] ", GREEN if is_on else DIM), Segment(f"{place}  ", DIM),
                Segment(COLUMNS[name].column.title, PLAIN)]  # fmt: skip


class ColumnsScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose"),
        Binding("plus,equals_sign", "shift(1)"),
        Binding("minus", "shift(-1)"),
        Binding("enter,escape,q,f10", "done"),
    ]
    CSS = "ColumnsScreen { align: center middle; background: #101318 60%; }"

    def __init__(self, sight: Sight, calls: CallList) -> None:
        super().__init__()
        self._calls = calls
        self.choice = ColumnChoice(sight.look, calls.names)

    def compose(self) -> ComposeResult:
        yield self.choice

    def on_mount(self) -> None:
        self.choice.show_lines(len(self.choice.names))
        self.choice.focus()

    def on_line_view_chosen(self) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        name = self.choice.names[self.choice.cursor]
        if name not in self.choice.chosen:
            self.choice.chosen.append(name)
        elif len(self.choice.chosen) > 1:
            self.choice.chosen.remove(name)
        self._apply()

    def action_shift(self, places: int) -> None:
        name, chosen = self.choice.names[self.choice.cursor], self.choice.chosen
        if name in chosen:
            at = chosen.index(name)
            chosen.insert(max(0, min(at + places, len(chosen) - 1)), chosen.pop(at))
            self._apply()

    def _apply(self) -> None:
        self._calls.chosen = tuple(self.choice.chosen)
        self.choice.refresh()
        self._calls.refresh()

    def action_done(self) -> None:
        self.dismiss()
