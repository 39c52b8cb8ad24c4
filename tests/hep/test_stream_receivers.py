"""What hep-js makes of our connections, and what each independent receiver makes of keep-alives and compression."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from faults.peers import certificate
from hep_programs import Receiver, running
from hep_receivers import FILES, Kamailio, Sngrep
from hep_samples import sip_packet
from installed_programs import npm_package, program
from sink_samples import TIME_NS, eventually, numbered, traced

from capture_agent.config.targets import HepTarget
from capture_agent.delivery.outbox import Outbox
from capture_agent.records.traced import Trace
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.hep.keep_alive import keep_alive_packet
from hep import encode

pytestmark = pytest.mark.once

COUNT = 2000
ENDPOINTS = ((ip_address("127.0.0.1").packed, 40000), (ip_address("127.0.0.1").packed, 9060))


class HepJsServer:
    """hep-js on the connections of a small server, over TCP or TLS."""

    def __init__(self, receiver: Receiver, pem: Path | None) -> None:
        self.port = int(
            receiver.wait_for(lambda: next(iter(receiver.log.read_text().split("\n")[:-1]), None), "a port")
        )
        self.pem = pem
        self._receiver = receiver
        self._taken = 1

    def target(self, **options: Any) -> HepTarget:
        transport = "tls" if self.pem else "tcp"
        return HepTarget("127.0.0.1", self.port, transport, tls_ca=str(self.pem or ""), **options)

    def lines(self) -> list[str]:
        """The complete ones of this connection, so far."""
        return self._receiver.log.read_text().split("\n")[:-1][self._taken :]

    def until_the_end(self) -> list[dict[str, Any]]:
        """The packets of the connection, which has ended without a byte left over."""
        lines = self._receiver.wait_for(self._ended, "the end of the connection")
        self._taken += len(lines)
        packets = [json.loads(line) for line in lines]
        assert packets.pop() == {"ended": 0}
        return packets

    def _ended(self) -> list[str] | None:
        lines = self.lines()
        return lines if lines and lines[-1].startswith(('{"ended"', '{"broken"')) else None


@pytest.fixture(scope="module", params=["tcp", "tls"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HepJsServer]:
    folder = tmp_path_factory.mktemp("hep_js_stream")
    pem = certificate(folder) if request.param == "tls" else None
    environment = {**os.environ, "NODE_PATH": str(npm_package("hep-js", "1.0.22"))}
    command = (program("node", "nodejs"), str(FILES / "hep_js_stream.js"), *([str(pem)] if pem else []))
    with running(*command, folder=folder, environment=environment) as receiver:
        yield HepJsServer(receiver, pem)


def test_hep_js_checks_every_packet_of_a_connection(server: HepJsServer) -> None:
    sink = HepSink(server.target(capture_id=77, auth_key="hush", node_name="edge"))
    sent = [traced(numbered(n, n * 7 % 3000), trace=Trace(correlation_id=b"leg-%d" % n)) for n in range(COUNT)]
    for at in range(0, COUNT, 100):
        sink.send(sent[at : at + 100])
    sink.flush()
    sink.close()
    packets = server.until_the_end()
    assert [one["payload"].encode() for one in packets] == [numbered(n, n * 7 % 3000) for n in range(COUNT)]
    assert [one["rcinfo"]["correlation_id"] for one in packets] == [f"leg-{n}" for n in range(COUNT)]
    same = {
        "protocolFamily": 2,
        "protocol": 17,
        "srcIp": "192.0.2.1",
        "dstIp": "192.0.2.2",
        "srcPort": 5060,
        "dstPort": 5070,
        "timeSeconds": TIME_NS // 1_000_000_000,
        "timeUseconds": TIME_NS // 1000 % 1_000_000,
        "payloadType": 1,
        "captureId": 77,
        "capturePass": "hush",
        "hepNodeName": "edge",
    }
    assert all({name: one["rcinfo"][name] for name in same} == same for one in packets)
    assert (sink.sent, sink.lost, sink.rejected) == (COUNT, {}, {})


def test_hep_js_takes_a_keep_alive_for_an_empty_payload(server: HepJsServer) -> None:
    """Between two messages, both of which it reads as they are."""
    sink = HepSink(server.target(keep_alive_seconds=0.3))
    box = Outbox(sink)
    box.put([traced(numbered(1))])
    eventually(lambda: len(server.lines()) >= 3, 30)
    box.put([traced(numbered(2))])
    box.close(30)
    first, *between, last = server.until_the_end()
    assert (first["payload"].encode(), last["payload"].encode()) == (numbered(1), numbered(2))
    assert {(one["payload"], one["rcinfo"]["payloadType"]) for one in between} == {("", 0)}
    assert box.ledger().outcomes["sent"] == sink.sent == 2


def test_hep_js_does_not_read_a_compressed_payload(server: HepJsServer) -> None:
    """It has everything else of the packet; the payload is missing. Short payloads are not compressed."""
    sink = HepSink(server.target(compress=True, capture_id=77))
    sink.send([traced(numbered(1, 2000)), traced(numbered(2))])
    sink.flush()
    sink.close()
    packets = server.until_the_end()
    assert [one["rcinfo"]["captureId"] for one in packets] == [77, 77]
    assert "payload" not in packets[0]


KEEP_ALIVE = keep_alive_packet(HepTarget("127.0.0.1", 9060, "tcp", keep_alive_seconds=30), ENDPOINTS)


def compressed(call_id: str) -> bytes:
    return encode(replace(sip_packet(numbered(1, 2000).replace(b"call-1", call_id.encode())), compressed=True))


@pytest.mark.parametrize("what", ["keep-alive", "compressed"])
def test_kamailio_goes_on(what: str, tmp_path: Path) -> None:
    """Nothing is stored of either; the messages before and after are, and no process ends."""
    with Kamailio.started(tmp_path) as kamailio:
        odd = KEEP_ALIVE if what == "keep-alive" else compressed("odd")
        around = [numbered(n).replace(b"call-", b"kam-") for n in range(3)]
        for n, message in enumerate(around):
            kamailio.send(encode(sip_packet(message)), odd)
            assert kamailio.stored("sip_capture", "callid", f"kam-{n}")["msg"] in (message, message.decode())
        (rows,) = kamailio.database.execute("SELECT count(*) FROM sip_capture").fetchone()
        assert rows == 3
        assert kamailio.receiver.process.poll() is None


@pytest.mark.parametrize("what", ["keep-alive", "compressed"])
def test_sngrep_goes_on(what: str, tmp_path: Path) -> None:
    """Its file has an empty packet for either; all messages are as they were sent."""
    with Sngrep.started(tmp_path, None) as sngrep:
        odd = KEEP_ALIVE if what == "keep-alive" else compressed("odd")
        for n in range(3):
            sngrep.send(encode(sip_packet(numbered(n))), odd)
            assert sngrep.saved(f"call-{n}").payload == numbered(n)
        sngrep.receiver.wait_for(lambda: len(list(sngrep.messages())) == 6 or None, "all packets")
        others = [one.payload for one in sngrep.messages() if not one.payload.startswith(b"INVITE")]
        assert others == [b""] * 3
        assert sngrep.receiver.process.poll() is None
