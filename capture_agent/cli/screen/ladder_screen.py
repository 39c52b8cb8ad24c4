"""One or several calls: the ladder, and the message under the cursor beside or below it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container

from capture_agent.cli.screen.bars import KeyBar, Keys, TitleBar
from capture_agent.cli.screen.ladder_view import LadderView
from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.sight import Sight, ViewScreen
from capture_agent.cli.screen.text_view import TextView, difference_lines, message_lines, stream_lines
from capture_agent.sip.headers import text
from capture_agent.view.ladder import ladder_of
from capture_agent.view.message_label import party
from capture_agent.view.time_text import TimeMode, moment, zone_text

BESIDE = 132  # columns of a terminal that has room for the message beside the ladder
TIMES: tuple[TimeMode, ...] = ("start", "delta", "absolute")
SECOND = 1.0
KEYS: Keys = (
    ("F1", "Help", "help"), ("Esc", "Back", "back"), ("F2", "SDP", "sdp"), ("F3", "Message", "preview"),
    ("F4", "Legs", "legs"), ("F6", "Raw", "raw"), ("Space", "Compare", "compare"), ("w", "Times", "times"),
    ("s", "Save", "save"), ("n", "Next leg", "other(1)"), ("y", "Copy", "copy"),
)  # fmt: skip


class LadderScreen(ViewScreen):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,h,question_mark", "help"),
        Binding("f2,d", "sdp"),
        Binding("f3,t", "preview"),
        Binding("f4,x", "legs"),
        Binding("f6,r,enter", "raw"),
        Binding("space", "compare"),
        Binding("w", "times"),
        Binding("s", "save"),
        Binding("n", "other(1)"),
        Binding("N", "other(-1)"),
        Binding("y", "copy"),
        Binding("tab", "pane"),
        Binding("q,escape", "back"),
    ]
    CSS = """
    LadderScreen #panes { layout: vertical; height: 1fr; }
    LadderScreen #ladder { height: 1fr; }
    LadderScreen #message { height: 1fr; border-top: solid #3a4556; }
    LadderScreen.beside #panes { layout: horizontal; }
    LadderScreen.beside #ladder { width: 3fr; height: 100%; }
    LadderScreen.beside #message { width: 2fr; height: 100%; border-top: none; border-left: solid #3a4556; }
    LadderScreen.ascii #message { border-top: ascii #3a4556; }
    LadderScreen.ascii.beside #message { border-top: none; border-left: ascii #3a4556; }
    LadderScreen.whole #ladder { display: none; }
    LadderScreen.whole #message { border: none; width: 1fr; }
    LadderScreen.alone #message { display: none; }
    """

    def __init__(self, sight: Sight, call_ids: Iterable[bytes], legs: bool = False, raw: bool = False) -> None:
        super().__init__(sight)
        self.call_ids = list(call_ids)
        self.with_legs = legs
        self.with_sdp = False
        self.compared: int | None = None  # a message's number
        self._version = -1
        self._shown = b""  # the message that is shown
        self._title = TitleBar(sight.look)
        self.ladder = LadderView(sight.look, sight.zone)
        self.message = TextView(sight.look, id="message")
        self.set_class(sight.look.ascii, "ascii")
        self.set_class(raw, "whole")

    def compose(self) -> ComposeResult:
        yield self._title
        with Container(id="panes"):
            yield self.ladder
            yield self.message
        yield KeyBar(self.sight.look, KEYS)

    def on_mount(self) -> None:
        self.set_class(self.size.width >= BESIDE, "beside")
        (self.message if self.has_class("whole") else self.ladder).focus()
        self.load(0)
        self.set_interval(SECOND, self._look_again)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width >= BESIDE, "beside")

    @property
    def ids(self) -> list[bytes]:
        """Those that are shown, with their legs if they are wanted."""
        store = self.sight.feed.store
        if not self.with_legs:
            return self.call_ids
        calls = [call for call in map(store.get, self.call_ids) if call is not None]
        return list(dict.fromkeys([*self.call_ids, *(leg.call_id for call in calls for leg in store.legs_of(call))]))

    def load(self, cursor: int | None = None) -> None:
        store = self.sight.feed.store
        self._version = store.version
        ids = self.ids
        ladder = ladder_of(store.messages(ids), self.sight.aliases, store.streams(ids))
        self.ladder.show_ladder(ladder, cursor)
        self._say()
        if cursor is not None or self.ladder.arrow is None or self.ladder.arrow.message.raw != self._shown:
            self.show_message()

    def _look_again(self) -> None:
        """More messages of these calls may have come."""
        news = self.sight.feed.store.since(self._version)
        self._version = news.version
        if not {call.call_id for call in news.calls}.isdisjoint(self.ids):
            at_end = self.ladder.cursor == self.ladder.count - 1 and self.sight.feed.is_live
            self.load()
            if at_end:
                self.ladder.move_to(self.ladder.count - 1)

    def _say(self) -> None:
        arrows = self.ladder.ladder.arrows
        if not arrows:
            self._title.say("no messages", "")
            return
        sip, zone = arrows[0].message.sip, self.sight.zone
        count = len(self.ladder.ladder.call_ids)
        when = f"{moment(arrows[0].time_ns, zone)} {zone_text(arrows[0].time_ns, zone)}"
        calls = f"{count} calls" if count > 1 else self.ladder.ladder.call_ids[0]
        left = f"{party(sip.from_value)} -> {party(sip.to_value)}  {calls}"
        legs = "  with legs" if self.with_legs else ""
        store = self.sight.feed.store
        seen = sum(call.messages for one in self.ids if (call := store.get(one)) is not None)
        some = f" of {seen}" if seen > len(arrows) else ""
        self._title.say(left, f"{len(arrows)}{some} messages{legs}  {when}")

    def show_message(self) -> None:
        arrow, ladder, zone = self.ladder.arrow, self.ladder.ladder, self.sight.zone
        self._shown = b"" if arrow is None else arrow.message.raw
        if arrow is None:
            mark = self.ladder.row
            self.message.show_text([] if mark is None else stream_lines(ladder, mark.call))
            return
        marked = self.ladder.marked
        if marked is not None and marked != arrow.number and self.compared == arrow.number:
            self.message.show_text(difference_lines(ladder, ladder.arrows[marked - 1], arrow, zone))
            return
        lines = message_lines(ladder, arrow, zone, self.with_sdp)
        own = [one for one in ladder.media if one.call == arrow.call]
        if own and arrow.has_sdp and not self.with_sdp:
            from capture_agent.cli.screen.look import DIM

            lines[1:1] = [[(str(one), DIM)] for one in own]
        self.message.show_text(lines)

    def on_line_view_moved(self, event: LineView.Moved) -> None:
        if event.view is self.ladder and not isinstance(event, LineView.Chosen):
            self.compared = None
            self.show_message()

    def on_line_view_chosen(self, event: LineView.Chosen) -> None:
        self.action_raw()

    def action_sdp(self) -> None:
        self.with_sdp = not self.with_sdp
        self.show_message()

    def action_preview(self) -> None:
        self.toggle_class("alone")
        self.ladder.focus()

    def action_legs(self) -> None:
        arrow = self.ladder.arrow
        self.with_legs = not self.with_legs
        self.ladder.marked = self.compared = None
        self.load()
        if arrow is not None:
            times = [one.time_ns for one in self.ladder.ladder.rows]
            self.ladder.move_to(times.index(arrow.time_ns) if arrow.time_ns in times else 0)

    def action_raw(self) -> None:
        """The message on the whole screen, and back."""
        self.toggle_class("whole")
        (self.message if self.has_class("whole") else self.ladder).focus()

    def action_pane(self) -> None:
        (self.ladder if self.message.has_focus else self.message).focus()

    def action_compare(self) -> None:
        """The first message, then the second."""
        arrow = self.ladder.arrow
        if arrow is None:
            return
        if self.ladder.marked is None:
            self.ladder.marked = arrow.number
        elif arrow.number in (self.ladder.marked, self.compared):
            self.ladder.marked = self.compared = None
        else:
            self.compared = arrow.number
        self.ladder.refresh()
        self.show_message()

    def action_times(self) -> None:
        self.ladder.mode = TIMES[(TIMES.index(self.ladder.mode) + 1) % len(TIMES)]
        self.ladder.draw()

    def action_other(self, step: int) -> None:
        """The next message of another leg."""
        rows, at = self.ladder.ladder.rows, self.ladder.cursor
        own = self.ladder.row
        while own is not None and 0 <= at + step < len(rows):
            at += step
            if rows[at].call != own.call:
                self.ladder.move_to(at)
                return
        if not self.with_legs:
            self.action_legs()

    def action_copy(self) -> None:
        if self.ladder.arrow is not None:
            self.copy(text(self.ladder.arrow.message.raw), "message")

    def action_save(self) -> None:
        from capture_agent.cli.screen.save_screen import SaveScreen

        self.app.push_screen(SaveScreen(self.sight, self.ids))

    def action_help(self) -> None:
        from capture_agent.cli.screen.text_screens import HelpScreen

        self.app.push_screen(HelpScreen(self.sight))

    def action_back(self) -> None:
        if self.has_class("whole"):
            self.action_raw()
        else:
            self.app.pop_screen()
