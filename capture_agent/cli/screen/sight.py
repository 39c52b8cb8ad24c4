"""What all parts of the terminal view share: the calls, how they look, names and zone; and its screens' frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Protocol

from textual.screen import Screen

from capture_agent.cli.screen.look import Look
from capture_agent.view.aliases import Aliases
from capture_agent.view.call_store import CallStore
from capture_agent.view.text import shortened


class Feed(Protocol):
    """Where the calls come from: app/call_feed.py."""

    store: CallStore
    reading: bool
    is_live: bool
    problems: list[str]

    @property
    def lost(self) -> int: ...


@dataclass(slots=True)
class Sight:
    feed: Feed
    name: str  # of the source, for the title
    look: Look
    aliases: Aliases
    zone: tzinfo | None
    where: str = ""  # filters to begin with
    now_ns: Callable[[], int] = field(default=time.time_ns)


class ViewScreen(Screen[None]):
    """A full screen of the view."""

    def __init__(self, sight: Sight) -> None:
        super().__init__()
        self.sight = sight

    def copy(self, text: str, what: str) -> None:
        self.app.copy_to_clipboard(text)
        self.notify(f"{what} copied, if the terminal allows it", timeout=2, markup=False)

    def tell(self, text: str, wrong: bool = False) -> None:
        self.notify(
            shortened(self.sight.look.text(text), 200, ending=0),
            severity="error" if wrong else "information",
            timeout=5,
            markup=False,
        )
