"""A source from a package: any failure in it becomes one line, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from capture_agent.config.secrets import MASK, repeats
from capture_agent.hooks.guard import LONGEST_REASON, end_child, forks, is_ctrl_c, kind_of, raised_at, said_by
from capture_agent.records.frames import Frames
from capture_agent.sources.source import Source, SourceError

MOST_PLACES = 64  # where packets may be lost

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class PackagedSource:
    """`hidden`: its options as text, which no message repeats in part. Raises whatever the source's `name` raises."""

    def __init__(self, source: Source, hidden: Sequence[str] = ()) -> None:
        self.name = str.__str__(str(source.name))[:LONGEST_REASON]
        self._source = source
        self._hidden = [*hidden]
        self._dropped: dict[str, int] = {}  # the last figures
        self._closed = False
        self._complained: set[str] = set()

    def batches(self) -> Iterator[Frames]:
        """Raises SourceError, whatever the package raises."""
        frames = self._guarded(lambda: iter(self._source.batches()))
        while (batch := self._next(frames)) is not None:
            if type(batch) is not Frames:
                raise SourceError(f"{self.name}: internal error: yielded {type(batch).__name__}, expected Frames")
            yield batch

    def _next(self, frames: Iterator[Frames]) -> Frames | None:
        try:
            return self._guarded(lambda: next(frames, None))
        except SourceError:
            if self._closed:  # under its hands
                return None
            raise

    def dropped(self) -> Mapping[str, int]:
        """After `close`, or if it cannot tell: the last figures."""
        if not self._closed:
            try:
                self._dropped = self._guarded(self._counted)
            except SourceError as error:
                self._complain("dropped", error)
        return dict(self._dropped)

    def _counted(self) -> dict[str, int]:
        places = [*self._source.dropped().items()][:MOST_PLACES]
        return {str.__str__(str(place))[:LONGEST_REASON]: int(count) for place, count in places}

    def close(self) -> None:
        if self._closed:
            return
        self.dropped()
        self._closed = True
        try:
            self._guarded(self._source.close)
        except SourceError as error:
            self._complain("close", error)

    def _complain(self, method: str, error: SourceError) -> None:
        """Log it once: `dropped` is called each second."""
        if method not in self._complained:
            self._complained.add(method)
            _log.error("%s", error)

    def _guarded(self, call: Callable[[], Result]) -> Result:
        """Raises SourceError."""
        before = forks()
        try:
            result = call()
        except BaseException as error:  # sys.exit() too: a source must not end the agent
            end_child(before, error)
            if is_ctrl_c(error):
                raise
            raise self._said(error) from None
        end_child(before)
        return result

    def _said(self, error: BaseException) -> SourceError:
        if not issubclass(type(error), SourceError):
            return SourceError(f"{self.name}: internal error: {kind_of(error)}{raised_at(error)}")
        says = said_by(error)
        says = f"{self.name}: {MASK}" if repeats(says.replace(self.name, ""), self._hidden) else says
        return SourceError(says, usage=bool(error.__dict__.get("usage")))
