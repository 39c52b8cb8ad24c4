"""A chain: a failover group of two relays, which are agents of their own, and a collector. The relays are stopped or
killed in turn under load, and started again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from faults.collectors import Collector
from faults.peers import nobody
from sink_samples import eventually, numbered, traced
from test_group_peers import balanced, group

from capture_agent.delivery import outbox

pytestmark = pytest.mark.once
MESSAGES = 100_000
AT_ONCE = 250
STARTED = 60.0  # seconds
PATIENCE = 120.0
IN_DOUBT = (8 << 20) // 200  # messages: docs/delivery.md, what `prefer` may send again after a break


class Relays:
    """Two, on ports that they keep."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.folder = folder
        self.ports = [nobody(), nobody()]
        self._collector = collector
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self.ended = 0
        for n in range(len(self.ports)):
            self.start(n)

    def _log(self, n: int) -> Path:
        return self.folder / f"relay{n}.log"

    def start(self, n: int) -> None:
        command = [sys.executable, "-m", "capture_agent", "run", "--control", ""]
        command += ["--listen", f"hep+tcp:127.0.0.1:{self.ports[n]}"]
        with self._log(n).open("w") as log:
            to = f"hep+tcp:127.0.0.1:{self._collector.port}"
            self._running[n] = subprocess.Popen([*command, "--hep", to], stderr=log, cwd=self.folder)
        eventually(lambda: "capturing on" in self._log(n).read_text(), STARTED)

    def end(self, n: int, how: signal.Signals) -> None:
        one = self._running.pop(n)
        one.send_signal(how)
        one.wait(STARTED)
        self.ended += 1
        assert how is signal.SIGKILL or (one.returncode == 0 and "lost" not in self._log(n).read_text())

    def close(self) -> None:
        for n in list(self._running):
            self.end(n, signal.SIGTERM)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_two_relays_end_in_turn(how: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All messages arrive; twice at most what docs/delivery.md says for each break."""
    monkeypatch.setattr(outbox, "LONGEST_DELAY", 0.3)
    with Collector(tmp_path / "read", nobody()) as collector:
        relays = Relays(tmp_path, collector)
        # The group closes the relays, too: after its members have confirmed all.
        with group(relays, tmp_path, 'mode = "failover"\nback_after_seconds = 0.4') as (routes, of_group):

            def feed(first: int, last: int) -> None:
                for at in range(first, last, AT_ONCE):
                    routes.put([of_group(traced(numbered(n))) for n in range(at, at + AT_ONCE)])
                    time.sleep(0.005)

            def is_active(n: int, wanted: bool = True) -> None:
                eventually(lambda: routes.groups()[0].members[n] is wanted, PATIENCE)

            part = MESSAGES // 8
            parts = iter(range(0, MESSAGES, part))

            def feed_part() -> None:
                first = next(parts)
                feed(first, first + part)

            for _ in range(2):
                is_active(0)
                feed_part()
                relays.end(0, how)
                feed_part()
                is_active(1)
                feed_part()
                relays.start(0)  # from here on it becomes the active one, sooner or later
                relays.end(1, how)
                feed_part()
                is_active(0)
                relays.start(1)
                eventually(lambda: routes.route(1).up_seconds >= 0, PATIENCE)
            eventually(lambda: not balanced(routes)["waiting"], PATIENCE)
        everything = Counter(number for stream in collector.streams() for number in stream)
        assert set(everything) == set(range(MESSAGES))
        assert sum(everything.values()) - MESSAGES <= relays.ended * IN_DOUBT
        assert balanced(routes)["sent"] == MESSAGES
