"""Drives the terminal view with Textual's pilot: keys in, lines of the screen out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC
from pathlib import Path

from textual.pilot import Pilot

from capture_agent.app.call_feed import CallFeed
from capture_agent.cli.screen.look import Look
from capture_agent.cli.screen.sight import Sight
from capture_agent.cli.screen.view_app import ViewApp
from capture_agent.config import Config, SqlTarget
from capture_agent.config.endpoints import parse_local
from capture_agent.view.aliases import Aliases

ROOT = Path(__file__).parent.parent
PCAPS = ROOT / "pcaps"
NAMES = {"198.51.100.20": "alice", "192.0.2.10": "proxy", "203.0.113.30": "bob", "203.0.113.31": "carol"}
PATIENCE = 60.0
FONT = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)  # from another host


class Driven:
    """The application while it runs."""

    def __init__(self, app: ViewApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def settle(self) -> None:
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        self.app.calls._next = 0  # now, however long the last look took
        self.app.calls.look_again()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    async def until(self, state: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not state():
            assert time.monotonic() < deadline, self.text
            await asyncio.sleep(0.05)
            await self.settle()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def type(self, text: str) -> None:
        await self.press(*(" " if key == " " else key for key in text))

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def picture(self) -> str:
        """SVG, without fonts of another host."""
        return FONT.sub("", self.app.export_screenshot()) + "\n"


def drive(
    steps: Callable[[Driven], Awaitable[None]],
    files: Sequence[Path],
    size: tuple[int, int] = (120, 30),
    look: Look | None = None,
    config: Config | None = None,
    table: str = "",
) -> None:
    """`table`: the URL of a database, instead of files."""

    async def run() -> None:
        target = SqlTarget(table) if table else None
        feed = CallFeed(config or Config(), [str(file) for file in files], target)
        feed.start()
        for _ in range(3000):
            if target or not feed.reading:
                break
            time.sleep(0.01)
        aliases = Aliases({parse_local(address): name for address, name in NAMES.items()})
        sight = Sight(feed, ", ".join(file.name for file in files), look or Look(), aliases, UTC)
        app = ViewApp(sight)
        try:
            async with app.run_test(size=size) as pilot:
                driven = Driven(app, pilot)
                await driven.settle()
                await steps(driven)
        finally:
            feed.stop()

    asyncio.run(run())
