"""Names of files from a pattern: what comes from SIP is limited to harmless characters."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path

from capture_agent.config.file_patterns import PLACEHOLDER

LONGEST_ID = 64  # characters of a Call-ID in a name
_UNSAFE = re.compile(rb"[^A-Za-z0-9_.@+-]")
# Other calls may have these names, as they are made here and in part_mark.py; file systems of Windows and macOS take
# them as equal to others, or do not have them.
_TAKEN = re.compile(
    rb"-[0-9a-f]{16}\Z|-\d{8}T\d{6}\.\d{6}(-\d+)?\Z|\.part\Z"
    rb"|[A-Z]|\.\Z|\A(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)"
)
_FORMS = {"date": r"\d{4}-\d\d-\d\d", "time": r"\d{6}", "call_id": r"[A-Za-z0-9_@+][A-Za-z0-9_.@+-]{0,80}"}
_STAMP = r"(?:-\d{8}T\d{6}\.\d{6}(?:-\d+)?)?"


def safe_name(call_id: bytes) -> str:
    """A Call-ID as part of a file name: itself if it is harmless, else with a hash, so that no two share a name."""
    safe = _UNSAFE.sub(b"_", call_id[:LONGEST_ID])
    if safe[:1] in (b".", b"-", b""):  # hidden, or an option to `rm *`
        safe = b"_" + safe[1:]
    if safe != call_id or _TAKEN.search(call_id):
        safe += b"-" + hashlib.blake2b(call_id, digest_size=8).hexdigest().encode()
    return safe.decode()


class FileNames:
    """`pattern`: a path with placeholders; `suffix`: added for compression, `.gz`, unless the pattern has it."""

    def __init__(self, pattern: str, suffix: str = "") -> None:
        self.pattern = pattern if pattern.endswith(suffix) else pattern + suffix
        self.per_call = "{call_id}" in self.pattern
        plain = self.pattern.removesuffix(suffix) if suffix else self.pattern
        self._ending = Path(PLACEHOLDER.sub("x", plain)).suffix + suffix
        fixed = Path(self.pattern.partition("{")[0] + "x")
        self.base = fixed.parent  # every file is in it or below it
        stem = self.pattern.removesuffix(self._ending)
        parts = PLACEHOLDER.split(stem)
        form = "".join(_FORMS[one] if n % 2 else re.escape(one) for n, one in enumerate(parts))
        self._ours = re.compile(rf"{form}{_STAMP}{re.escape(self._ending)}\Z")

    def path(self, when_ns: int, name: str = "") -> Path:
        """For a file whose first message was seen at this time (UTC); the safe name of its call, if it has one."""
        when = moment(when_ns)
        values = {"date": f"{when:%Y-%m-%d}", "time": f"{when:%H%M%S}", "call_id": name}
        return Path(PLACEHOLDER.sub(lambda found: values[found[1]], self.pattern))

    def rotated(self, path: Path, when_ns: int) -> Path:
        """A name that no file has, for one that makes room for a new one of the same name."""
        stem, when = path.name.removesuffix(self._ending), moment(when_ns)
        number = 1
        while True:
            more = f"-{number}" if number > 1 else ""
            found = path.with_name(f"{stem}-{when:%Y%m%dT%H%M%S.%f}{more}{self._ending}")
            if not found.exists():
                return found
            number += 1

    def is_ours(self, path: Path) -> bool:
        return self._ours.match(str(path)) is not None


def moment(when_ns: int) -> datetime:
    """The first or last moment of the calendar for a time outside of it."""
    try:
        return datetime.fromtimestamp(when_ns // 1000 / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime(1970, 1, 1, tzinfo=UTC) if when_ns < 0 else datetime(9999, 12, 31, tzinfo=UTC)
