"""The terminal view as an application of Textual."""

from __future__ import annotations

import os
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from capture_agent.cli.screen.list_screen import ListScreen
from capture_agent.cli.screen.sight import Sight


class ViewApp(App[None]):
    """`sight`: what is looked at."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "quit", priority=True, show=False)]
    CSS = """
    Screen { background: #171b22; color: #d5dae2; }
    LineView { background: #171b22; color: #d5dae2; scrollbar-color: #3a4556; scrollbar-background: #171b22;
               scrollbar-color-hover: #52617a; scrollbar-background-hover: #171b22; scrollbar-color-active: #52617a; }
    #search { dock: bottom; height: 1; border: none; padding: 0 1; margin-bottom: 1; display: none;
              background: #2b3342; color: #e6e9ef; }
    #search.on { display: block; }
    Toast { background: #2b3342; padding: 0 2; border: none; }
    """

    def __init__(self, sight: Sight) -> None:
        if not sight.look.colours:
            os.environ["NO_COLOR"] = "1"
        else:
            os.environ.pop("NO_COLOR", None)
        super().__init__(ansi_color=not sight.look.colours)
        self.title = "capture-agent view"
        self.sight = sight
        self.calls = ListScreen(sight)

    def get_default_screen(self) -> ListScreen:
        return self.calls
