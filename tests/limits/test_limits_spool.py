"""The memory of a spool at work: its peak, in addition to the messages that wait in the queue."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Run as a program, too: hep is the one of this project, not the folder of its tests.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from measuring import documented, held_mib
from sink_samples import ListSink, eventually, numbered, traced

from benchmarks.spooling import forget_peak, peak
from capture_agent.delivery.handed_over import Handed, HandedOver
from capture_agent.delivery.spool import spool as spool_module
from capture_agent.delivery.spool.spool import BATCH_MESSAGES, Spool, SpoolLimits
from capture_agent.delivery.spooled_outbox import SpooledOutbox
from capture_agent.net.sink_errors import SinkError
from capture_agent.net.unconfirmed import ROOM
from capture_agent.records.traced import Trace, TracedMessage

BATCHES = 8
SHORTEST = b"OPTIONS sip:a SIP/2.0\r\nl:0\r\n\r\n"


def down(_: object) -> None:
    raise SinkError("list:: down")


def growth(action: Callable[[], object]) -> int:
    """Bytes of memory at the peak of it, more than before."""
    forget_peak()
    before = peak()
    kept = action()
    assert kept is not None
    return int((peak() - before) * 1_000_000)


def long(n: int) -> TracedMessage:
    """It cannot be compressed."""
    return traced(numbered(n).replace(b"Content-Length: 0", b"Content-Length: 30000") + os.urandom(30_000))


def various(n: int) -> TracedMessage:
    """Each with a trace of its own."""
    trace = Trace(correlation_id=b"%d" % n, users=(f"u{n}", f"v{n}"), table=f"t{n}", rule=f"r{n}", masks=(f"m{n}",))
    return traced(SHORTEST, trace=trace)


def writing() -> int:
    """The whole queue, after the disk has failed for a while."""
    spool_module.RETRY_SECONDS = 0.1
    with TemporaryDirectory() as folder:
        path = Path(folder, "spool")
        path.write_text("")  # not a directory
        box = SpooledOutbox(ListSink(down), Spool(path / "s", SpoolLimits()), first_delay=0.1)
        sent = 0
        while not box.ledger().lost:
            box.put([long(n) for n in range(sent, sent + 20)])
            sent += 20

        def write() -> object:
            path.unlink()
            eventually(lambda: box.spool.messages > sent - 100, 120)
            return box

        grown = growth(write)
        box.close(0)
        return grown


def reading() -> int:
    """A batch that a sink has given back, and batches with as many messages as possible, each with its own trace."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "s")
        writer = get_context("fork").Process(target=written, args=(path,))  # its memory is not this process's
        writer.start()
        writer.join(120)

        def take() -> object:
            spool = Spool(path, SpoolLimits())
            spool.open()
            taken = None
            for _ in range(BATCHES + 1):
                taken = spool.take()[1]
            return taken

        return growth(take)


def written(path: Path) -> None:
    spool = Spool(path, SpoolLimits())
    for _ in range(BATCHES):
        spool.append([various(n) for n in range(BATCH_MESSAGES)])
    spool.put_back([long(n) for n in range(ROOM // 30_000)], taken=False)
    spool.close()


def parts() -> list[list[TracedMessage]]:
    """As many messages as a SIP sink may have unconfirmed: the shortest ones."""
    size = len(SHORTEST) + 8
    return [[traced(SHORTEST) for _ in range(500)] for _ in range(ROOM // size // 500)]


def handed_over() -> int:
    def fill() -> object:
        handed = HandedOver()
        for part in parts():
            handed.add(Handed(len(part), part))
        return handed

    return growth(fill)


CASES = {
    "messages on their way to a spool": writing,
    "a batch from a spool": reading,
    "unconfirmed messages that a spool may get back": handed_over,
    "unconfirmed messages that a group may get back": handed_over,
}


@pytest.mark.parametrize("case", CASES)
def test_no_more_than_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    print(CASES[sys.argv[1]]())
