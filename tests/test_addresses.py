"""Addresses, ports and transports as text."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.addresses import TRANSPORTS, bracketed, endpoint_text, is_address, of_socket, split_endpoint

pytestmark = pytest.mark.once

HOSTS = st.one_of(st.ip_addresses().map(str), st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True))


@given(HOSTS, st.integers(0, 65535))
def test_an_endpoint_is_split_as_it_was_written(host: str, port: int) -> None:
    assert split_endpoint(endpoint_text(host, port)) == (host, str(port))
    assert split_endpoint(endpoint_text(host)) == (host, None)
    assert split_endpoint(bracketed(host)) == (host, None)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("10.0.0.1:", ("10.0.0.1", "")),
        (":5060", ("", "5060")),
        ("[::1]:", ("::1", "")),
        ("::1", ("::1", None)),
        ("fe80::1:5060", ("fe80::1:5060", None)),
        ("", ("", None)),
    ],
)
def test_split(text: str, want: tuple[str, str | None]) -> None:
    assert split_endpoint(text) == want


@pytest.mark.parametrize("text", ["[::1", "[::1]5060", "["])
def test_brackets_that_do_not_match(text: str) -> None:
    with pytest.raises(ValueError, match="brackets"):
        split_endpoint(text)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("192.0.2.1", True),
        ("2001:db8::1", True),
        ("[::1]", False),
        ("192.0.2.1:5060", False),
        ("h", False),
        ("", False),
    ],
)
def test_is_address(text: str, want: bool) -> None:
    assert is_address(text) is want


def test_a_socket_s_address_may_name_its_interface() -> None:
    assert of_socket(("fe80::1%eth0", 5060, 0, 2)) == ip_address("fe80::1")
    assert of_socket(("192.0.2.1", 5060)) == ip_address("192.0.2.1")


def test_transports_have_ip_protocol_numbers() -> None:
    assert TRANSPORTS == {"udp": 17, "tcp": 6, "tls": 6, "sctp": 132, "ws": 6, "wss": 6}
