"""hlog and trace-msg as users run them: to one collector, to several, or to none."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_samples import INVITE, capture_agent
from free_ports import free_port

import hep

BETWEEN = ("--from", "udp:192.0.2.1:5062", "--to", "tcp:192.0.2.2:5064")


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        yield server


def uri(collector: socket.socket) -> str:
    return f"hep:127.0.0.1:{collector.getsockname()[1]}"


def received(collector: socket.socket) -> hep.Packet:
    return hep.decode(collector.recv(65535))


def test_hlog(collector: socket.socket) -> None:
    ended = capture_agent(
        "hlog", "caf\u00e9 opens", "--correlation-id", "c-1", "--hep", uri(collector) + "?id=7&version=1"
    )
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    packet = received(collector)
    assert (packet.protocol_type, packet.payload, packet.correlation_id) == (100, "caf\u00e9 opens".encode(), b"c-1")
    assert packet.capture_id == 7


def test_hlog_to_all_collectors_of_the_configuration(collector: socket.socket, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    place = f'host = "127.0.0.1"\nport = {collector.getsockname()[1]}\n'
    file.write_text(
        "".join(f"[[hep]]\n{place}capture_id = {n}\n" for n in (1, 2)) + f"[[hep]]\n{place}default = false\n"
    )
    assert capture_agent("hlog", "x", "--config", file).status == 0
    assert [received(collector).capture_id for _ in range(2)] == [1, 2]
    collector.setblocking(False)
    with pytest.raises(BlockingIOError):
        collector.recv(1)


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        pytest.param("mirror", [1, 2], id="mirror"),
        pytest.param("failover", [1], id="failover"),
        pytest.param("hash", [2], id="hash"),  # by this correlation id
    ],
)
def test_hlog_to_a_group(mode: str, wanted: list[int], collector: socket.socket, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    place = f'host = "127.0.0.1"\nport = {collector.getsockname()[1]}\n'
    file.write_text(
        "".join(f'[[hep]]\n{place}capture_id = {n}\nname = "homer-{n}"\n' for n in (1, 2))
        + f'[[group]]\nname = "homers"\nmode = "{mode}"\nmembers = ["homer-1", "homer-2"]\n'
    )
    assert capture_agent("hlog", "x", "--correlation-id", "c-2", "--config", file).status == 0
    assert [received(collector).capture_id for _ in wanted] == wanted
    collector.setblocking(False)
    with pytest.raises(BlockingIOError):
        collector.recv(1)


def test_hlog_to_the_next_of_a_group(collector: socket.socket, tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    members = f'"hep+tcp:127.0.0.1:{free_port()}", "{uri(collector)}"'
    file.write_text(f'[[group]]\nname = "homers"\nmode = "failover"\nmembers = [{members}]\n')
    assert capture_agent("hlog", "x", "--config", file).status == 0
    assert received(collector).payload == b"x"


@pytest.mark.parametrize("given", ["file", "standard input"])
def test_trace_msg(collector: socket.socket, tmp_path: Path, given: str) -> None:
    (tmp_path / "invite.sip").write_bytes(INVITE)
    file = str(tmp_path / "invite.sip") if given == "file" else "-"
    ended = subprocess.run(
        [sys.executable, "-m", "capture_agent", "trace-msg", *BETWEEN, "--address", uri(collector), file],
        input=INVITE,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    packet = received(collector)
    assert (packet.protocol_type, packet.payload, packet.correlation_id) == (1, INVITE, None)
    assert (str(packet.source_address), packet.source_port) == ("192.0.2.1", 5062)
    assert (str(packet.destination_address), packet.destination_port, packet.protocol) == ("192.0.2.2", 5064, 6)


@pytest.mark.parametrize("scheme", ["hep", "hep+tcp"])
def test_nobody_listens(tmp_path: Path, scheme: str) -> None:
    target = f"{scheme}:127.0.0.1:{free_port()}"
    (tmp_path / "m").write_bytes(INVITE)
    for arguments in (["hlog", "x", "--hep", target], ["trace-msg", *BETWEEN, "--address", target, tmp_path / "m"]):
        ended = capture_agent(*arguments)
        assert (ended.status, ended.err) == (1, f"capture-agent: {arguments[0]}: {target}: connection refused\n")


def test_what_is_too_long(collector: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"x" * 65_500)
    ended = capture_agent("trace-msg", *BETWEEN, "--address", uri(collector), tmp_path / "m")
    assert (ended.status, ended.err) == (
        1,
        f"capture-agent: trace-msg: {uri(collector)}: longer than a packet can be\n",
    )


def test_nothing_to_send(collector: socket.socket, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"")
    ended = capture_agent("trace-msg", *BETWEEN, "--address", uri(collector), tmp_path / "m")
    assert (ended.status, ended.err.split(": ", 2)[2]) == (2, f"{tmp_path}/m: empty, expected a message\n")
    ended = capture_agent("hlog", "", "--hep", uri(collector))
    assert (ended.status, ended.err) == (2, "capture-agent: hlog: MESSAGE is empty, expected a text\n")
