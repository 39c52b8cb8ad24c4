"""How the terminal view looks: colours, signs, and text that a terminal may have."""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

from capture_agent.view.text import padded, printable, shortened

PLAIN = Style()
DIM, BOLD = Style(color="#8b95a3"), Style(bold=True)
TITLE = Style(color="#e6e9ef", bgcolor="#2b3342", bold=True)
BAR, BAR_KEY = Style(color="#b9c1cc", bgcolor="#222832"), Style(color="#8fb8de", bgcolor="#222832", bold=True)
HEAD, HEAD_SORTED = Style(color="#8fb8de", bold=True), Style(color="#e6e9ef", bold=True, underline=True)
CURSOR, CURSOR_AWAY = Style(color="#f4f6fa", bgcolor="#34507a", bold=True), Style(bgcolor="#2b3342")
MARKED = Style(color="#f2d388", bold=True)

GREEN, AMBER, RED = Style(color="#8fc98a"), Style(color="#e0b060"), Style(color="#e88b8b")
MAUVE, CYAN, GREY = Style(color="#b9a3d6"), Style(color="#7cc0cf"), Style(color="#a9b1bd")
STATES = {
    "calling": AMBER, "ringing": AMBER, "waiting": AMBER, "in call": GREEN, "cancelled": MAUVE, "busy": RED,
    "failed": RED, "no answer": RED, "rejected": RED, "redirected": CYAN, "completed": PLAIN, "registered": CYAN,
    "unregistered": GREY, "subscribed": CYAN, "done": GREY,
}  # fmt: skip
PARTS = {"start": BOLD, "name": Style(color="#8fb8de"), "value": PLAIN, "body": Style(color="#a3cfa0")}
SIGNS = {" ": DIM, "-": RED, "+": GREEN}
CALLS = (GREEN, Style(color="#8fb8de"), AMBER, MAUVE, CYAN, Style(color="#d99fc0"))  # of several in one ladder


@dataclass(frozen=True, slots=True)
class Look:
    """`ascii`: nothing but ASCII is shown. `colours`: False where the terminal has none, or nobody wants them."""

    ascii: bool = False
    colours: bool = True

    @property
    def up(self) -> str:
        return "^" if self.ascii else "\N{BLACK UP-POINTING TRIANGLE}"

    @property
    def down(self) -> str:
        return "v" if self.ascii else "\N{BLACK DOWN-POINTING TRIANGLE}"

    @property
    def mark(self) -> str:
        return "*" if self.ascii else "\N{BLACK CIRCLE}"

    @property
    def bar(self) -> str:
        return "#" if self.ascii else "\N{LOWER HALF BLOCK}"

    @property
    def cursor(self) -> Style:
        return CURSOR if self.colours else Style(reverse=True)

    @property
    def away(self) -> Style:
        """The cursor of a part that has no focus."""
        return CURSOR_AWAY if self.colours else Style(underline=True)

    @property
    def title(self) -> Style:
        return TITLE if self.colours else Style(reverse=True)

    def text(self, value: str) -> str:
        """Without anything that controls a terminal or turns its lines around."""
        shown = printable(value)
        return shown.encode("ascii", "backslashreplace").decode() if self.ascii else shown

    def cell(self, value: str, wide: int, right: bool = False) -> str:
        """Exactly this wide."""
        return padded(shortened(self.text(value), wide), wide, right)
