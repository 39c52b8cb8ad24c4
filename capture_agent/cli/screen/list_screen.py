"""The first screen: the calls, live."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from capture_agent.cli.call_columns import Context
from capture_agent.cli.screen.bars import KeyBar, Keys, TitleBar
from capture_agent.cli.screen.call_list import CallList
from capture_agent.cli.screen.call_rows import KINDS, CallRows
from capture_agent.cli.screen.line_view import LineView
from capture_agent.cli.screen.sight import Sight, ViewScreen
from capture_agent.sip.headers import text
from capture_agent.view.call import SipCall

TICK = 0.25  # seconds between two looks at what is new
SHARE = 8  # of the time, at most one part in so many is used for them
WINDOWS = {0: "", 600: "last 10 min", 3600: "last hour", 86_400: "last day"}
NOW_AND_THEN = 5.0  # seconds, in which calls leave "the last ten minutes"
KEYS: Keys = (
    ("F1", "Help", "help"), ("F2", "Save", "save"), ("F3", "Search", "search"), ("F4", "Legs", "legs"),
    ("F7", "Filter", "filter"), ("e", "Problems", "problems"), ("F10", "Columns", "columns"), ("p", "Pause", "pause"),
    ("q", "Quit", "quit"), ("F6", "Raw", "raw"), ("F8", "Figures", "figures"), ("F5", "Clear", "clear"),
)  # fmt: skip


class ListScreen(ViewScreen):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,h,question_mark", "help"),
        Binding("f2,s", "save"),
        Binding("f3,slash,tab", "search"),
        Binding("enter", "ladder"),
        Binding("f4,x", "legs"),
        Binding("f5,ctrl+l", "clear"),
        Binding("f6,r", "raw"),
        Binding("f7,f", "filter"),
        Binding("f8,o", "figures"),
        Binding("i", "kind('1')"),
        Binding("f9,l", "no_filter"),
        Binding("f10,t", "columns"),
        Binding("space", "mark"),
        Binding("p", "pause"),
        Binding("e", "problems"),
        Binding("u", "up"),
        Binding("m", "window"),
        Binding("less_than_sign", "sort(-1)"),
        Binding("greater_than_sign", "sort(1)"),
        Binding("z", "reverse"),
        Binding("A", "follow"),
        Binding("y", "copy"),
        Binding("0", "all_kinds"),
        *(Binding(key, f"kind('{key}')") for key in KINDS),
        Binding("q,escape", "quit"),
    ]

    def __init__(self, sight: Sight) -> None:
        super().__init__(sight)
        self.rows = CallRows(sight.feed.store, sight.aliases)
        self.paused = False
        self.follows = sight.feed.is_live
        self.call_filter = sight.where
        self.message_filter = ""
        self.building = False
        look = sight.look
        self._title = TitleBar(look)
        context = Context(sight.zone, sight.aliases, sight.feed.store)
        self.list = CallList(look, self.rows, context)
        self._search = Input(placeholder="search: a number, host, Call-ID, state or status", id="search")
        self._next = self._built = 0.0
        self._told: list[str] = []  # problems that were shown

    def compose(self) -> ComposeResult:
        yield self._title
        yield self.list
        yield self._search
        yield KeyBar(self.sight.look, KEYS)

    def on_mount(self) -> None:
        self.list.focus()
        if self.call_filter:
            self.set_filters(self.call_filter, "")
        self.build()
        self.set_interval(TICK, self.look_again)

    # Keeping up with the store

    def build(self) -> None:
        """Choose and sort all calls again, with pauses in which keys are answered."""
        self.building = True
        self._built = time.monotonic()
        self.rows.now_ns = self._now_ns() if self.rows.window_ns else 0
        work: Callable[[], Awaitable[None]] = self._build  # not its coroutine: one that never begins would complain
        self.run_worker(work, exclusive=True)

    async def _build(self) -> None:
        import asyncio

        call = self.list.call
        for _ in self.rows.rebuild():
            await asyncio.sleep(0)
        self.building = False
        self._show(call)

    def look_again(self) -> None:
        started = time.monotonic()
        if not (self.paused or self.building or started < self._next):
            call = self.list.call
            changed = self.rows.follow()
            if changed is None or (self.rows.window_ns and started - self._built >= NOW_AND_THEN):
                self.build()
            elif changed:
                self._show(call)
        self._say()
        self._next = time.monotonic() + SHARE * (time.monotonic() - started)

    def _show(self, call: SipCall | None) -> None:
        """The same call stays under the cursor; or the cursor stays at the end."""
        at_end = self.follows and self.list.cursor >= self.list.count - 1
        count = len(self.rows)
        if at_end and not self.rows.reverse:
            self.list.show_lines(count, count - 1)
            return
        at = self.list.cursor
        is_there = call is not None and at < count and self.rows.at(at) is call
        if call is not None and not is_there:
            found = self.rows.index(call)
            self.list.show_lines(count, at if found is None else found)
        else:
            self.list.show_lines(count)
        self._say()

    def _now_ns(self) -> int:
        """A file's time ends with its last message."""
        if self.sight.feed.is_live:
            return self.sight.now_ns()
        return max((call.last_ns for call in self.sight.feed.store.snapshot().calls), default=0)

    def _say(self) -> None:
        rows, feed = self.rows, self.sight.feed
        problems = list(feed.problems)
        for problem in problems:
            if problem not in self._told:
                self.tell(problem, wrong=True)
        self._told = problems
        total = len(feed.store)
        shown = f"{len(rows):,} of {total:,} calls" if self._is_filtered else f"{total:,} calls"
        states = [
            *(["paused"] if self.paused else ["reading"] if feed.reading and not feed.is_live else []),
            *([f"{len(self.list.marked)} marked"] if self.list.marked else []),
            *([f"{feed.store.evicted:,} forgotten"] if feed.store.evicted else []),
            *([f"{feed.lost:,} lost"] if feed.lost else []),
            *([f"{len(problems)} problem{'s' * (len(problems) > 1)}"] if problems else []),
        ]
        chosen = [
            *([f"/{rows.search}"] if rows.search else []),
            *(["problems"] if rows.problems else []),
            *(["up now"] if rows.up else []),
            *sorted(KINDS[one][0] for one in rows.kinds),
            *([WINDOWS[rows.window_ns // 10**9]] if rows.window_ns else []),
            *([self.call_filter] if self.call_filter else []),
            *([f"message: {self.message_filter}"] if self.message_filter else []),
        ]
        left = self.sight.name + (f"  [{'] ['.join(chosen)}]" if chosen else "")
        self._title.say(left, "  ".join([*states, shown]))

    @property
    def _is_filtered(self) -> bool:
        rows = self.rows
        return bool(
            rows.search or rows.problems or rows.up or rows.kinds or rows.window_ns or self.call_filter
            or self.message_filter
        )  # fmt: skip

    # Search, as one types

    def action_search(self) -> None:
        self._search.add_class("on")
        self._search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.rows.search = event.value.lower()
        self.build()

    def on_input_submitted(self) -> None:
        self._search.set_class(bool(self._search.value), "on")
        self.list.focus()

    # Keys

    def on_line_view_chosen(self, event: LineView.Chosen) -> None:
        self.action_ladder()

    def on_line_view_head_clicked(self, event: LineView.HeadClicked) -> None:
        name = self.list.column_at(event.column)
        if name is not None:
            self.rows.reverse = name == self.rows.sort and not self.rows.reverse
            self.rows.sort = name
            self.build()

    def action_sort(self, step: int) -> None:
        names = self.list.orders
        at = names.index(self.rows.sort) if self.rows.sort in names else 0
        self.rows.sort = names[(at + step) % len(names)]
        self.build()

    def action_reverse(self) -> None:
        self.rows.reverse = not self.rows.reverse
        self.list.show_lines(len(self.rows), 0)

    def action_follow(self) -> None:
        self.follows = not self.follows
        self.tell(f"the cursor {'follows' if self.follows else 'does not follow'} the last call")

    def action_mark(self) -> None:
        call = self.list.call
        if call is not None and self.list.marked.pop(call.call_id, False) is False:
            self.list.marked[call.call_id] = None
        self.list.move_to(self.list.cursor + 1)
        self.list.refresh()
        self._say()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self._say()

    def action_problems(self) -> None:
        self.rows.problems = not self.rows.problems
        self.build()

    def action_up(self) -> None:
        self.rows.up = not self.rows.up
        self.build()

    def action_window(self) -> None:
        seconds = list(WINDOWS)
        now = self.rows.window_ns // 10**9
        self.rows.window_ns = seconds[(seconds.index(now) + 1) % len(seconds)] * 10**9
        self.build()

    def action_kind(self, key: str) -> None:
        self.rows.kinds ^= {key}
        self.build()

    def action_all_kinds(self) -> None:
        self.rows.kinds = frozenset()
        self.build()

    def action_clear(self) -> None:
        self.sight.feed.store.clear()
        self.list.marked.clear()
        self.build()

    def action_no_filter(self) -> None:
        rows = self.rows
        rows.problems = rows.up = False
        rows.kinds, rows.window_ns = frozenset(), 0
        self._search.value = rows.search = ""
        self._search.remove_class("on")
        self.list.focus()
        self.set_filters("", "")

    def set_filters(self, call_filter: str, message_filter: str) -> None:
        """Raises FilterError."""
        from capture_agent.records.message_filter import MessageFilter
        from capture_agent.view.call_filter import CallFilter

        where = CallFilter(call_filter, self.sight.aliases).matches if call_filter else None
        with_message = MessageFilter(message_filter) if message_filter else None
        self.rows.where, self.rows.with_message = where, with_message
        self.call_filter, self.message_filter = call_filter, message_filter
        self.build()

    def wanted(self) -> list[bytes]:
        """The marked calls, otherwise the one under the cursor."""
        call = self.list.call
        return list(self.list.marked) or ([call.call_id] if call is not None else [])

    def action_ladder(self) -> None:
        self._open()

    def action_legs(self) -> None:
        self._open(legs=True)

    def action_raw(self) -> None:
        self._open(raw=True)

    def _open(self, legs: bool = False, raw: bool = False) -> None:
        from capture_agent.cli.screen.ladder_screen import LadderScreen

        if ids := self.wanted():
            self.app.push_screen(LadderScreen(self.sight, ids, legs, raw))

    def action_copy(self) -> None:
        if self.list.call is not None:
            self.copy(text(self.list.call.call_id), "Call-ID")

    def action_save(self) -> None:
        from capture_agent.cli.screen.save_screen import SaveScreen

        if ids := self.wanted():
            self.app.push_screen(SaveScreen(self.sight, ids))

    def action_filter(self) -> None:
        from capture_agent.cli.screen.filter_screen import FilterScreen

        self.app.push_screen(FilterScreen(self.sight, self.call_filter, self.message_filter, self.set_filters))

    def action_columns(self) -> None:
        from capture_agent.cli.screen.columns_screen import ColumnsScreen

        self.app.push_screen(ColumnsScreen(self.sight, self.list))

    def action_figures(self) -> None:
        from capture_agent.cli.screen.text_screens import FiguresScreen

        self.app.push_screen(FiguresScreen(self.sight, list(self.rows.calls)))

    def action_help(self) -> None:
        from capture_agent.cli.screen.text_screens import HelpScreen

        self.app.push_screen(HelpScreen(self.sight))

    async def action_quit(self) -> None:
        if self._search.has_focus or self._search.has_class("on"):
            self._search.value = ""
            self._search.remove_class("on")
            self.list.focus()
            return
        from capture_agent.cli.screen.quit_screen import QuitScreen

        self.app.push_screen(QuitScreen())
