"""What the sinks of files remember: names of calls' files, and connections."""

from __future__ import annotations

import tempfile

import pytest
from measuring import documented, held_mib, main

from capture_agent.config.targets import JsonlTarget
from capture_agent.records.datagram import Datagram
from capture_agent.sinks.files import rotating_files
from capture_agent.sinks.files.call_files import MOST_NAMES
from capture_agent.sinks.files.packets import MOST_CONNECTIONS, Packets

pytestmark = pytest.mark.once

TCP = 6
TIME_NS = 1_795_386_683_255_621_000
LONG = bytes(range(33, 127)) * 600  # a Call-ID, of which a name has 64 characters and a hash


def call_files() -> object:
    """Each of another call with a very long Call-ID; as many as may be are open."""
    folder = tempfile.TemporaryDirectory()
    files = rotating_files.RotatingFiles(JsonlTarget(file=f"{folder.name}/{'d' * 100}/{'e' * 200}/{{call_id}}.jsonl"))
    calls = files._calls
    assert calls is not None
    for n in range(MOST_NAMES + 100):
        known = calls.of(files.place(n, LONG + b"%d" % n)[0], TIME_NS + n)
        known.first_ns, known.period = TIME_NS - n, n
        known.size, known.begins = 1_000_000 + n, bytes([n % 251]) * 24
    for n in range(rotating_files.MOST_OPEN + 10):
        files.at(files.place(n, LONG + b"%d" % n), n)
    assert (len(calls), files.open_files) == (MOST_NAMES, rotating_files.MOST_OPEN)
    return files, folder


def connections() -> object:
    packets = Packets()
    for n in range(MOST_CONNECTIONS + 100):
        data = (n << 64).to_bytes(16, "big") + (n + 1).to_bytes(16, "big") + b"x"
        datagram = Datagram(data, 32, len(data), 0, 16, 5060, n & 0xFFFF, n, 0, TCP, "tcp")
        list(packets.frames(datagram, b"x", n % 256))
    assert len(packets._next) == 2 * MOST_CONNECTIONS
    return packets


CASES = {
    "files of calls": call_files,
    "connections in capture files": connections,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_input_holds_no_more_than_is_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
