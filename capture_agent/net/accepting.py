"""What it means that accept(2) of a listening socket fails: for listeners, the control socket and the HTTP door."""

from __future__ import annotations

import errno
import logging
import time

from capture_agent.os_errors import in_words

# Without descriptors or memory we stop accepting for a while: the kernel would report readiness again at once.
OUT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# Of our own socket: it would fail again at once, for ever. All others are of a connection that has gone away again.
DEAF = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}
PAUSE = 1.0  # seconds
QUIET = 60.0  # seconds between log lines

_log = logging.getLogger(__name__)


class AcceptFailures:
    """Of one socket. `name`: in the log; `pauses`: how many, which lose nothing: peers wait in the kernel's queue."""

    def __init__(self, name: str) -> None:
        self.pauses = 0
        self._name = name
        self._warned_at = -QUIET

    def pause(self, error: OSError) -> float:
        """Seconds for which nothing is to be accepted; 0: go on. Raises the error if the socket itself has failed."""
        if error.errno in DEAF:
            raise error
        if error.errno not in OUT_OF:
            return 0.0
        self.pauses += 1
        now = time.monotonic()
        if now - self._warned_at >= QUIET:
            self._warned_at = now
            _log.warning("%s: cannot accept connections for now: %s", self._name, in_words(error))
        return PAUSE
