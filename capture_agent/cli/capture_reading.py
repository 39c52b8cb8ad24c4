"""Reads the messages of capture files, for the commands that show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture_agent.config import Config
    from capture_agent.pipeline import Pipeline
    from capture_agent.records.captured import CapturedMessage
    from capture_agent.records.kinds import RtpReport


class CaptureReading:
    """Reads the files in order and keeps the books for all of them. Damage ends only the file it is in."""

    def __init__(
        self, config: Config, several: bool = False, keeps_frames: bool = False, with_streams: bool = False
    ) -> None:
        self._config = config
        self._several = several
        self._keeps_frames = keeps_frames  # the captured ones, with each message
        self._with_streams = with_streams  # RTP is measured: `reports`
        self.reports: list[RtpReport] = []  # until somebody takes them
        self.damages: list[str] = []
        self.notes: list[str] = []
        self._frames = 0
        self._messages = 0  # copies among them
        self._copies = 0
        self._other_ports = 0
        self._rejected: Counter[str] = Counter()
        self._problems: Counter[str] = Counter()

    def messages(self, files: list[str]) -> Iterator[list[tuple[str, CapturedMessage]]]:
        """Batches of messages, each with its file's name if there are several files.

        Raises SourceError for a file that is not a capture at all.
        """
        from capture_agent.app.opened_capture import opened
        from capture_agent.sources.source import SourceError

        for file in files:
            with opened(self._config, file, self._keeps_frames, self._with_streams) as (source, pipeline):
                name = source.name if self._several else ""
                try:
                    for messages in pipeline.read(source.batches()):
                        self.reports += pipeline.take_reports()
                        yield [(name, message) for message in messages]
                except SourceError as error:
                    if error.usage:
                        raise
                    self.damages.append(str(error))
                finally:
                    self._count(pipeline)

    def _count(self, pipeline: Pipeline) -> None:
        self._frames += pipeline.packets.seen
        ledgers = {ledger.name: ledger for ledger in pipeline.ledgers()}
        self._copies += ledgers["messages"].outcomes["duplicate"]
        self._other_ports += ledgers["frames"].outcomes.get("other_ports", 0)
        self._messages += pipeline.intake.accepted
        for ledger in ledgers.values():
            self._rejected.update(ledger.rejected)
        self._problems.update(pipeline.problems())
        self.notes += pipeline.notes()

    def books(self) -> str:
        """One line."""
        parts = [f"{self._frames} frames", f"{self._messages - self._copies} messages"]
        parts += [f"{self._copies} duplicate"] if self._copies else []
        parts += [f"{self._other_ports} on other ports"] if self._other_ports else []
        for name, counts in (("rejected", self._rejected), ("malformed", self._problems)):
            some = [f"{reason} {count}" for reason, count in sorted(counts.items()) if count]
            total = "" if name == "malformed" else f"{sum(counts.values())} "
            if some or name == "rejected":
                parts.append(f"{total}{name}" + (f" ({', '.join(some)})" if some else ""))
        return ", ".join(parts)
