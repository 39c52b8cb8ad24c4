"""What the kernel says of this host's interfaces, beside what ip(8) says."""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_address
from shutil import which

import pytest

from capture_agent.sources.interfaces import list_interfaces, local_addresses

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
