"""Memory and time of the correlator with many dialogs held at once.

    python -m benchmarks.held 1000 100000 1000000

Dialogs begin and end at a steady rate, so that each is held for 100 s of packet time on average; only the correlator is
timed. Each size runs in a separate process: resident memory never shrinks.
"""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from time import thread_time_ns

from capture_agent.correlate.correlator import Correlator
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sip.scan import scan

START = 1_700_000_000 * 10**9
HELD_SECONDS = 100
BATCH = 40  # dialogs
ADDRESSES = bytes((198, 18, 1, 1, 203, 0, 113, 1))
# First line, CSeq number and method, whether To has a tag, number of the branch.
BEGIN = (
    ("INVITE sip:b SIP/2.0", 1, "INVITE", False, 1),
    ("SIP/2.0 180 Ringing", 1, "INVITE", True, 1),
    ("SIP/2.0 200 OK", 1, "INVITE", True, 1),
    ("ACK sip:b@c SIP/2.0", 1, "ACK", True, 2),
)
END = (("BYE sip:b@c SIP/2.0", 2, "BYE", True, 3), ("SIP/2.0 200 OK", 2, "BYE", True, 3))
Steps = tuple[tuple[str, int, str, bool, int], ...]


def messages(number: int, steps: Steps, time_ns: int) -> Iterator[CapturedMessage]:
    for first, cseq, method, tagged, branch in steps:
        text = (
            f"{first}\r\nVia: SIP/2.0/UDP 198.18.1.1:5060;branch=z9hG4bK{number:08x}{branch:08x};rport\r\n"
            f'From: "+4930{number:07}" <sip:+4930{number:07}@198.18.1.1>;tag=a{number:09x}\r\n'
            f"To: <sip:004912345678@203.0.113.1>{f';tag=b{number:09x}' if tagged else ''}\r\n"
            f"Call-ID: {number * 2654435761 % 2**32:08x}-{number:08x}@198.18.1.1\r\n"
            f"CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        )
        data = ADDRESSES + text.encode()
        sip = scan(data, len(ADDRESSES), len(data))
        assert sip is not None
        yield CapturedMessage(Datagram(data, 8, len(data), 0, 4, 5060, 5060, time_ns), sip)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def fill(correlator: Correlator, held: int) -> int:
    """Begin this many dialogs. Returns the time at the end."""
    step_ns = HELD_SECONDS * 10**9 // held
    for first in range(0, held, BATCH):
        numbers = range(first, min(first + BATCH, held))
        correlator.observe([one for n in numbers for one in messages(n, BEGIN, START + n * step_ns)])
    return START + held * step_ns


def cost(correlator: Correlator, held: int, now_ns: int, dialogs: int) -> float:
    """Nanoseconds per message while as many end as begin; the first half is not timed."""
    random, live, following = Random(1), list(range(held)), held
    spent = count = 0
    for done in range(0, dialogs, BATCH):
        batch: list[CapturedMessage] = []
        for _ in range(BATCH):
            now_ns += HELD_SECONDS * 10**9 // held
            place = random.randrange(held)
            batch += messages(live[place], END, now_ns)
            batch += messages(following, BEGIN, now_ns)
            live[place] = following
            following += 1
        begun = thread_time_ns()
        correlator.observe(batch)
        if done >= dialogs // 2:
            spent += thread_time_ns() - begun
            count += len(batch)
    return spent / count


def measure(held: int, dialogs: int) -> tuple[float, float]:
    """Bytes per held dialog, and nanoseconds per message."""
    correlator = Correlator(calls=2 * held)
    list(messages(0, BEGIN, START))
    gc.collect()
    before = resident()
    now_ns = fill(correlator, held)
    gc.collect()
    size = (resident() - before) / held
    gc.disable()
    time = cost(correlator, held, now_ns, dialogs) if dialogs else 0.0
    if correlator.table.calls.evicted or correlator.table.dialogs.held < held:
        raise SystemExit(f"{correlator.table.dialogs.held} dialogs held, {correlator.table.calls.evicted} evicted")
    return size, time


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]]
    if len(sizes) > 1:
        for held in sizes:
            subprocess.run([sys.executable, "-m", "benchmarks.held", str(held)], check=True)
        return
    size, time = measure(sizes[0], max(40_000, sizes[0]))
    print(f"{sizes[0]:,} dialogs held: {size:,.0f} bytes each, {time:,.0f} ns per message")


if __name__ == "__main__":
    main()
