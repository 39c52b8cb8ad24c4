"""An option of [[hep]] changes the packets of SIP and of the other kinds of messages alike.

They are made in two places: SIP by hep/batch.py, which is hot, all others by sinks/hep/hep_other.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields, replace
from typing import Any

import pytest
from documented_options import example_of
from sink_samples import UdpReceiver, not_sip, numbered, traced

from capture_agent.config.targets import HepTarget
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.kinds import ALL_KINDS
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.hep.hep_sink import HepSink
from hep import Packet, decode

# Where and how packets are sent, not what they hold. `version` is of SIP alone: the others are always HEP3.
SENDING = {"host", "port", "transport", "version", "source", "name", "default"}
SENDING |= {"spool", "tls_ca", "tls_verify", "tls_cert", "tls_key", "tls_server_name"}
SENDING |= {"dead_after_seconds", "keep_alive_seconds", "duplicates_on_reconnect", "oversize", "datagram_bytes"}
OPTIONS = [field.name for field in fields(HepTarget) if field.name not in SENDING]


def message_of(kind: type[CapturedMessage]) -> TracedMessage:
    if kind is CapturedMessage:
        return traced(numbered(1, 500), vlan=12)
    return not_sip(kind, b"neither SIP nor JSON, " * 20, vlan=12)  # type: ignore[arg-type]


def packet_of(target: HepTarget, kind: type[CapturedMessage]) -> Packet:
    with closing(UdpReceiver()) as udp:
        sink = HepSink(replace(target, host="127.0.0.1", port=udp.port))
        sink.send([message_of(kind)])
        sink.close()
        [datagram] = udp.received()
        return decode(datagram)


def changed(option: str, kind: type[CapturedMessage]) -> Mapping[str, Any]:
    """The fields of a packet that the documented example of this option changes, and their values."""
    plain = HepTarget("127.0.0.1")
    example = tomllib.loads(f"example = {example_of('hep', option)}")["example"]
    assert example != getattr(plain, option), f"docs/configuration.md: the example of hep.{option} is its default"
    before, after = (packet_of(target, kind) for target in (plain, replace(plain, **{option: example})))
    ports = {"source_port", "destination_port"}  # ours, where a message has no addresses
    return {
        field.name: getattr(after, field.name)
        for field in fields(Packet)
        if field.name not in ports and getattr(before, field.name) != getattr(after, field.name)
    }


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_changes_the_packets_of_every_kind(option: str, kind: type[CapturedMessage]) -> None:
    of_sip, found = changed(option, CapturedMessage), changed(option, kind)
    assert of_sip, (
        f"hep.{option} changes no packet of SIP: pass it to the Encoder in hep_sink.py, or, if it says where or how "
        "packets are sent, add it to SENDING here"
    )
    assert found == of_sip, (
        f"hep.{option} changes other fields in a packet of {kind.__name__} than in one of SIP: see "
        "capture_agent/sinks/hep/hep_other.py"
    )


def test_all_kinds_have_the_same_fields() -> None:
    """With all options. A correlation id may be there or not: it is the trace's, or the sender's."""
    whole = HepTarget("127.0.0.1", capture_id=7, auth_key="k", node_name="core", vlan=True)
    of_kinds = [packet_of(whole, kind) for kind in ALL_KINDS]
    filled = [
        {field.name for field in fields(Packet) if getattr(packet, field.name) is not None} for packet in of_kinds
    ]
    assert [names - {"correlation_id"} for names in filled] == [filled[0] - {"correlation_id"}] * len(filled)
