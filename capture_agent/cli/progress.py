"""A progress bar on standard error for long replays."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from capture_agent.records.frames import FRAME_LENGTH, FRAME_ROW

if TYPE_CHECKING:
    from capture_agent.records.frames import Frames
    from capture_agent.sources.source import Source

PATIENCE = 1.0  # seconds; a shorter replay shows no bar
RECORD_HEADER = 16  # bytes of a pcap record's header


class Progress:
    """Called with each batch. Counts the bytes of frames, which is nearly exact for uncompressed capture files."""

    def __init__(self, files: list[str], loop: int) -> None:
        sizes = [Path(file).stat().st_size for file in files if Path(file).is_file()]
        # Standard input and compressed files do not say how much is to come.
        known = len(sizes) == len(files) and not any(file.endswith(".gz") for file in files)
        self._total = sum(sizes) * loop if known else None
        self._began = time.monotonic()
        self._frames = 0
        self._bytes = 0
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("replay", total=self._total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, source: Source, frames: Frames) -> None:
        self._frames += len(frames)
        lengths = frames.index[FRAME_LENGTH : len(frames) * FRAME_ROW : FRAME_ROW]
        self._bytes += sum(lengths) + RECORD_HEADER * len(frames)
        if time.monotonic() - self._began < PATIENCE:
            return
        self._bar.start()
        self._bar.update(self._task, completed=self._bytes, description=f"{self._frames} frames")
