"""This host's clock, which gives packets their times; the kernel knows whether it is synchronised."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capture_agent.doctor.finding import Finding, ok, warning

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

MOST_LAG = 2.0  # seconds from a packet's timestamp until it is read: buffers make some tenths of it
MOST_ERROR = 1.0  # seconds
TIME_ERROR = 5  # adjtimex(2)
STA_UNSYNC = 0x40
TIMEX = struct.Struct("@Illlli")  # modes, offset, freq, maxerror, esterror, status
ROOM = 512  # bytes, more than struct timex has


@dataclass(frozen=True, slots=True)
class KernelClock:
    synchronised: bool
    error: float  # seconds that it may be wrong at most


def agrees_with_packets(case: Case) -> Iterator[Finding]:
    lag = case.observation.lag_ns
    if lag is not None:
        yield of_lag(lag / 1e9)


def of_lag(seconds: float) -> Finding:
    """The least time between a packet's timestamp and its arrival here: it can neither be negative nor long."""
    if -0.01 <= seconds <= MOST_LAG:
        return ok(f"packets have this host's time ({max(0.0, seconds) * 1000:.0f} ms until they were read)")
    side = "behind" if seconds > 0 else "ahead of"
    return warning(
        f"the times of packets are {abs(seconds):,.3f} s {side} this host's clock",
        "the clock was set meanwhile, or the network card adds its own times: synchronise its clock (phc2sys), and"
        " let chrony or ntpd keep this host's clock",
    )


def is_synchronised(case: Case) -> Iterator[Finding]:
    yield of_kernel(kernel_clock(), is_virtual())


def of_kernel(clock: KernelClock, virtual: bool) -> Finding:
    to_do = "run chrony, ntpd or systemd-timesyncd: `timedatectl` shows its state"
    if not clock.synchronised:
        found = "the kernel does not know of any time synchronisation"
        if virtual:  # its host may do it, which the kernel does not learn
            return ok(f"{found}; on a virtual machine its host may do it", to_do=to_do)
        return warning(found, to_do)
    if clock.error > MOST_ERROR:
        return warning(f"synchronised, but the clock may be wrong by {clock.error:.1f} s", to_do)
    return ok(f"synchronised, wrong by at most {clock.error * 1000:.0f} ms")


def kernel_clock() -> KernelClock:
    """adjtimex(2), which changes nothing without modes. Raises OSError."""
    buffer = ctypes.create_string_buffer(ROOM)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    if state < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _, _, _, most, _, status = TIMEX.unpack_from(buffer.raw)
    return KernelClock(state != TIME_ERROR and not status & STA_UNSYNC, most / 1e6)


def is_virtual() -> bool:
    try:
        return " hypervisor" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
