"""Files of calls that were closed, and go on when the call does."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from capture_agent.sinks.files.file_names import FileNames
from capture_agent.sinks.files.open_file import OpenFile

MOST_NAMES = 20_000  # of calls whose file is known: others begin a file again, by the name they have then


@dataclass(slots=True)
class CallFile:
    """The file of a call. `named_ns`: the time in its name, which is not kept as text: folders may be long.

    size, begins  when it was closed, so that it need not be read again
    first_ns, period  of its first message, while it had this name; None: unknown
    """

    named_ns: int
    size: int = -1
    begins: bytes = b""
    first_ns: int = 0
    period: int | None = None


class CallFiles:
    """By the safe names of the calls. The call that was not used for longest gives way."""

    def __init__(self, names: FileNames) -> None:
        self._names = names
        self._files: OrderedDict[str, CallFile] = OrderedDict()

    def __len__(self) -> int:
        return len(self._files)

    def path(self, key: str, file: CallFile) -> Path:
        return self._names.path(file.named_ns, key)

    def of(self, key: str, when_ns: int) -> CallFile:
        """The one that is known, or a new one."""
        if not self._names.per_call:
            return CallFile(when_ns)
        found = self._files.get(key)
        if found is None:
            while len(self._files) >= MOST_NAMES:
                self._files.popitem(last=False)
            found = self._files[key] = CallFile(when_ns)
        self._files.move_to_end(key)
        return found

    def full(self, key: str, period: int) -> CallFile | None:
        """The one of an earlier period, which is forgotten."""
        found = self._files.get(key)
        if found is None or found.period is None or period <= found.period:
            return None
        return self._files.pop(key)

    def closed(self, one: OpenFile, whole: bool) -> None:
        """`whole`: its size is known."""
        if (known := self._files.get(one.key)) is not None:
            known.size, known.begins = (one.size if whole else -1), one.begins
            known.first_ns, known.period = one.first_ns, one.period

    def forget(self, key: str) -> None:
        self._files.pop(key, None)
