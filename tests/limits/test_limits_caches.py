"""Caches: texts of addresses, hidden users, states of regular expressions."""

from __future__ import annotations

from ipaddress import ip_network
from random import Random
from struct import pack
from unittest.mock import patch

import pytest
from measuring import documented, held_mib, main

from capture_agent.cli import calls
from capture_agent.config.endpoints import LocalAddress
from capture_agent.config.matchers import compiled
from capture_agent.emission import users
from capture_agent.hooks import seen_message
from capture_agent.net import own_sockets
from capture_agent.net.own_sockets import MOST, OwnSockets
from capture_agent.policy import direction
from capture_agent.policy.direction import LocalSide
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram
from capture_agent.sinks.sql import trace_rows as rows
from capture_agent.sip.scan import scan
from capture_agent.sources import pcapng
from capture_agent.sources.pcapng import PcapngFormat
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook
from capture_agent.view.call_store import CallStore

SHOWN_BYTES = 32 << 20


def ipv6(n: int) -> bytes:
    """Of the longest text."""
    return b"\xfd\xff" * 6 + (0xFFFF_FFFF - n).to_bytes(4, "big")


def places() -> object:
    size = rows.place.cache_info().maxsize
    assert size is not None
    for n in range(size + 1000):
        rows.place("sctp", ipv6(n), 65_535 - n % 1000)
    assert rows.place.cache_info().currsize == size
    return rows.place


def addresses() -> object:
    size = seen_message.address_text.cache_info().maxsize
    assert size is not None
    for n in range(size + 1000):
        seen_message.address_text(ipv6(n))
    assert seen_message.address_text.cache_info().currsize == size
    return seen_message.address_text


def local_side() -> object:
    side = LocalSide([LocalAddress(ip_network("10.0.0.0/8"), None)])
    for n in range(direction.MEMORY):
        side.holds(ipv6(n), 1000 + n % 60_000)
    assert len(side._known) == direction.MEMORY
    return side


def hidden_users() -> object:
    hide = users.hashed(b"key")
    for n in range(users.REMEMBERED + 1000):
        hide(b"%0*d" % (users.LONGEST_REMEMBERED, n))
        hide(b"%05000d" % n)
    return hide


def expressions() -> object:
    """An expression with endless states, and texts that lead to new ones."""
    expression = compiled("[ab]*a[ab]{300}c|(x*y?z+)*w[a-m]{200}[^q]{99}$")
    random = Random(1)
    for _ in range(2000):
        expression.search(bytes(random.choices(b"abwxyz", k=4000)))
        expression.fullmatch(bytes(random.choices(b"abwxyz", k=4000)))
    return expression


def follow() -> object:
    news = calls.News()
    first = message(INVITE, (5060, 5060))
    for n in range(calls.REMEMBERED + 1000):
        news.of([SipCall(b"%060000d" % n, n, first)])
    return news


INVITE = (
    b"INVITE sip:b@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a.example>;tag=from-1\r\n"
    b"To: <sip:b@b.example>\r\nCall-ID: call-1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)


def message(raw: bytes, ports: tuple[int, int]) -> CapturedMessage:
    data = bytes(8) + raw
    sip = scan(data, 8, len(data))
    assert sip is not None
    return CapturedMessage(Datagram(data, 8, len(data), 0, 4, *ports, time_ns=1_700_000_000_000_000_000), sip)


def shown_calls(raw: bytes, messages: int) -> object:
    """As many calls as fit, of so many messages each, all different."""
    book = CallBook(most_bytes=SHOWN_BYTES, live=True)
    n = 0
    while not book.forgotten or n % 1000:
        call = raw.replace(b"call-1", b"call-%d" % n)
        book.add(message(call.replace(b"CSeq: 1", b"CSeq: %d" % m), (n % 60_000, m)) for m in range(messages))
        n += 1
    return book


def small_shown_calls() -> object:
    return shown_calls(INVITE, 1)


def long_shown_calls() -> object:
    return shown_calls(INVITE.replace(b"from-1", b"f" * 5000).replace(b"call-1", b"call-1" + b"i" * 3000), 40)


def calls_in_a_view() -> object:
    """As many small messages as fit; messages of its calls weigh more than what is known of them."""
    store = CallStore(most_bytes=SHOWN_BYTES)
    n = 0
    while not store.evicted:
        call = INVITE.replace(b"call-1", b"call-%d" % n)
        store.add([message(call.replace(b"CSeq: 1", b"CSeq: %d" % m), (n % 60_000, m)) for m in range(10)])
        n += 1
    return store


def own_connections() -> object:
    sockets = OwnSockets()
    sockets.wanted = True
    flows = {(6, ipv6(n), 1024 + n, ipv6(n + MOST), 5060) for n in range(MOST + 100)}
    with patch.object(own_sockets, "sockets_of_this_process", lambda: (flows, set())):
        sockets.look()
    assert len(sockets._seen) == MOST
    return sockets


def capture_interfaces() -> object:
    """As many as one pcapng file may describe, with names of the longest letters, and drops of each."""
    found = PcapngFormat()
    for n in range(pcapng.MAX_INTERFACES):
        name = f"{n:05}".encode() + "\N{TELEPHONE RECEIVER}".encode() * 62
        option = pack("<HH", 2, len(name)) + name + bytes(-len(name) % 4)
        assert not found.read_block(pack("<IIHHI", 1, 0, 1, 0, 0) + option + bytes(4))
        drops = pack("<HHQ", 5, 8, 1 << 60) + pack("<HHQ", 7, 8, 1 << 60)
        assert not found.read_block(pack("<IIIII", 5, 0, n, 0, 0) + drops + bytes(4))
    assert len(found.interfaces) == len(found._drops) == pcapng.MAX_INTERFACES
    return found


CASES = {
    "addresses in rows": places,
    "addresses for hooks": addresses,
    "endpoints on the server's side": local_side,
    "hidden users": hidden_users,
    "a regular expression": expressions,
    "`calls --follow`": follow,
    "own connections": own_connections,
    "interfaces of a pcapng file": capture_interfaces,
    "small calls that are shown": small_shown_calls,
    "long calls that are shown": long_shown_calls,
    "calls and their messages in a view": calls_in_a_view,
}


@pytest.mark.parametrize("case", CASES)
def test_the_worst_input_holds_no_more_than_is_documented(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
