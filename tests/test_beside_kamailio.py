"""The agent beside a real Kamailio, both tracing the same calls: who sends which message to the collector.

Kamailio is a stateful proxy between SIPp phones (tools/sip_lab.py), and for one call a spiral: its own next hop. Its
siptrace sends to port 9060 of the collector, the agent, which listens on the proxy's interfaces, to 9061.
"""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

import hep
from capture_agent.sip.scan import scan

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import capture_files  # noqa: E402
import sipp_scenarios  # noqa: E402
from record_demo import configuration, play, stop  # noqa: E402
from record_siptrace import SINK  # noqa: E402
from sip_lab import CALLEES, CALLER, COLLECTOR, PROXY, Lab, lab, wait_for  # noqa: E402

PROGRAMS = ("ip", "tcpdump", "kamailio", "sipp")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS), reason=f"not all there: {', '.join(PROGRAMS)}"
    ),
]
KAMAILIO, AGENT = 9060, 9061  # ports of the collector
NAMES = {CALLER: "caller", PROXY: "proxy"} | dict.fromkeys(CALLEES, "callee")


def siptrace(**settings: int | str) -> str:
    values: dict[str, int | str] = {
        "trace_on": 1, "trace_to_database": 0, "hep_mode_on": 1, "hep_version": 3,
        "duplicate_uri": f"sip:{COLLECTOR}:{KAMAILIO}", **settings,
    }  # fmt: skip
    lines = [f'modparam("siptrace", "{name}", {value!r})'.replace("'", '"') for name, value in values.items()]
    return "\n".join(['loadmodule "siptrace.so"', *lines])


def script(text: str, line: str) -> str:
    """A configuration that runs `line` on each request first."""
    return text.replace("request_route {", f"request_route {{\n    {line}")


@contextmanager
def agent_in(net: Lab, *options: str) -> Iterator[None]:
    hep_uri = f"hep:{COLLECTOR}:{AGENT}"
    interfaces = [word for name in ("access", "core", "lo") for word in ("-i", name)]
    command = ["run", *interfaces, "--filter", "port 5060", "--local", PROXY, "--hep", hep_uri, *options]
    process = net.start("proxy", sys.executable, "-m", "capture_agent", *command, log="agent")
    log = net.folder / "agent.log"
    wait_for(lambda: b"capturing on" in log.read_bytes() or process.poll() is not None, "the agent")
    assert process.poll() is None, log.read_text()
    yield
    net.stop(process)
    assert "does not balance" not in log.read_text()


@dataclass(frozen=True)
class Emission:
    """A HEP packet: what it says of a message."""

    payload: bytes
    source: str
    destination: str
    correlation_id: bytes | None

    def __str__(self) -> str:
        sip = scan(self.payload, 0, len(self.payload))
        assert sip is not None
        what = (sip.method or b"%d" % sip.status).decode()
        cseq = f" ({sip.cseq_method.decode()})" if sip.cseq_method and sip.cseq_method != sip.method else ""
        return f"{what}{cseq} {NAMES[self.source]}>{NAMES[self.destination]}"


@dataclass
class Emitted:
    kamailio: list[Emission]
    agent: list[Emission]


def emissions(capture: Path) -> Emitted:
    """What went to the collector, over lo."""
    emitted = Emitted([], [])
    for packet in capture_files.read(capture).packets:
        (port,) = struct.unpack_from("!H", packet.frame, 14 + 20 + 2)
        decoded = hep.decode(packet.frame[14 + 20 + 8 :])
        addresses = (str(ip_address(decoded.source)), str(ip_address(decoded.destination)))
        emission = Emission(decoded.payload or b"", *addresses, decoded.correlation_id)
        (emitted.kamailio if port == KAMAILIO else emitted.agent).append(emission)
    return emitted


def trace(folder: Path, text: str, options: list[str], calls: dict[str, str]) -> Emitted:
    """The same calls, traced by both. `calls`: scenarios, and the address of who answers."""
    with lab(folder) as net:
        collector = net.capture("lo", "hep.pcap", f"udp dst portrange {KAMAILIO}-{AGENT}")
        net.start("proxy", sys.executable, "-c", SINK.replace("5888", str(AGENT)), log="sink")
        net.kamailio(text)
        scenarios = sipp_scenarios.write(folder)
        with agent_in(net, *options):
            for name, answers in calls.items():
                play(net, scenarios, name, answers)
        stop(net, [collector])
        return emissions(folder / "hep.pcap")


def names(emitted: Counter[tuple[bytes, str, str]]) -> Counter[str]:
    return Counter(str(Emission(*message, None)) for message in emitted.elements())


def compare(emitted: Emitted) -> tuple[Counter[str], Counter[str]]:
    """What only Kamailio has sent, and what only the agent: the same bytes between the same addresses."""
    kamailio, agent = (
        Counter((one.payload, one.source, one.destination) for one in some)
        for some in (emitted.kamailio, emitted.agent)
    )
    return names(kamailio - agent), names(agent - kamailio)


CALLS = {
    "register": "", "options": "", "call": CALLEES[0], "cancel": CALLEES[1], "busy": CALLEES[2], "slow": CALLEES[4],
    "spiral": CALLEES[0],
}  # fmt: skip

LOOPED = {
    "INVITE proxy>proxy": 1, "100 (INVITE) proxy>proxy": 1, "180 (INVITE) proxy>proxy": 1,
    "200 (INVITE) proxy>proxy": 1, "ACK proxy>proxy": 1, "BYE proxy>proxy": 1, "200 (BYE) proxy>proxy": 1,
}  # fmt: skip


def test_every_message(tmp_path: Path) -> None:
    text = configuration(siptrace(trace_mode=1))
    only_kamailio, only_agent = compare(trace(tmp_path, text, ["--trace", "message"], CALLS))
    # SPEC 13: Kamailio sees what it sends to itself twice, out and in. On the wire it is one packet.
    assert only_kamailio == LOOPED
    assert only_agent == {}
