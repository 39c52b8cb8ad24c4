"""A listener that fails while the agent runs: everyone who asks is told, and the others go on."""

from __future__ import annotations

import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest
from free_ports import free_port
from sink_samples import UdpReceiver, eventually

from capture_agent.app import capturing
from capture_agent.app.agent import Agent
from capture_agent.config import load
from capture_agent.metrics.exposition import Exposition
from capture_agent.sources.sip_listener import Listener
from hep import Packet, encode

PATIENCE = 30.0
PACKET = Packet(
    source=b"\x0a\0\0\1", destination=b"\x0a\0\0\2", source_port=5060, destination_port=5080, protocol=17, seconds=1,
    payload=b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
)  # fmt: skip


def test_others_go_on(
    tmp_path: Path, udp: UdpReceiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[Listener] = []
    open_socket = capturing.open_socket
    monkeypatch.setattr(capturing, "open_socket", lambda *given: opened.append(open_socket(*given)) or opened[-1])
    ports = free_port(), free_port()
    path = tmp_path / "agent.toml"
    path.write_text(
        f'[[listen]]\nuri = "hep+tcp:127.0.0.1:{ports[0]}"\n[[listen]]\nuri = "hep:127.0.0.1:{ports[1]}"\n'
        f'[[hep]]\nuri = "hep:127.0.0.1:{udp.port}"\n'
    )
    agent, ready = Agent(load(path), lossless=False), threading.Event()
    thread = threading.Thread(target=capturing.run, args=(agent, ready.set), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    assert agent.health()[1] == []
    deaf, other = opened
    deaf._socket.shutdown(socket.SHUT_RDWR)
    eventually(lambda: agent.gone, PATIENCE)
    [reason] = agent.health()[1]
    assert (reason.reason, reason.name) == ("source_down", deaf.name)
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as peer:
        peer.sendto(encode(PACKET), ("127.0.0.1", ports[1]))
    eventually(udp.received, PATIENCE)
    assert f"{deaf.name}: invalid argument; the other sources go on" in caplog.messages
    text = Exposition(agent.figures).text()[0].decode()
    for name, up in ((deaf.name, 0), (other.name, 1)):
        assert f'capture_agent_interface_up{{interface="{name}"}} {up}.0' in text
    agent.stop.set()
    thread.join(PATIENCE)
    assert [str(one) for one in agent.gone] == [f"{deaf.name}: invalid argument"]
    agent.close()
