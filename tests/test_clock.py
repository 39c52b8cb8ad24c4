"""The clock follows packets, but not a few outliers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.clock import AGREEING, ODD_NS, STEP_NS, Clock

SECOND, MINUTE, HOUR = 10**9, 60 * 10**9, 3600 * 10**9
FAR = 5 * HOUR

# The times of packets; the times that are taken for them; where the clock is then; odd ones, jumps.
TIMES = {
    "forward": ([1, 5, 9], [1, 5, 9], 9, 0, 0),
    "a little back": ([9, 5, 10], [9, 5, 10], 10, 0, 0),
    "a lone odd one": ([1, FAR, 2], [1, 1, 2], 2, 1, 0),
    "a lone one before": ([FAR, 1, FAR + 1], [FAR, FAR, FAR + 1], FAR + 1, 1, 0),
    "a minute later, alone": ([1, MINUTE, 2], [1, MINUTE, 2], 2, 0, 0),
    "a minute later, all": ([1, *[MINUTE + n for n in range(9)]], [1, *[MINUTE + n for n in range(9)]], MINUTE, 0, 0),
    "some are later yet": ([0, *[FAR] * 4, *[MINUTE] * 5], [0, *[0] * 4, *[MINUTE] * 5], MINUTE, 4, 0),
    "few packets, far apart": ([n * MINUTE for n in range(4)], [n * MINUTE for n in range(4)], 2 * MINUTE, 0, 0),
    "few, half an hour apart": ([n * HOUR // 2 for n in range(9)], [n * HOUR // 2 for n in range(9)], 7 * HOUR // 2, 0, 0),
    "a minute back, all": ([MINUTE, *[0] * 9], [MINUTE, *[0] * 9], 0, 0, 0),
    "two clocks in turn": ([1, FAR] * 20, [1, 1] * 20, 1, 20, 0),
    "one an hour ahead for good": ([SECOND * n + HOUR * (n % 2) for n in range(9)], [SECOND * (n - n % 2)
        for n in range(9)], 8 * SECOND, 4, 0),
    "eight are odd, the ninth is believed": ([1, *[FAR] * 9, FAR + 1], [*[1] * 10, 2], 2, 9, 1),
    "also backwards": ([FAR, *[7] * 9, 8], [*[FAR] * 10, FAR + 1], FAR + 1, 9, 1),
    "one that fits breaks them off": ([1, *[FAR] * 8, 2, *[FAR] * 8], [*[1] * 9, 2, *[2] * 8], 2, 16, 0),
    "step by step it is led nowhere": ([0, *[n * 9 * SECOND for n in range(1, 4)], *[0] * 9],
        [0, 9 * SECOND, 18 * SECOND, 27 * SECOND, *[0] * 9], 0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize(("times", "taken", "now", "odd", "jumps"), TIMES.values(), ids=TIMES)
def test_clock(times: list[int], taken: list[int], now: int, odd: int, jumps: int) -> None:
    clock = Clock()
    assert [clock.tick(time) for time in times] == taken
    assert (clock.now_ns, clock.odd, clock.jumps) == (now, odd, jumps)


@pytest.mark.parametrize("wrong", [-(2**62) + 1, 0, 2**32 * SECOND, 2**62 - 1], ids=["least", "1970", "2106", "most"])
@pytest.mark.parametrize("many", [1, AGREEING, AGREEING + 1, 40])
def test_nothing_expires_for_packets_of_another_time(wrong: int, many: int) -> None:
    """At the beginning and later, however many: existing state does not age."""
    now = 1_800_000_000 * SECOND
    for before in (0, 20):
        clock = Clock()
        first = clock.tick(now) if before else clock.tick(wrong)
        for n in range(1, before):
            clock.tick(now + n)
        for _ in range(many):
            clock.tick(wrong)
        for n in range(20):
            clock.tick(now + before + n)
        assert 0 <= clock.now_ns - first < SECOND


@given(st.lists(st.integers(-(2**62) + 1, 2**62 - 1) | st.integers(0, 2 * ODD_NS), max_size=60))
def test_it_never_goes_further_than_an_hour_at_once(times: list[int]) -> None:
    clock = Clock()
    for time in times:
        before = clock.now_ns if clock.started else time
        taken = clock.tick(time)
        assert abs(clock.now_ns - before) < ODD_NS
        assert abs(taken - clock.now_ns) < ODD_NS


def test_no_packet_alone_moves_it_further_than_a_step() -> None:
    clock = Clock()
    clock.tick(0)
    clock.tick(STEP_NS)
    assert clock.now_ns == STEP_NS
    clock.tick(2 * STEP_NS + 1)
    assert clock.now_ns == STEP_NS
