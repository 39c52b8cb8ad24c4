"""The memory that the C library keeps for the process."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_ARENA_MAX = -8  # mallopt(3), glibc's <malloc.h>


def share_one_heap() -> None:
    """All threads allocate from the same heap. Call it before there are any; C libraries other than glibc ignore it.

    Each thread would get a heap of its own, and what it has freed there would serve no other thread. Threads that run
    Python take turns anyway, so they do not wait for each other at the heap.
    """
    with suppress(AttributeError):  # musl has no mallopt
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
