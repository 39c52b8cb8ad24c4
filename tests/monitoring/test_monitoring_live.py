"""Debian's Prometheus scrapes a running agent: each query has data under calls by SIPp, and alerts fire when caused.

In the copies of the rules that are used here, a minute is half a second.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from faults.interfaces import Namespace, wires
from http_samples import rpc
from monitoring_files import queries, quick, recorded
from talking import INVITE, OFFER, bye_of, response
from test_live import PATIENCE, Agent, Host, calls, hosts, needs_ip, needs_root, needs_sipp
from test_prometheus import PORT, eventually, needs_prometheus, prometheus

__all__ = ["hosts"]

pytestmark = pytest.mark.once
INTERVAL = "500ms"
NOT_SIP = b"\x80\x08" + bytes(170)  # RTP
REGISTER = INVITE.replace(b"INVITE sip:b@192.0.2.2", b"REGISTER sip:192.0.2.2").replace(b"1 INVITE", b"1 REGISTER")
CALL_ALERTS = {
    "CaptureAgentCallsFailing", "CaptureAgentFewCallsAnswered", "CaptureAgentSlowSetup", "CaptureAgentRegistrationsRefused"
}  # fmt: skip
Ask = Callable[[str], object]


def has_data(asked: Ask, query: str) -> bool:
    """A number, that is."""
    data = asked(f"query?query={quote(query)}")
    assert data is None or isinstance(data, dict), data
    return data is not None and any(not math.isnan(float(one["value"][1])) for one in data["result"])


def firing(asked: Ask) -> set[str]:
    data = asked("alerts")
    assert data is None or isinstance(data, dict)
    return {one["labels"]["alertname"] for one in data["alerts"] if one["state"] == "firing"} if data else set()


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def send(host: Host, to: Host, payload: bytes) -> None:
    """One datagram."""
    sending = (
        "import socket; one = socket.socket(type=socket.SOCK_DGRAM); one.bind(('', 5070))\n"
        f"one.sendto({payload!r}, ({to.address!r}, 5070))"
    )
    subprocess.run(host.command(sys.executable, "-c", sending), check=True)


@needs_root
@needs_sipp
@needs_ip
@needs_prometheus
def test_every_query_has_data(tmp_path: Path, hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    url = f"sqlite:///{tmp_path}/trace.db"
    subprocess.run([sys.executable, "-m", "capture_agent", "db", "create", "--db", url], check=True)
    config = tmp_path / "agent.toml"
    config.write_text(
        f"[http]\nlisten = '127.0.0.1:{PORT}'\n[trace]\nmode = 'dialog'\n[[sql]]\nname = 'table'\nurl = '{url}'\n"
        "[[group]]\nname = 'tables'\nmode = 'failover'\nmembers = ['table']\n"
        f"[metrics]\nsip = true\ncalls = true\n[media]\nrtp = 'all'\n[spool]\ndirectory = '{tmp_path}/spool'\n"
    )
    talking = one.command(sys.executable, str(Path(__file__).with_name("talking.py")), one.address, other.address)
    with Agent(other, "--config", str(config), "-i", "eth1") as agent, running(talking):
        assert "capturing on eth1" in agent.ready
        with prometheus(other, f"127.0.0.1:{PORT}", tmp_path, quick(tmp_path), INTERVAL) as asked:
            eventually(lambda: has_data(asked, "up == 1"), True)
            # ARP before it, a payload that is not SIP, and a call that is sent twice and refused.
            send(one, other, b"this is not SIP, and no RTP")
            invite = INVITE.replace(b"%d", b"1")
            for _ in range(2):
                send(one, other, invite)
            send(other, one, b"SIP/2.0 486 Busy Here" + invite[invite.index(b"\r\n") :])
            calls(one, other, 5060, tmp_path)
            eventually(lambda: has_data(asked, "capture_agent_calls_answered_total > 0"), True)
            calls(one, other, 5064, tmp_path)  # a rate needs a first value
            for title, query in queries():
                eventually(lambda title=title, query=query: has_data(asked, query) or title, True)
            for name in recorded():
                eventually(lambda name=name: has_data(asked, f"last_over_time({name}[1m]) >= 0"), True)
            health = asked("rules")
            assert isinstance(health, dict)
            assert {
                rule["lastError"] for group in health["groups"] for rule in group["rules"] if "lastError" in rule
            } == set()
        agent.stop(signal.SIGTERM)


class Traffic:
    """Sent to the agent until alerts fire."""

    def __init__(self, host: Namespace, asked: Ask) -> None:
        self._socket = host.udp("192.0.2.1")
        self._asked = asked
        self._sent = 0

    def until_fire(self, wanted: set[str], payload: bytes = INVITE, burst: int = 50) -> None:
        deadline = time.monotonic() + PATIENCE
        while wanted - (got := firing(self._asked)):
            assert time.monotonic() < deadline, wanted - got
            self.send(payload, burst)

    def send(self, payload: bytes, count: int) -> None:
        for _ in range(count):
            self._sent += 1
            data = payload.replace(b"%d", b"%d" % self._sent)
            self._socket.sendto(data, ("192.0.2.2", 5060))

    def close(self) -> None:
        self._socket.close()


@needs_root
@needs_ip
@needs_prometheus
def test_alerts_fire_when_caused(tmp_path: Path) -> None:
    hook = tmp_path / "fails.py"
    hook.write_text("def on_message(message):\n    raise KeyError(message.call_id)\n")
    config = tmp_path / "agent.toml"
    good = (
        f"[http]\nlisten = '127.0.0.1:{PORT}'\n[capture]\ninterfaces = ['eth1', 'eth2']\nbuffer_mib = 1\n"
        "[trace]\nmode = 'dialog'\n[correlate]\ncalls = 100\n[hooks]\nmodules = ['fails.py']\nfailures = 3\n"
        "[queue]\nmessages = 1500\ndrain_seconds = 0\n[[hep]]\nname = 'down'\nuri = 'hep+tcp:127.0.0.1:9'\n"
        "[[group]]\nname = 'all down'\nmode = 'failover'\nmembers = ['down']\n"
    )
    config.write_text(good)
    with wires(("eth1", "eth2")) as (one, other):
        host = Host(other.name, "192.0.2.2")
        with (
            Agent(host, "--config", str(config)) as agent,
            prometheus(host, f"127.0.0.1:{PORT}", tmp_path, quick(tmp_path), INTERVAL) as asked,
        ):
            eventually(lambda: has_data(asked, "up == 1"), True)
            traffic = Traffic(one, asked)
            # The sink is down, its queue fills up and overflows; the hook fails; eth2 is quiet.
            traffic.until_fire({"CaptureAgentSinkQueueGrowing"}, burst=4)
            traffic.until_fire(
                {"CaptureAgentSinkDown", "CaptureAgentGroupDown", "CaptureAgentSinkLosing", "CaptureAgentEvicting",
                 "CaptureAgentUserCodeOff", "CaptureAgentNoPackets"}
            )  # fmt: skip
            traffic.until_fire({"CaptureAgentNoSip"}, NOT_SIP)
            other.run(lambda: rpc(PORT, {"jsonrpc": "2.0", "id": 1, "method": "siptrace.status", "params": ["off"]}))
            config.write_text(good + "[nonsense]\n")
            agent.process.send_signal(signal.SIGHUP)
            traffic.until_fire({"CaptureAgentNotTracing", "CaptureAgentReloadFailed"})
            # It reads nothing for a while, and its buffer in the kernel is small.
            os.kill(agent.process.pid, signal.SIGSTOP)
            traffic.send(INVITE, 10_000)
            os.kill(agent.process.pid, signal.SIGCONT)
            traffic.until_fire({"CaptureAgentDroppingPackets"})
            other.down("eth2")
            traffic.until_fire({"CaptureAgentInterfaceDown"})
            assert "CaptureAgentNotCapturing" not in firing(asked)
            other.down("eth1")
            traffic.close()
            eventually(lambda: "CaptureAgentNotCapturing" in firing(asked), True)
            agent.process.kill()
            agent.process.communicate(timeout=PATIENCE)
            eventually(lambda: "CaptureAgentDown" in firing(asked), True)


@needs_root
@needs_ip
@needs_prometheus
def test_alerts_of_calls_fire_when_caused(tmp_path: Path) -> None:
    """Calls that are answered; calls without media; calls and registrations that are refused, and calls that ring late."""
    config = tmp_path / "agent.toml"
    config.write_text(
        f"[http]\nlisten = '127.0.0.1:{PORT}'\n[metrics]\ncalls = true\n[media]\nrtp = 'all'\n"
        "[[hep]]\nuri = 'hep:127.0.0.1:9'\n"
    )
    ids = iter(range(10**9))
    with wires(("eth1",)) as (one, other):
        host = Host(other.name, "192.0.2.2")
        with (
            Agent(host, "--config", str(config), "-i", "eth1") as agent,
            prometheus(host, f"127.0.0.1:{PORT}", tmp_path, quick(tmp_path), INTERVAL) as asked,
            one.udp("192.0.2.1", 5060) as caller,
            other.udp("192.0.2.2", 5060) as callee,
        ):

            def begin(request: bytes = INVITE) -> bytes:
                sent = request.replace(b"%d", b"%d" % next(ids))
                caller.sendto(sent, ("192.0.2.2", 5060))
                return sent

            def end(status: bytes, request: bytes) -> None:
                callee.sendto(response(status, request), ("192.0.2.1", 5060))

            eventually(lambda: has_data(asked, "up == 1"), True)

            def answered() -> bool:
                for _ in range(20):
                    end(b"200", begin())
                return has_data(asked, "increase(capture_agent_calls_answered_total[15s]) > 50")

            eventually(answered, True)
            silent = deque[tuple[float, bytes]]()

            def not_heard() -> bool:
                for _ in range(10):
                    offer = begin(OFFER)
                    end(b"200", offer)
                    silent.append((time.monotonic() + 3.5, offer))
                while silent[0][0] < time.monotonic():
                    offer = silent.popleft()[1]
                    caller.sendto(bye_of(offer), ("192.0.2.2", 5060))
                return "CaptureAgentCallsNotHeard" in firing(asked)

            eventually(not_heard, True)
            ringing = deque[tuple[float, bytes]]()
            fired = set[str]()

            def missing() -> set[str]:
                for _ in range(10):
                    end(b"503", begin())
                    end(b"403", begin(REGISTER))
                ringing.append((time.monotonic() + 10, begin()))
                while ringing[0][0] < time.monotonic():
                    end(b"180", ringing.popleft()[1])
                fired.update(firing(asked))
                return CALL_ALERTS - fired

            eventually(missing, set())
            agent.stop(signal.SIGTERM)
