"""The clock goes with packets, but not with a few odd ones."""

import pytest

from capture_agent.correlate.clock import Clock

HOUR = 3_600_000_000_000
FAR = 5 * HOUR

# The times of packets; the times that are taken for them; odd ones, jumps.
TIMES = {
    "forward": ([1, 5, 9], [1, 5, 9], 0, 0),
    "a little back": ([9, 5, 10], [9, 5, 10], 0, 0),
    "a lone one": ([1, FAR, 2], [1, 1, 2], 1, 0),
    "a lone one before": ([FAR, 1, FAR + 1], [FAR, FAR, FAR + 1], 1, 0),
    "two clocks in turn": ([1, FAR] * 20, [1, 1] * 20, 20, 0),
    "odd ones that disagree": ([1, *(n * FAR for n in range(1, 30))], [1] * 30, 29, 0),
    "eight are odd, the ninth is believed": ([1, *[FAR] * 9, FAR + 1], [*[1] * 9, FAR, FAR + 1], 9, 1),
    "also backwards": ([FAR, *[7] * 9, 8], [*[FAR] * 9, 7, 8], 9, 1),
    "one that fits breaks them off": ([1, *[FAR] * 8, 2, *[FAR] * 8], [*[1] * 9, 2, *[2] * 8], 16, 0),
}


@pytest.mark.parametrize(("times", "taken", "odd", "jumps"), TIMES.values(), ids=TIMES)
def test_clock(times: list[int], taken: list[int], odd: int, jumps: int) -> None:
    clock = Clock()
    assert [clock.tick(time) for time in times] == taken
    assert (clock.odd, clock.jumps) == (odd, jumps)


def test_the_ends_of_time() -> None:
    clock = Clock()
    for time in (2**62 - 1, -(2**62) + 1, 0, 2**62 - 1):
        clock.tick(time)
    assert (clock.now_ns, clock.odd) == (2**62 - 1, 2)
