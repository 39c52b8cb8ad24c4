"""Runs several slow actions in parallel: opens or closes all sinks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


def at_once(actions: Sequence[Callable[[], object]], timeout: float | None = None) -> None:
    """Run each in its own thread; return when all are done, or the time is over.

    Raises the first one's exception, in list order, after all are done. Actions that still run are left alone: their
    threads end with the process.
    """
    if len(actions) == 1 and timeout is None:
        actions[0]()
        return
    errors: dict[int, BaseException] = {}

    def run(number: int, action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:  # raised to the caller
            errors[number] = error

    threads = [
        threading.Thread(target=run, args=(number, action), name=f"at once {number}", daemon=True)
        for number, action in enumerate(actions)
    ]
    for thread in threads:
        thread.start()
    deadline = None if timeout is None else time.monotonic() + timeout
    for thread in threads:
        thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
    for number in sorted(errors):
        raise errors[number]
