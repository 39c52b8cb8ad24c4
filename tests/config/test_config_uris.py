"""URIs: what they say, and what is said of wrong ones."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.addresses import endpoint_text
from capture_agent.config import HepTarget, SipTarget
from capture_agent.config.uris import hep_fields, parse_listen, scheme, sip_fields

pytestmark = pytest.mark.once


# Not even the resolver takes the first four: Python raises UnicodeError for them.
BAD_HOSTS = [
    "a" * 64, f"homer.{'b' * 64}.example", "homer..example", "homer.example..", "-homer", "a.-homer", "homer-.example",
    ".".join(["a" * 49] * 5) + ".abcd", "a." * 127 + "b",
]  # fmt: skip
GOOD_HOSTS = [
    "a" * 63,
    ".".join(["a" * 49] * 5) + ".abc",
    "a." * 127,
    "_sip._tcp.example",
    "1.example",
    "a--b.c",
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_the_longest_names(host: str) -> None:
    assert parse_hep_uri(f"hep:{host}") == HepTarget(host)


def parse_hep_uri(text: str) -> HepTarget:
    return HepTarget(**hep_fields(text))


def parse_sip_uri(text: str) -> SipTarget:
    return SipTarget(**sip_fields(text))


def hep_uri(target: HepTarget) -> str:
    """parse_hep_uri makes an equal target of it, except for the key."""
    query = [
        f"version={target.version}",
        f"id={target.capture_id}",
        *([f"node={quote(target.node_name, safe='')}"] if target.node_name else []),
        *(["vlan=yes"] if target.vlan else []),
    ]
    return f"{scheme('hep', target.transport)}:{endpoint_text(target.host, target.port)}?{'&'.join(query)}"


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("hep:10.0.0.1:9060", HepTarget("10.0.0.1")),
        ("hep:homer", HepTarget("homer")),
        ("HEP:homer.example.net.:1", HepTarget("homer.example.net.", 1)),
        ("hep+udp:homer", HepTarget("homer")),
        ("hep+tcp:[2001:db8::1]:9061", HepTarget("2001:db8::1", 9061, "tcp")),
        ("hep+tls:[::1]", HepTarget("::1", transport="tls")),
        ("hep:h?version=2&id=7", HepTarget("h", version=2, capture_id=7)),
        ("hep:h?id=7&key=a%26b", HepTarget("h", capture_id=7, auth_key="a&b")),
        ("hep:h?vlan=yes", HepTarget("h", vlan=True)),
        ("hep:h?vlan=no", HepTarget("h")),
        ("hep:h?id=4294967295&node=sbc%201", HepTarget("h", capture_id=0xFFFFFFFF, node_name="sbc 1")),
    ],
)
def test_hep(text: str, target: HepTarget) -> None:
    assert parse_hep_uri(text) == target
    assert parse_hep_uri(hep_uri(target)) == replace(target, auth_key="")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.0.0.1:9060", "expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT"),
        ("hep+sctp:h", "expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT"),
        ("hep", "expected hep:HOST:PORT, hep+tcp:HOST:PORT or hep+tls:HOST:PORT"),
        ("hep://h:1", "expected hep:HOST:PORT, without //"),
        ("hep:", "the host is missing"),
        ("hep::9060", "the host is missing"),
        ("hep:h:", "expected a port from 1 to 65535"),
        ("hep:h:0", "expected a port from 1 to 65535"),
        ("hep:h:65536", "expected a port from 1 to 65535"),
        ("hep:h:\u0661", "expected a port from 1 to 65535"),
        ("hep:2001:db8::1", "an IPv6 address needs brackets: [ADDRESS]:PORT"),
        ("hep:[2001:db8::1", "the brackets of the IPv6 address do not match"),
        ("hep:[::1]9", "the brackets of the IPv6 address do not match"),
        ("hep:[h]:1", "the host is not a valid IPv6 address"),
        ("hep:10.0.0.256", "the host is not a valid host name or IPv4 address"),
        *((f"hep:{host}", "the host is not a valid host name or IPv4 address") for host in BAD_HOSTS),
        ("hep:a b", "the host is not a valid host name or IPv4 address"),
        ("hep:h?version=4", "version: expected 1, 2 or 3"),
        ("hep:h?id=4294967296", "id: expected 0 to 4294967295"),
        ("hep:h?id=-1", "id: expected 0 to 4294967295"),
        ("hep:h?vlan=1", "vlan: expected yes or no"),
        ("hep:h?vers=3", "unknown parameter, expected version, id, key, node or vlan"),
        ("hep:h?", "unknown parameter, expected version, id, key, node or vlan"),
        ("hep:h?id=1&id=2", "parameter 'id' is given twice"),
        ("hep+tcp:h?version=2", "HEP 2 has no length field: over udp only, not tcp"),
    ],
)
def test_wrong_hep(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_hep_uri(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("sip:10.1.1.1:5888;transport=tcp", SipTarget("10.1.1.1", 5888, "tcp")),
        ("sip:10.1.1.1", SipTarget("10.1.1.1")),
        ("sip:h;transport=TLS", SipTarget("h", 5061, "tls")),
        ("sips:h:5888", SipTarget("h", 5888, "tls")),
        ("sips:h;transport=tcp", SipTarget("h", 5061, "tls")),
        ("SIP:trace@host.example;Transport=UDP", SipTarget("host.example")),
        ("sip:[::1]:5061", SipTarget("::1", 5061)),
    ],
)
def test_sip(text: str, target: SipTarget) -> None:
    assert parse_sip_uri(text) == target
    assert parse_sip_uri(str(target)) == target


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.1.1.1", "expected sip:HOST:PORT, sip:HOST:PORT;transport=tcp or sips:HOST:PORT"),
        ("sips:h;transport=udp", "transport: udp, expected tcp or tls: sips is over TLS (RFC 3261 26.2.2)"),
        ("sip:h;transport=ws", "transport: expected udp, tcp or tls"),
        ("sip:h;lr", "unknown parameter, expected transport"),
        ("sip:h:x", "expected a port from 1 to 65535"),
        ("sip:;transport=tcp", "the host is missing"),
        ("sip:::1", "an IPv6 address needs brackets: [ADDRESS]:PORT"),
    ],
)
def test_wrong_sip(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_sip_uri(text)
    assert str(caught.value) == problem


HOSTS = st.one_of(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9](\.[a-z]{2,5})?", fullmatch=True),
    st.ip_addresses().map(str),
)


@given(
    st.builds(
        HepTarget,
        host=HOSTS,
        port=st.integers(1, 65535),
        transport=st.sampled_from(["udp", "tcp", "tls"]),
        capture_id=st.integers(0, 0xFFFFFFFF),
        node_name=st.text(st.characters(exclude_categories=["Cs"])),
        vlan=st.booleans(),
    )
)
def test_round_trip(target: HepTarget) -> None:
    assert parse_hep_uri(hep_uri(target)) == target


@given(st.text())
def test_nothing_but_value_error(text: str) -> None:
    for prefix, parse in (("hep:", parse_hep_uri), ("sip:", parse_sip_uri)):
        try:
            parse(prefix + text)
        except ValueError as error:
            assert str(error)


def test_the_key_is_in_no_text() -> None:
    target = parse_hep_uri("hep:h?key=s3cret")
    assert "s3cret" not in str(target) + repr(target)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sip:192.0.2.5", "sip:192.0.2.5:5060"),
        ("sip:192.0.2.5:5888;transport=UDP", "sip:192.0.2.5:5888"),
        ("sip:[::1]:5888;transport=tcp", "sip:[::1]:5888;transport=tcp"),
        ("sip:host.example:5060", "the host is not a valid IP address"),
        ("udp:192.0.2.5:5060", "expected sip:HOST:PORT, sip:HOST:PORT;transport=tcp or sips:HOST:PORT"),
        ("sip:192.0.2.5;transport=tls", "transport: tls, expected udp or tcp"),
        ("sip:192.0.2.5:0", "expected a port from 1 to 65535"),
    ],
)
def test_where_to_listen(text: str, wanted: str) -> None:
    try:
        told = str(parse_listen(text))
    except ValueError as error:
        told = str(error)
    assert told == wanted
