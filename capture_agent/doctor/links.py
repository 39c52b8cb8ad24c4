"""The interfaces: whether they are there, up, and show packets to other stations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from capture_agent.app.assembly import local_sides
from capture_agent.app.interface_keeper import without_match
from capture_agent.doctor.finding import Finding, broken, ok, warning
from capture_agent.sources.interface_list import ANY, LocalInterface, list_interfaces, local_addresses

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case


def are_up(case: Case) -> Iterator[Finding]:
    known = {one.name: one for one in list_interfaces()}
    waits = case.config.capture.wait_for_interfaces
    for pattern in without_match(case.config.capture.interfaces, dict.fromkeys(known, True)):
        yield is_missing(pattern, known, waits)
    for name in case.interfaces:
        yield is_up(name, known) if name in known else is_missing(name, known, waits)


def is_missing(name: str, known: Iterable[str], waits: bool) -> Finding:
    """The agent does not start without it, unless it `waits`."""
    found = f"no such interface, there are {', '.join(known)}"
    to_do = "correct the name (`capture-agent interfaces` lists them); in a container use the host's network"
    return warning(f"{found}; the agent waits for it", to_do, name) if waits else broken(found, to_do, name)


def is_up(name: str, known: dict[str, LocalInterface]) -> Finding:
    found = known[name]
    if not found.up:
        return broken("the interface is down", f"`ip link set dev {name} up`", name)
    if not found.carrier:
        return broken(
            "no carrier: the cable, or the other end, is not connected or is down",
            "connect it, or bring the other end up",
            name,
        )
    addresses = f", addresses {' '.join(map(str, found.addresses))}" if found.addresses else ""
    return ok(f"up, {found.kind}{addresses}", name)


def are_promiscuous(case: Case) -> Iterator[Finding]:
    """Only a server that is not this host needs it: on a mirror port."""
    capture = case.config.capture
    own = local_addresses()
    mirrored = not any(address in side.network for side in local_sides(case.config) for address in own)
    for name in case.interfaces:
        if not mirrored:
            yield ok("not needed: the traced server is this host", name)
        elif not capture.promiscuous:
            yield warning(
                "off, but `local` is not this host: packets to other stations are not captured",
                "set capture.promiscuous = true, unless the switch sends this host the packets anyway",
                name,
            )
        elif name == ANY:
            yield warning(
                "`any` is never promiscuous, and `local` is not this host: packets to other stations are not captured",
                "name the interface that the mirror port is connected to instead of `any`",
                name,
            )
        elif name in case.observation.opened and name not in case.observation.promiscuous:
            yield warning(
                "asked for, but the interface does not do it",
                "allow promiscuous mode on the virtual switch, which refuses it by default",
                name,
            )
        else:
            yield ok("on", name)
