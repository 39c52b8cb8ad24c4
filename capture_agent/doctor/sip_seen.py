"""The SIP seen, and the SIP that the configuration leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from capture_agent.config.endpoints import AUTO
from capture_agent.doctor.finding import Finding, broken, ok, warning
from capture_agent.doctor.sip_tally import SipTally, TrafficEnd, listed
from capture_agent.records.datagram import NO_VLAN

if TYPE_CHECKING:
    from capture_agent.config import Capture
    from capture_agent.doctor.case import Case
    from capture_agent.doctor.observation import Observation


def passes_the_filter(case: Case) -> Iterator[Finding]:
    seen, capture = case.observation, case.config.capture
    if not seen.opened:
        return
    if not capture.filter or seen.unfiltered is None:
        yield ok("none: everything passes")
        return
    missing = {place: n for place, n in left_out(seen).items() if is_wanted(capture, place)}
    yield left_out_by("capture.filter", missing, seen.sip, filter_advice(missing))


def is_on_the_ports(case: Case) -> Iterator[Finding]:
    seen, capture = case.observation, case.config.capture
    if not seen.opened:
        return
    if not capture.ports or seen.unfiltered is None:
        yield ok("any")
        return
    missing = {place: n for place, n in left_out(seen).items() if not is_wanted(capture, place)}
    ports = ", ".join(dict.fromkeys(str(place.port) for place in missing))
    yield left_out_by("capture.ports", missing, seen.sip, f"add {ports} to capture.ports (--port)")


def left_out(seen: Observation) -> dict[TrafficEnd, int]:
    """Where SIP was seen, and none of it by the agent's view."""
    whole = seen.unfiltered.places if seen.unfiltered is not None else Counter[TrafficEnd]()
    return {place: count for place, count in whole.items() if place not in seen.sip.places}


def is_wanted(capture: Capture, place: TrafficEnd) -> bool:
    return not capture.ports or any(each.first <= place.port <= each.last for each in capture.ports)


def left_out_by(option: str, missing: dict[TrafficEnd, int], sip: SipTally, to_do: str) -> Finding:
    """Part of the traffic may be left out on purpose, but not the traced server's."""
    if not missing:
        return ok(f"SIP passes {option}" if sip.messages else f"{option} leaves out none that was seen")
    counts: Counter[str] = Counter()
    for place, count in missing.items():
        counts[str(place)] += count
    if not sip.messages:
        return broken(f"{option} leaves out all SIP: {listed(counts)}", to_do)
    if any(place.local for place in missing):
        return warning(f"{option} leaves out SIP of the traced server: {listed(counts)}", to_do)
    return ok(f"{option} leaves out SIP between other hosts: {listed(counts)}")


def filter_advice(missing: dict[TrafficEnd, int]) -> str:
    if any(place.vlan != NO_VLAN for place in missing):
        return (
            "it has VLAN tags that the filter does not look into: use capture.ports instead, which does, or write"
            " `FILTER or (vlan and (FILTER))`"
        )
    terms = dict.fromkeys(f"port {place.port}" for place in missing)
    return f"let it pass: `(FILTER) or {' or '.join(terms)}`, or use capture.ports, which keeps fragments and tunnels"


def is_seen(case: Case) -> Iterator[Finding]:
    seen = case.observation
    if not seen.opened:
        return
    sip = seen.sip
    if sip.messages:
        yield ok(f"{sip.requests:,} requests and {sip.responses:,} responses: {sip.top_places()}")
        return
    others = f"; other payloads: {listed(seen.not_sip)}" if seen.not_sip else ""
    if seen.unfiltered is not None and seen.unfiltered.messages:
        yield broken("none passes the filter", "see the checks `filter` and `ports`")
        return
    yield warning(
        f"none in {seen.seconds:g} s{others}",
        "make a call, or try again with --seconds 60; SIP over TLS cannot be read; on a mirror port check that both"
        " directions and the right VLANs are mirrored",
    )


def has_a_direction(case: Case) -> Iterator[Finding]:
    sip = case.observation.sip
    if not sip.messages:
        return
    if sip.local:
        yield ok(f"`local` matches {sip.local:,} of {sip.messages:,} messages")
        return
    local = ", ".join(map(str, case.config.capture.local))
    why = " (this host's addresses)" if AUTO in case.config.capture.local else ""
    yield warning(
        f"`local` = {local}{why} matches no message: all count as incoming",
        f"set capture.local (--local) to the server's addresses; those seen most: {sip.top_hosts()}",
    )


def is_traced(case: Case) -> Iterator[Finding]:
    seen, config = case.observation, case.config
    if not config.trace.on:
        yield warning("[trace] on = false: nothing is traced after a start", "`capture-agent status on`, or remove it")
    elif seen.sip.messages and not seen.traced:
        yield warning(
            f"none of {seen.sip.messages:,} messages is traced",
            'no [[rule]] matches them: docs/rules.md; with trace = "dialog" only calls that begin now are traced',
        )
    elif seen.sip.messages:
        hooks = "; hooks were not called" if config.hooks.modules or config.hooks.use else ""
        yield ok(f"{seen.traced:,} of {seen.sip.messages:,} messages are traced{hooks}")
