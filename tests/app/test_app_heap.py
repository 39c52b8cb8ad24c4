"""One heap for all threads: in a process of its own, because it cannot be undone."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

# Prints how many threads got memory outside the process's first heap.
PROGRAM = """
import ctypes
import threading
from pathlib import Path
{before}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
places = []
all_there = threading.Barrier(4)


def allocate():
    places.append(libc.malloc(ctypes.c_size_t(40_000)))
    all_there.wait(20)


threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
(heap,) = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("[heap]")]
first, last = (int(end, 16) for end in heap.split("-"))
print(sum(not first <= place < last for place in places))
"""
SHARED = "from capture_agent.app.heap import share_one_heap\nshare_one_heap()"


@pytest.mark.parametrize(
    ("before", "outside"),
    [pytest.param(SHARED, 0, id="shared"), pytest.param("", 4, id="as the C library has it")],
)
def test_threads_share_one_heap(before: str, outside: int) -> None:
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert int(done.stdout) == outside
