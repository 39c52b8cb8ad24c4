"""Two filters, of calls and of messages; what is wrong with one is shown under its column."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from capture_agent.cli.screen.field_dialog import FieldDialog, style_of
from capture_agent.cli.screen.sight import Sight
from capture_agent.config.filter_text import FilterError

EXAMPLES = """\
status >= 400 and setup > 2
from_user ~ "^49" and not method in (OPTIONS, REGISTER)
state = "in call" and duration > 3600

Enter applies, Esc leaves it as it was. docs/filters.md lists the fields."""


class FilterScreen(FieldDialog):
    CSS = style_of("FilterScreen", "90%", 100, 2)

    def __init__(self, sight: Sight, calls: str, messages: str, apply: Callable[[str, str], None]) -> None:
        super().__init__()
        self._sight, self._apply = sight, apply
        self._calls, self._messages = Input(calls, id="of-calls"), Input(messages, id="of-messages")
        self._wrong = {one: Static("", classes="wrong", markup=False) for one in ("of-calls", "of-messages")}

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Calls that match", markup=False)
            yield self._calls
            yield self._wrong["of-calls"]
            yield Static("and have a message that matches", markup=False)
            yield self._messages
            yield self._wrong["of-messages"]
            yield Static(EXAMPLES, classes="hint", markup=False)

    def on_mount(self) -> None:
        self._calls.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        from capture_agent.records.message_filter import MessageFilter
        from capture_agent.view.call_filter import CallFilter

        problem = ""
        try:
            if event.value and event.input is self._calls:
                CallFilter(event.value, self._sight.aliases)
            elif event.value:
                MessageFilter(event.value)
        except FilterError as error:
            problem = " " * (error.column - 1) + "^\n" + self._sight.look.text(error.problem)
        self._wrong[event.input.id or ""].update(problem)

    def on_input_submitted(self) -> None:
        try:
            self._apply(self._calls.value.strip(), self._messages.value.strip())
        except FilterError:
            return  # it is shown below the text
        self.dismiss()
