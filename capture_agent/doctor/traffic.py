"""Whether packets arrive, without losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from capture_agent.doctor.finding import Finding, broken, ok, warning
from capture_agent.sources.source import KERNEL

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case


def arrives(case: Case) -> Iterator[Finding]:
    seen = case.observation
    for name in case.interfaces:
        within = f"in {seen.seconds:g} s"
        if (problem := seen.problems.get(name)) and case.config.capture.wait_for_interfaces:
            yield warning(f"cannot be captured yet: {problem}", "see the check `interface`", name)
        elif problem:
            yield broken(
                f"cannot be captured: {problem}",
                "see the checks `capability`, `interface` and `configuration`",
                name,
            )
        elif count := seen.packets[name]:
            yield ok(f"{count:,} packets {within}", name)
        elif seen.unfiltered is not None and seen.unfiltered.messages:
            yield warning(f"no packet passes the filter {within}", "see the checks `filter` and `ports`", name)
        else:
            filtered = " that passes capture.filter and capture.ports" if seen.unfiltered is not None else ""
            yield warning(
                f"no packet {within}{filtered}",
                "check that it is the interface where the calls are (`capture-agent interfaces`), and the mirror port"
                " or tap; if it is only quiet, try again with --seconds 60",
                name,
            )


def is_complete(case: Case) -> Iterator[Finding]:
    """Of this capture, which has the agent's buffer and pipeline. A running agent's own losses: the check `agent`."""
    seen = case.observation
    for name in sorted(seen.opened):
        lost = {place: count for (interface, place), count in seen.dropped.items() if interface == name}
        if not lost:
            yield ok("none", name)
            continue
        words = ", ".join(f"{count:,} by the {place}" for place, count in sorted(lost.items()))
        mib = case.config.capture.buffer_mib
        yield warning(
            f"packets dropped: {words}, of {seen.packets[name] + sum(lost.values()):,}",
            f"raise capture.buffer_mib (now {mib}); leave RTP out with capture.ports or capture.filter; the pure"
            " Python build and slow rules capture less: `capture-agent --version`"
            if KERNEL in lost
            else f"the network card has too few buffers: `ethtool -G {name} rx 4096`",
            name,
        )
