"""A box with fields above a screen: Enter acts, Esc leaves."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen


class FieldDialog(ModalScreen[None]):
    """Its fields are in a Vertical. `wrong`: the class of what is said about them; `hint`: of what may be typed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back")]

    def action_back(self) -> None:
        self.dismiss()


def style_of(name: str, wide: str, most: int, wrong_lines: int) -> str:
    """The CSS of the dialog class of this name: Textual takes it from that class alone."""
    return f"""
    {name} {{ align: center middle; background: #101318 60%; }}
    {name} Vertical {{ width: {wide}; max-width: {most}; height: auto; padding: 1 2; background: #1c212a; }}
    {name} Static {{ height: auto; }}
    {name} Input {{ border: none; height: 1; padding: 0; background: #2b3342; }}
    {name} .wrong {{ color: #e88b8b; min-height: {wrong_lines}; }}
    {name} .hint {{ color: #7d8794; }}
    """
