"""Every matcher, with its example from docs/configuration.md: a rule with it matches one message, and not another."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from documented_options import example_of
from policy_samples import CLIENT, SERVER, captured, settings, sip

from capture_agent import config
from capture_agent.config.endpoints import parse_local
from capture_agent.hooks import SeenMessage
from capture_agent.hooks.guard import Guard, Limits
from capture_agent.policy.compiling import OUTCOMES
from capture_agent.policy.policy import Policy
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import Interface
from capture_agent.records.origin import Origin

INVITE = captured(sip("INVITE"))
BYE = captured(sip("BYE", "2 BYE", "b"))
BUSY = captured(sip("SIP/2.0 486 Busy Here", "1 INVITE", "b"))
RINGING = captured(sip("SIP/2.0 180 Ringing", "1 INVITE", "b"))


def request(uri: str) -> CapturedMessage:
    return captured(sip(f"INVITE {uri} SIP/2.0"))


def from_(uri: str) -> CapturedMessage:
    return captured(sip("INVITE", from_=f"<{uri}>"))


def to(uri: str) -> CapturedMessage:
    return captured(sip("INVITE", to=f"<{uri}>"))


def pai(uri: str) -> CapturedMessage:
    return captured(sip("INVITE", p_asserted_identity=f"<{uri}>"))


def way(source: str, destination: str) -> CapturedMessage:
    return captured(sip("INVITE"), source, destination)


def sent_by(origin: Origin) -> CapturedMessage:
    return CapturedMessage(INVITE.datagram, INVITE.sip, origin)


# By the field of a rule: a message that its example matches, and one that it does not.
MESSAGES: dict[str, tuple[CapturedMessage, CapturedMessage]] = {
    "method": (INVITE, BYE),
    "status": (BUSY, RINGING),
    "kind": (INVITE, BYE),
    "request_uri": (request("sip:bob@example.com"), request("sip:bob@example.org")),
    "request_user": (request("sip:0301@a"), request("sip:001@a")),
    "request_host": (request("sip:bob@a.example.com"), request("sip:bob@example.com")),
    "from_uri": (from_("sip:a@carrier.example"), from_("sip:a@carrier.example:5070")),
    "from_user": (from_("sip:alice@a"), from_("sip:carol@a")),
    "from_host": (from_("sip:a@carrier.example:5070"), from_("sip:a@other.example")),
    "to_uri": (to("sip:+4930@a"), to("sip:+4330@a")),
    "to_user": (to("sip:110@a"), to("sip:112@a")),
    "to_host": (to("sip:a@example.org"), to("sip:a@example.net")),
    "pai_uri": (pai("tel:+4930"), pai("tel:+4330")),
    "pai_user": (pai("sip:+4930@a"), pai("sip:+4940@a")),
    "pai_host": (pai("sip:a@carrier.example"), pai("sip:a@other.example")),
    "header": (
        captured(sip("INVITE", x_customer="4712", privacy="id")),
        captured(sip("INVITE", x_customer="4712")),
    ),
    "source": (way("203.0.113.9 5060", SERVER), way(CLIENT, "203.0.113.9 5060")),
    "destination": (way(CLIENT, "192.0.2.10 5060"), way(CLIENT, "192.0.2.10 5061")),
    "address": (way(SERVER, "198.51.100.7 5060"), way(SERVER, "198.51.100.8 5060")),
    "source_port": (way("198.51.100.7 5060", "192.0.2.1 5070"), way("198.51.100.7 5070", SERVER)),
    "destination_port": (way(CLIENT, "192.0.2.1 5081"), way("198.51.100.7 5081", SERVER)),
    "port": (way("198.51.100.7 5061", "192.0.2.1 5070"), way("198.51.100.7 5062", "192.0.2.1 5070")),
    "transport": (captured(sip("INVITE"), transport="ws"), captured(sip("INVITE"), transport="tcp")),
    "direction": (way(CLIENT, SERVER), way(SERVER, CLIENT)),
    "interface": (
        captured(sip("INVITE"), interface=Interface("eth1", 1)),
        captured(sip("INVITE"), interface=Interface("eth0", 1)),
    ),
    "vlan": (captured(sip("INVITE"), vlan=250), captured(sip("INVITE"), vlan=300)),
    "capture_id": (sent_by(Origin(capture_id=3050)), sent_by(Origin(capture_id=2002))),
    "node": (sent_by(Origin(node=b"sbc-berlin-2")), sent_by(Origin(node=b"sbc-bonn-2"))),
    "where": (INVITE, BYE),
    "when": (INVITE, BYE),
    "sample": (captured(sip("INVITE", call_id="c19")), captured(sip("INVITE", call_id="c1"))),
}
MATCHERS = [field.name for field in fields(config.Rule) if field.name not in OUTCOMES]


def is_invite(message: SeenMessage) -> bool:
    return message.method == "INVITE"


def policy(toml: str) -> Policy:
    """The policy of this rule. Its conditions in Python are is_invite()."""
    known = settings(f"[[rule]]\n{toml}\n")
    [(rule, _)] = known.rules
    conditions = {name: Guard(name, is_invite, Limits(), "", answers=True) for name in rule.when}
    return Policy([parse_local(SERVER.split()[0])], replace(known, conditions=conditions))


@pytest.mark.parametrize("field", MATCHERS)
def test_its_example_takes_one_message_and_not_another(field: str) -> None:
    assert field in MESSAGES, (
        f"tests/policy/test_matchers.py: add to MESSAGES what {field!r} matches, and what it does not"
    )
    example = f"{field} = {example_of('rule', field)}"
    matching, other = MESSAGES[field]
    assert policy("").decide([matching, other]) != []
    assert [one.message for one in policy(example).decide([matching])] == [matching]
    assert policy(example).decide([other]) == []


def test_none_is_named_that_does_not_exist() -> None:
    assert MESSAGES.keys() <= set(MATCHERS)
