"""What a network card or its driver changes before packets are captured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from capture_agent.doctor.ethtool import features
from capture_agent.doctor.finding import Finding, ok, warning
from capture_agent.sources.interface_list import ANY

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

LONGEST_MERGED = 65_535 + 18  # bytes of an IP packet, and of its Ethernet header with a VLAN tag
LONGEST_PLAIN = 1_518 + 4
# ethtool's names: received segments are merged, or segments that are sent are captured before they are cut.
MERGING = frozenset({"rx-gro", "rx-lro", "tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-generic-segmentation"})
# Merge UDP datagrams of one flow, which have no boundaries afterwards.
MERGING_UDP = {"rx-udp-gro-forwarding", "rx-gro-list"}


def changes_nothing(case: Case) -> Iterator[Finding]:
    for name in case.interfaces:
        if name != ANY:
            yield of_interface(name, case.config.capture.snapshot_length, features)
    if cut := case.observation.cut:
        yield warning(
            f"{cut:,} packets were longer than snapshot_length = {case.config.capture.snapshot_length}, and cut",
            "remove capture.snapshot_length from the configuration: the default cuts nothing",
        )


def of_interface(name: str, snapshot_length: int, ask: Callable[[str], frozenset[str]]) -> Finding:
    try:
        active = ask(name)
    except OSError:
        return ok("the interface has no such settings", name)
    if udp := sorted(active & MERGING_UDP):
        return warning(
            f"{' and '.join(udp)}: several SIP datagrams may be captured as one",
            f"`ethtool -K {name} {' '.join(f'{each} off' for each in udp)}`",
            name,
        )
    merging = sorted(active & MERGING)
    needed = LONGEST_MERGED if merging else LONGEST_PLAIN
    if snapshot_length < needed:
        why = f" ({', '.join(merging)} make packets that long)" if merging else ""
        return warning(
            f"snapshot_length = {snapshot_length} cuts packets of up to {needed:,} bytes{why}",
            "remove capture.snapshot_length from the configuration: the default cuts nothing",
            name,
        )
    return ok(f"harmless with snapshot_length = {snapshot_length:,}: {', '.join(merging) or 'none'}", name)
