"""The kernel's list of this host's interfaces, compared with ip(8)."""

from __future__ import annotations

import json
import struct
import subprocess
from ipaddress import ip_address
from shutil import which

import pytest

from capture_agent.sources.interface_list import list_interfaces, local_addresses, missed_frames

pytestmark = pytest.mark.once


def test_loopback_and_any() -> None:
    found = {interface.name: interface for interface in list_interfaces()}
    assert found["lo"].kind == "loopback"
    assert list_interfaces()[-1].name == "any"
    if found["lo"].up:
        assert ip_address("127.0.0.1") in found["lo"].addresses


@pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2")
def test_as_ip_shows_them() -> None:
    shown = json.loads(subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True).stdout)
    links = {(link["ifname"], "UP" in link["flags"], link.get("address", "")) for link in shown}
    addresses = {
        (link["ifname"], ip_address(address["local"])) for link in shown for address in link.get("addr_info", [])
    }
    found = list_interfaces()[:-1]
    assert {(interface.name, interface.up, interface.mac) for interface in found} == links
    assert {(interface.name, address) for interface in found for address in interface.addresses} == addresses
    assert local_addresses() == {address for _, address in addresses}


@pytest.mark.skipif(which("ip") is None, reason="no ip: apt install iproute2")
def test_state_as_ip_shows_it() -> None:
    shown = json.loads(subprocess.run(["ip", "-j", "-d", "-s", "-s", "link"], capture_output=True, check=True).stdout)
    links = {
        link["ifname"]: ("LOWER_UP" in link["flags"], link["promiscuity"] > 0, most_missed(link["stats64"]["rx"]))
        for link in shown
    }
    found = list_interfaces()[:-1]
    assert {one.name: (one.carrier, one.promiscuous, one.missed) for one in found} == links


def most_missed(received: dict[str, int]) -> int:
    return max(received.get(name, 0) for name in ("over_errors", "fifo_errors", "missed_errors"))


@pytest.mark.parametrize(("counts", "want"), [({11: 3}, 3), ({14: 7, 15: 7}, 7), ({6: 9, 12: 9, 13: 9}, 0), (None, 0)])
def test_missed_frames(counts: dict[int, int] | None, want: int) -> None:
    """By the place in rtnl_link_stats64: 6 is rx_dropped."""
    data = b"" if counts is None else struct.pack("=24Q", *(counts.get(n, 0) for n in range(24)))
    assert missed_frames(data) == want
