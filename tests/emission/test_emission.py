"""Changes to everything that is emitted: each message once, and none without configuration."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from capture_agent.config import Config, Privacy, Rule, TraceSection
from capture_agent.config.endpoints import parse_advertised
from capture_agent.emission.emission import AddressMap, emission
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.traced import Trace, TracedMessage
from capture_agent.sip.scan import scan

SIP = b"OPTIONS sip:alice@h SIP/2.0\r\nAuthorization: Digest x\r\n\r\n"


def message(source: str, destination: str, transport: str = "udp") -> CapturedMessage:
    """From `ADDRESS PORT` to `ADDRESS PORT`."""
    (source, source_port), (destination, destination_port) = source.split(), destination.split()
    addresses = ip_address(source).packed + ip_address(destination).packed
    data, at = addresses + SIP, len(addresses)
    sip = scan(data, at, len(data))
    assert sip is not None
    datagram = Datagram(
        data, at, len(data), 0, at // 2, int(source_port), int(destination_port), transport=transport, time_ns=5
    )
    return CapturedMessage(datagram, sip)


PEER, SERVER = "198.51.100.7 5062", "10.0.0.5 5060"
SHOWN = "203.0.113.5 5099"


@pytest.mark.parametrize(
    ("entries", "source", "destination", "direction", "want"),
    [
        (["10.0.0.5:5060=203.0.113.5:5099"], PEER, SERVER, "in", (PEER, SHOWN)),
        (["10.0.0.5:5060=203.0.113.5:5099"], SERVER, PEER, "out", (SHOWN, PEER)),
        (["10.0.0.5:5060=203.0.113.5:5099"], SERVER, SERVER, "in", (SHOWN, SHOWN)),
        (["10.0.0.5:5061=203.0.113.5:5099"], SERVER, PEER, "out", (SERVER, PEER)),
        (["10.0.0.5=203.0.113.5"], SERVER, PEER, "out", ("203.0.113.5 5060", PEER)),
        (["10.0.0.5=203.0.113.5:7", "10.0.0.5:5060=203.0.113.5:5099"], SERVER, PEER, "out", (SHOWN, PEER)),
        (["udp:10.0.0.5=203.0.113.5:5099", "10.0.0.5=203.0.113.5:7"], SERVER, PEER, "out", (SHOWN, PEER)),
        (["tcp:10.0.0.5=203.0.113.5:5099"], SERVER, PEER, "out", (SERVER, PEER)),
        (["*=203.0.113.5:5099"], SERVER, PEER, "out", (SHOWN, PEER)),
        (["*=203.0.113.5:5099"], SERVER, PEER, "in", (SERVER, SHOWN)),
        (["*:5060=203.0.113.5:5099"], PEER, SERVER, "in", (PEER, SHOWN)),
        (["*:5060=203.0.113.5:5099"], SERVER, PEER, "in", (SERVER, PEER)),
        (["*=2001:db8::9"], SERVER, PEER, "out", (SERVER, PEER)),
        (["[fd00::1]:5060=[2001:db8::9]:5099"], "fd00::1 5060", "fd00::2 1", "out", ("2001:db8::9 5099", "fd00::2 1")),
    ],
)
def test_addresses(entries: list[str], source: str, destination: str, direction: str, want: tuple[str, str]) -> None:
    addresses = AddressMap(map(parse_advertised, entries))
    before = message(source, destination)
    after = addresses.shown(before, Direction(direction))
    datagram = after.datagram
    seen = (
        f"{datagram.source_text} {datagram.source_port}",
        f"{datagram.destination_text} {datagram.destination_port}",
    )
    assert seen == want
    assert (after.raw, after.time_ns) == (SIP, 5)
    assert (after is before) == (want == (source, destination))


def traced(*messages: CapturedMessage) -> list[TracedMessage]:
    return [TracedMessage(one, Direction.IN, Trace(sinks=n + 1), n + 1) for n, one in enumerate(messages)]


def test_nothing_to_change_is_no_step_at_all() -> None:
    assert emission(Config()) is None


def test_a_message_under_several_traces_is_changed_once() -> None:
    change = emission(
        Config(
            trace=TraceSection(advertise=(parse_advertised("10.0.0.5=203.0.113.5"),)),
            privacy=Privacy(mask=("authorization", "users:hash"), hash_key="k"),
        )
    )
    assert change is not None
    one, other = message(PEER, SERVER), message(PEER, SERVER)
    first, second, third = change(traced(one, one, other))
    assert first.message is second.message is not third.message
    assert first.message.raw == third.message.raw != SIP
    assert b"alice" not in first.message.raw
    assert b"Digest x" not in first.message.raw
    assert first.message.datagram.destination_text == "203.0.113.5"
    assert [(each.trace.sinks, each.sinks, each.direction) for each in (first, second, third)] == [
        (1, 1, "in"), (2, 2, "in"), (3, 3, "in"),
    ]  # fmt: skip
    assert one.raw == SIP


@pytest.mark.parametrize(
    ("everywhere", "of_rule", "want"),
    [
        ((), (), SIP),
        ((), ("authorization",), SIP.replace(b"Digest x", b"Digest *")),
        (("authorization",), (), SIP.replace(b"Digest x", b"Digest *")),
        (("authorization",), ("users:truncate",), SIP.replace(b"Digest x", b"Digest *").replace(b"alice", b"a****")),
        (("users:hash",), ("users:truncate",), SIP.replace(b"alice", b"a****")),
    ],
)
def test_masks_of_a_rule(everywhere: tuple[str, ...], of_rule: tuple[str, ...], want: bytes) -> None:
    """Each trace of a message has its own masks; the message is changed once per set of masks."""
    rules = (Rule(mask=of_rule), Rule(mask=("sdes",)))  # type: ignore[arg-type]
    change = emission(Config(privacy=Privacy(mask=everywhere, hash_key="k"), rule=rules))  # type: ignore[arg-type]
    assert change is not None
    one = message(PEER, SERVER)
    with_masks, without = Trace(1, masks=of_rule), Trace(2, masks=("sdes",))
    first, other, again = change(
        [TracedMessage(one, Direction.IN, trace) for trace in (with_masks, without, with_masks)]
    )
    assert first.message.raw == again.message.raw == want
    assert again.message is first.message
    assert (other.message.raw == SIP) == (not everywhere)


def test_what_is_not_changed_is_the_same_record() -> None:
    change = emission(Config(privacy=Privacy(mask=("sdes",))))
    assert change is not None
    batch = traced(message(PEER, SERVER))
    assert change(batch)[0] is batch[0]
