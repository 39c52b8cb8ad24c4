"""A source that a package brings: whatever goes wrong in it ends as one line, and never as a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from capture_agent.records import Frames
from capture_agent.sources.source import Source, SourceError

_log = logging.getLogger(__name__)


class PackagedSource:
    def __init__(self, source: Source) -> None:
        self.name = str(source.name)
        self._source = source
        self._dropped: Mapping[str, int] = {}  # the last figures
        self._closed = False
        self._complained: set[str] = set()

    def batches(self) -> Iterator[Frames]:
        """Raises SourceError, whatever the package raises."""
        try:
            for frames in self._source.batches():
                if not isinstance(frames, Frames):
                    raise SourceError(f"{self.name}: internal error: gave {type(frames).__name__}, not Frames")
                yield frames
        except SourceError:
            raise
        except Exception as error:
            raise SourceError(f"{self.name}: internal error: {type(error).__name__}") from error

    def dropped(self) -> Mapping[str, int]:
        """After `close`, or where it cannot say: the last figures."""
        if not self._closed:
            try:
                self._dropped = dict(self._source.dropped())
            except Exception as error:
                self._complain("dropped", error)
        return self._dropped

    def close(self) -> None:
        self.dropped()
        self._closed = True
        try:
            self._source.close()
        except Exception as error:
            self._complain("close", error)

    def _complain(self, method: str, error: Exception) -> None:
        """Once: `dropped` is asked each second."""
        if method in self._complained:
            return
        self._complained.add(method)
        _log.error("%s: internal error: %s", self.name, type(error).__name__)
