"""The help with all keys, and figures of the calls in the list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from capture_agent.cli.screen.bars import KeyBar, TitleBar
from capture_agent.cli.screen.look import BOLD, CYAN, DIM, HEAD, PLAIN, STATES, Look
from capture_agent.cli.screen.sight import Sight, ViewScreen
from capture_agent.cli.screen.text_view import Line, TextView
from capture_agent.sip.headers import text
from capture_agent.view.call import SipCall
from capture_agent.view.call_state import is_call
from capture_agent.view.text import shortened
from capture_agent.view.traffic_figures import TrafficFigures

BAR = 34  # columns of the longest bar
MOST = 15  # lines of a table

HELP: dict[str, Sequence[tuple[str, str]]] = {
    "In the list of calls": (
        ("Up Down ...", "move; also PgUp PgDn Home End, k j g G and the mouse"),
        ("Enter", "ladder of the marked calls, or of this one; or click twice"),
        ("F4 x", "the same, with all legs of these calls"),
        ("F6 r", "the messages, on the whole screen"),
        ("Space", "mark this call, or not"),
        ("F3 / Tab", "search as you type; Enter back to the list, Esc ends it"),
        ("F7 f", "filter, in the filter language"),
        ("e", "only calls that failed, or with retransmissions"),
        ("u", "only calls that are up now"),
        ("m", "only the last 10 minutes, the last hour, the last day; all"),
        ("1 2 3 4 5", "only calls, registrations, presence, messages, OPTIONS; 0: all"),
        ("i", "only calls, like 1"),
        ("F9 l", "all calls again: no search, no filter"),
        ("< > z", "sort by the next column; reverse; or click on a title"),
        ("F10 t", "choose columns"),
        ("F8 o", "figures: states, responses, set-up delays"),
        ("F2 s", "save the marked calls, or this one: pcapng, text, SVG ..."),
        ("p", "pause: the list stays as it is, nothing is lost"),
        ("A", "the cursor follows the last call, or not"),
        ("F5 Ctrl-L", "forget all calls"),
        ("y", "copy the Call-ID"),
        ("q Esc", "quit, after a question"),
    ),
    "In the ladder": (
        ("Up Down ...", "move; the message is beside or below"),
        ("F2 d", "the session description, explained"),
        ("F3 t", "with or without the message"),
        ("F4 x", "with or without the other legs"),
        ("F6 r Enter", "the message on the whole screen, and back"),
        ("Space", "mark a message; on another one: the difference of the two"),
        ("n N", "to the next or last message of another leg"),
        ("w", "times since the start, since the last message, of the clock"),
        ("Left Right", "shift a ladder that is wider than the screen"),
        ("Tab", "to the message and back, to scroll it"),
        ("s", "save these calls"),
        ("y", "copy the message"),
        ("q Esc", "back"),
    ),
}


class TextScreen(ViewScreen):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("q,escape,enter,f1,f8", "back")]
    title_text = ""

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self.view = TextView(sight.look)

    def lines(self) -> list[Line]:
        """Each screen has its own; the metaclass of Textual's screens leaves no room for an abstract method."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        bar = TitleBar(self.sight.look)
        bar.say(self.title_text, "")
        yield bar
        yield self.view
        yield KeyBar(self.sight.look, (("Esc", "Back", "back"),))

    def on_mount(self) -> None:
        self.view.show_text(self.lines())
        self.view.focus()

    def action_back(self) -> None:
        self.app.pop_screen()


class HelpScreen(TextScreen):
    title_text = "capture-agent view: keys"

    def lines(self) -> list[Line]:
        found: list[Line] = []
        for title, keys in HELP.items():
            found += [[("", PLAIN)], [(f" {title}", HEAD)]]
            found += [[(f"   {key:<13}", CYAN), (words, PLAIN)] for key, words in keys]
        return found


class FiguresScreen(TextScreen):
    title_text = "Figures of the calls in the list"

    def __init__(self, sight: Sight, calls: Sequence[SipCall]) -> None:
        super().__init__(sight)
        self._calls = calls

    def lines(self) -> list[Line]:
        look = self.sight.look
        states = Counter(call.state for call in self._calls)
        statuses = Counter(f"{call.status} {text(call.reason)}" for call in self._calls if call.status)
        figures = TrafficFigures()
        figures.finish(self._calls, self.sight.aliases)
        again = sum(call.retransmissions for call in self._calls)
        messages = sum(call.messages for call in self._calls)
        own = sum(is_call(call.method) for call in self._calls)
        found: list[Line] = [
            [],
            [(f" {len(self._calls):,} in the list, {own:,} of them calls", BOLD)],
            [(f" {messages:,} messages, {again:,} of them sent again", PLAIN)],
        ]
        for title, counts in (("State", states), ("Last response", statuses), ("Failed at", figures.failing_peers)):
            found += bars(title, counts, look)
        if delays := figures.percentiles():
            found += [[], [(" Set-up delay", HEAD)]]
            for percent, seconds in delays.items():
                found.append([(f"   {percent:>3} % within ", DIM), (f"{seconds:.3f} s", PLAIN)])
        return found


def bars(title: str, counts: Counter[str], look: Look) -> list[Line]:
    found: list[Line] = [[], [(f" {title}", HEAD)]]
    longest = max(counts.values(), default=1)
    for name, count in counts.most_common(MOST):
        cell = look.cell(shortened(name, 28), 28)
        long = max(1, round(BAR * count / longest))
        found.append([(f"   {cell} ", STATES.get(name, PLAIN)), (f"{count:>9,} ", PLAIN), (look.bar * long, CYAN)])
    return found if counts else []
