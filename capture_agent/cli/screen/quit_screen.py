"""The question before the view ends, as in sngrep."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from capture_agent.cli.screen.field_dialog import FieldDialog, style_of


class QuitScreen(FieldDialog):
    CSS = style_of("QuitScreen", "80%", 40, 0)
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,y,q", "app.quit"), Binding("n", "back")]

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Quit?", markup=False)
            yield Static("\nEnter or q quits, Esc does not.", classes="hint", markup=False)
