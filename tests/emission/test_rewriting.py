"""A message with other bytes or addresses is independent, and still the captured message."""

from __future__ import annotations

import pytest

from capture_agent.emission.rewriting import rewritten
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.dialog import Dialog, Transaction
from capture_agent.records.frames import Interface
from capture_agent.records.origin import Origin
from capture_agent.sip.problems import Problem
from capture_agent.sip.scan import scan

SIP = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: one\r\n\r\n"
OTHER = SIP.replace(b"one", b"another")
SOURCE, DESTINATION = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])


def captured(missing: int = 0) -> CapturedMessage:
    data = b"frame" + SOURCE + DESTINATION + b"head" + SIP + b"rest"
    start, end = 17, 17 + len(SIP)
    datagram = Datagram(
        data, start, end, 5, 4, 5060, 5070, time_ns=7, frame=3, protocol=6, transport="tcp", vlan=12,
        interface=Interface("eth0", 1), missing=missing, sequence=99, flags=2,
    )  # fmt: skip
    sip = scan(data, start, end)
    assert sip is not None
    message = CapturedMessage(datagram, sip, Origin(Direction.OUT))
    message.dialog = Dialog(b"one", b"tag", b"INVITE")
    message.transaction = Transaction(b"OPTIONS", 1, b"tag", message.dialog)
    message.retransmission = True
    return message


KEPT = ["time_ns", "frame", "protocol", "vlan", "interface", "missing", "sequence", "flags"]
CHANGED = ["source", "destination", "source_port", "destination_port", "transport"]


def seen(message: CapturedMessage) -> dict[str, object]:
    datagram = message.datagram
    return {name: getattr(datagram, name) for name in KEPT + CHANGED} | {
        "raw": message.raw,
        "payload": datagram.payload,
        "call_id": message.sip.call_id,
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"raw": OTHER}, id="bytes"),
        pytest.param({"source": bytes([203, 0, 113, 5]), "source_port": 5099}, id="source"),
        pytest.param({"destination": bytes([203, 0, 113, 5]), "destination_port": 0}, id="destination"),
        pytest.param({"source": bytes(15) + b"\1", "destination": bytes(16), "transport": "udp"}, id="family"),
        pytest.param({"raw": OTHER, "source": bytes(4), "destination_port": 1, "transport": "ws"}, id="all"),
    ],
)
def test_only_given_parts_change(change: dict[str, object]) -> None:
    message = captured()
    before = seen(message)
    copy = rewritten(message, **change)  # type: ignore[arg-type]
    raw = change.get("raw", SIP)
    call_id = b"another" if raw is OTHER else b"one"
    assert seen(copy) == before | change | {"raw": raw, "payload": raw, "call_id": call_id}
    assert (copy.transaction, copy.dialog) == (message.transaction, message.dialog)
    assert (copy.origin, copy.retransmission) == (Origin(Direction.OUT), True)
    assert seen(message) == before
    assert len(copy.datagram.data) == len(copy.raw) + 2 * len(copy.datagram.source)


def test_a_cut_message_stays_one() -> None:
    assert rewritten(captured(missing=5)).sip.problems & Problem.TRUNCATED
    assert not rewritten(captured()).sip.problems & Problem.TRUNCATED


@pytest.mark.parametrize("raw", [b"", b"no SIP", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_bytes_that_are_not_sip_lack_every_part(raw: bytes) -> None:
    copy = rewritten(captured(), raw)
    assert (copy.raw, copy.sip.call_id, copy.sip.method, copy.sip.headers, copy.sip.body) == (raw, None, None, [], b"")
    assert copy.sip.problems & Problem.NO_CALL_ID


@pytest.mark.parametrize("size", [0, 5, 16])
def test_addresses_of_two_families(size: int) -> None:
    with pytest.raises(ValueError, match=f"addresses of {size} and 4 bytes, expected 4 or 16 for both"):
        rewritten(captured(), source=bytes(size))
