"""The table of checks, and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from capture_agent.doctor import (
    clocks,
    destination_trials,
    files,
    links,
    listeners,
    offload,
    privileges,
    running_agent,
    settings_check,
    sip_seen,
    traffic,
)
from capture_agent.doctor.case import Case
from capture_agent.doctor.finding import Finding, broken, warning
from capture_agent.hooks.guard import kind_of, raised_at
from capture_agent.net.sink_errors import reason


@dataclass(frozen=True, slots=True)
class Check:
    """Reads the case and returns findings, at least one if it applies."""

    name: str
    find: Callable[[Case], Iterable[Finding]]


CHECKS = (
    Check("configuration", settings_check.usable),
    Check("agent", running_agent.runs_well),
    Check("capability", privileges.may_capture),
    Check("interface", links.are_up),
    Check("promiscuous", links.are_promiscuous),
    Check("offload", offload.changes_nothing),
    Check("listen", listeners.can_listen),
    Check("traffic", traffic.arrives),
    Check("drops", traffic.is_complete),
    Check("filter", sip_seen.passes_the_filter),
    Check("ports", sip_seen.is_on_the_ports),
    Check("sip", sip_seen.is_seen),
    Check("direction", sip_seen.has_a_direction),
    Check("rules", sip_seen.is_traced),
    Check("destination", destination_trials.are_reached),
    Check("clock", clocks.agrees_with_packets),
    Check("ntp", clocks.is_synchronised),
    Check("disk", files.have_room),
    Check("files", files.are_private),
)


def examine(case: Case) -> list[Finding]:
    """All findings, in the order of the table."""
    case.measure()
    return [finding for check in CHECKS for finding in findings_of(check, case)]


def findings_of(check: Check, case: Case) -> Iterator[Finding]:
    """A check that fails is a finding itself: without an error's words, which may contain anything."""
    try:
        for finding in check.find(case):
            yield finding if finding.check else replace(finding, check=check.name)
    except OSError as error:
        yield warning(
            f"cannot be checked: {reason(error)}",
            "run the doctor as the agent's user, without a sandbox that forbids it",
            check=check.name,
        )
    except Exception as error:
        yield broken(
            f"the check has failed: {kind_of(error)}{raised_at(error)}",
            "this is a bug of the doctor: please report this line",
            check=check.name,
        )
