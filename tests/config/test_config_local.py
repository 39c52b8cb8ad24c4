"""The addresses of the traced server."""

from ipaddress import ip_network

import pytest

from capture_agent.config.local import AUTO, LocalAddress, parse_local, resolve

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "network", "port"),
    [
        ("10.0.0.1", "10.0.0.1/32", None),
        ("10.0.0.1:5060", "10.0.0.1/32", 5060),
        ("10.0.0.0/8", "10.0.0.0/8", None),
        ("2001:db8::1", "2001:db8::1/128", None),
        ("[2001:db8::1]", "2001:db8::1/128", None),
        ("[2001:db8::1]:5061", "2001:db8::1/128", 5061),
        ("2001:db8::/32", "2001:db8::/32", None),
    ],
)
def test_addresses(text: str, network: str, port: int | None) -> None:
    local = parse_local(text)
    assert local == LocalAddress(ip_network(network), port)
    assert parse_local(str(local)) == local


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'' is no IP address"),
        ("sip.example.net", "'sip.example.net' is no IP address"),
        ("10.0.0.1:0", "the port is not 1 to 65535"),
        ("10.0.0.1:sip", "the port is not 1 to 65535"),
        ("[::1", "brackets do not match"),
        ("[::1]5060", "brackets do not match"),
        ("10.0.0.1/8", "host bits are set: the network is 10.0.0.0/8"),
        ("10.0.0.0/33", "'10.0.0.0/33' is no network"),
        ("[2001:db8::/32]:5060", "a network takes no port"),
    ],
)
def test_wrong_addresses(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_local(text)
    assert str(caught.value) == problem


def test_auto_stands_for_this_host() -> None:
    extra = LocalAddress(ip_network("203.0.113.5/32"))
    own = LocalAddress(ip_network("192.0.2.2/32"))
    assert resolve([AUTO, extra, AUTO], ["192.0.2.2"]) == (own, extra)
