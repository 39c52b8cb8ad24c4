"""What systemd is told of a run: that it captures, its figures, that its capture loop turns, and that it stops.

sd_notify(3): datagrams to the socket that $NOTIFY_SOCKET names; without it nothing is sent. Nothing waits for systemd:
what does not fit into its socket is sent with a later batch, or not at all.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from capture_agent.app.agent import Agent
from capture_agent.delivery.outbox import Outbox
from capture_agent.records.frames import Frames
from capture_agent.sources.source import Source
from capture_agent.view.text import printable

STATUS_EVERY = 5.0  # seconds
PINGS = 3  # in each WATCHDOG_USEC: systemd asks for two

_log = logging.getLogger(__name__)


class ServiceManager:
    """Takes $NOTIFY_SOCKET, a path or an abstract name (@), and $WATCHDOG_USEC of `environ`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.watchdog = watchdog_seconds(environ)  # 0: it is not asked for
        self._failed = False
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if self._address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        elif self._address:
            _log.warning("NOTIFY_SOCKET: neither a path nor an abstract socket (@): systemd is not notified")

    @property
    def listens(self) -> bool:
        return self._socket is not None

    def ready(self, status: str = "") -> bool:
        """All sources are open; or a reload is over."""
        return self.tell("READY=1", status)

    def reloading(self) -> bool:
        """A reload begins; `ready` ends it."""
        # systemd.service(5), Type=notify-reload: the time shows which signal is meant.
        return self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "") -> bool:
        return self.tell("STOPPING=1", status)

    def ping(self) -> bool:
        """The watchdog's: without one for so many seconds, systemd restarts the service."""
        return self.tell("WATCHDOG=1")

    def tell(self, *assignments: str) -> bool:
        """In one datagram. False where it could not be sent."""
        if self._socket is None:
            return False
        data = "\n".join(printable(one) for one in assignments if one).encode(errors="backslashreplace")
        address = os.fsencode(self._address)
        try:
            self._socket.sendto(data, b"\0" + address[1:] if address.startswith(b"@") else address)
        except BlockingIOError:
            return False
        except OSError as error:
            if not self._failed:
                _log.warning("NOTIFY_SOCKET: systemd is not notified: %s", os.strerror(error.errno or 0))
            self._failed = True
            return False
        self._failed = False
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def watchdog_seconds(environ: Mapping[str, str]) -> float:
    """sd_watchdog_enabled(3): the time may be meant for another process."""
    text = environ.get("WATCHDOG_USEC", "")
    meant = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    return int(text) / 1e6 if meant and text.isascii() and text.isdigit() and len(text) <= 18 else 0.0


class Heartbeat:
    """Called by the capture loop after each batch, also an empty one: tells systemd that it turns, and the figures.

    A loop that hangs (in a hook, say) calls nothing. While a source hangs in its own thread, the watchdog gets nothing.
    """

    def __init__(self, manager: ServiceManager, agent: Agent, clock: Callable[[], float] = time.monotonic) -> None:
        self._manager = manager
        self._agent = agent
        self._clock = clock
        self._is_ready = False
        self._ping_at = self._status_at = 0.0

    @property
    def needed(self) -> bool:
        return self._manager.listens

    def begin(self) -> None:
        """All sources are open."""
        self._is_ready = self._manager.ready(f"STATUS={figures(self._agent)}")
        self._status_at = self._clock() + STATUS_EVERY

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """A reload, in another thread."""
        self._manager.reloading()
        try:
            yield
        finally:
            self.begin()

    def close(self) -> None:
        """The capture has ended."""
        self._manager.stopping("STATUS=stopping: sending what waits")
        self._manager.close()

    def __call__(self, source: Source | None, frames: Frames) -> None:
        now = self._clock()
        if not self._is_ready:  # systemd's socket was full
            self.begin()
        every = self._manager.watchdog / PINGS
        if every and now >= self._ping_at and not self._agent.hanging(every) and self._manager.ping():
            self._ping_at = now + every
        if now >= self._status_at:
            self._status_at = now + STATUS_EVERY
            self._manager.tell(f"STATUS={figures(self._agent)}")


def figures(agent: Agent) -> str:
    """`1,204 packets (0 lost), 310 messages traced (0 lost); down: hep:10.0.0.1:9060`"""
    seen = {ledger.name: ledger for ledger in agent.books().ledgers}
    packets, traced = seen["frames"], seen["messages"].outcomes.get("traced", 0)
    lost = sum(sum(ledger.lost.values()) for ledger in agent.routes.ledgers())
    down = [outbox.name for outbox in agent.routes if isinstance(outbox, Outbox) and outbox.down() is not None]
    text = f"{packets.seen:,} packets ({sum(packets.lost.values()):,} lost), {traced:,} messages traced ({lost:,} lost)"
    return f"{text}; down: {', '.join(down)}" if down else text
