"""The agent next to a real Kamailio, both tracing the same calls: which sends which message to the collector.

Kamailio is a stateful proxy between SIPp phones (tools/sip_lab.py), and for one call a spiral: its own next hop. Its
siptrace sends to port 9060 of the collector, the agent, which listens on the proxy's interfaces, to 9061. In modes t and d
the agent runs with the result of `config convert` for that Kamailio's configuration. Counts that a slow machine
increases are not compared: the agent's messages are compared with tcpdump's, and what the real one lacks, by kind.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

import pytest

import hep
from capture_agent.convert import convert
from capture_agent.sip.message import SipMessage
from capture_agent.sip.scan import scan

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import capture_files  # noqa: E402
import record_calls  # noqa: E402
import record_demo  # noqa: E402
import sipp_scenarios  # noqa: E402
from record_demo import configuration  # noqa: E402
from sip_lab import CALLEES, CALLER, COLLECTOR, PROXY, Lab, lab, wait_for  # noqa: E402

PROGRAMS = ("ip", "tcpdump", "kamailio", "sipp")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS), reason=f"not all there: {', '.join(PROGRAMS)}"
    ),
]
KAMAILIO, AGENT = 9060, 9061  # ports of the collector,
OTHERS = 9062, 9063  # and of a second one
DEVICES = ("access", "core", "lo")
MEDIUM = record_calls.MEDIA["calls"]
COLLECTED = f"udp dst portrange {KAMAILIO}-{OTHERS[1]}"
SIP = f"udp port 5060 and not dst portrange {KAMAILIO}-{OTHERS[1]}"
# Somebody must listen: an ICMP error would make the next send fail.
SINK = f"""if 1:
    import select, socket
    sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range({KAMAILIO}, {OTHERS[1]} + 1)]
    for port, one in enumerate(sockets, {KAMAILIO}):
        one.bind(({COLLECTOR!r}, port))
    while True:
        for one in select.select(sockets, [], [])[0]:
            one.recv(65535)
"""
MARK = b"the last packet"
LAST = b"CSeq: 1 OPTIONS"
MAX_FORWARDS = re.compile(rb"Max-Forwards: \d+")
HEP = ["--hep", f"hep:{COLLECTOR}:{AGENT}"]
NAMES = {CALLER: "caller", PROXY: "proxy"} | dict.fromkeys(CALLEES, "callee")


def siptrace(**settings: int | str) -> str:
    values: dict[str, int | str] = {
        "trace_on": 1, "trace_to_database": 0, "hep_mode_on": 1, "hep_version": 3,
        "duplicate_uri": f"sip:{COLLECTOR}:{KAMAILIO}", **settings,
    }  # fmt: skip
    lines = [f'modparam("siptrace", "{name}", {value!r})'.replace("'", '"') for name, value in values.items()]
    return "\n".join(['loadmodule "siptrace.so"', *lines])


@contextmanager
def agent_in(net: Lab, *options: str) -> Iterator[None]:
    command = ["run", "--filter", SIP, "--local", PROXY, *options]
    process = net.start("proxy", sys.executable, "-m", "capture_agent", *command, log="agent")
    log = net.folder / "agent.log"
    wait_for(lambda: b"capturing on" in log.read_bytes() or process.poll() is not None, "the agent")
    assert process.poll() is None, log.read_text()
    yield
    net.stop(process)
    assert "does not balance" not in log.read_text()


Running = Callable[..., AbstractContextManager[None]]  # as agent_in


@dataclass(frozen=True)
class Sent:
    """A message between two addresses; if it was emitted, whether to the second collector."""

    payload: bytes
    source: str
    destination: str
    second: bool = False

    @property
    def sip(self) -> SipMessage:
        found = scan(self.payload, 0, len(self.payload))
        assert found is not None
        return found

    @property
    def loops(self) -> bool:
        return self.source == self.destination

    def without_count(self) -> Sent:
        return replace(self, payload=MAX_FORWARDS.sub(b"Max-Forwards:", self.payload))

    def __str__(self) -> str:
        sip = self.sip
        what = (sip.method or b"%d" % sip.status).decode()
        cseq = f" ({sip.cseq_method.decode()})" if sip.cseq_method and sip.cseq_method != sip.method else ""
        return f"{what}{cseq} {NAMES[self.source]}>{NAMES[self.destination]}{' to the second' * self.second}"


@dataclass
class Emitted:
    """Messages of both to the collector, in order, with correlation ids; and those on the wire."""

    kamailio: list[tuple[Sent, bytes | None]]
    agent: list[tuple[Sent, bytes | None]]
    wire: list[Sent]

    def only_kamailio(self) -> Counter[Sent]:
        return Counter(sent for sent, _ in self.kamailio) - Counter(sent for sent, _ in self.agent)

    def only_agent(self) -> Counter[Sent]:
        return Counter(sent for sent, _ in self.agent) - Counter(sent for sent, _ in self.kamailio)

    def counted_down(self) -> Emitted:
        """Without Max-Forwards: the script decrements it in the message that Kamailio traces afterwards."""
        kamailio, agent = (
            [(sent.without_count(), some) for sent, some in all_] for all_ in (self.kamailio, self.agent)
        )
        return Emitted(kamailio, agent, self.wire)

    def check_agent(self, *left_out: bytes) -> None:
        """Exactly the messages on the wire, except transactions of these methods."""
        wanted = Counter(sent for sent in self.wire if sent.sip.cseq_method not in left_out)
        assert Counter(sent for sent, _ in self.agent) == wanted

    def check_ids(self) -> None:
        """All of ours have one; the real module sets it only on messages that its script has seen."""
        for sent, correlation_id in self.agent:
            assert correlation_id == b"corr-" + (sent.sip.call_id or b"")
        assert {correlation_id is None for _, correlation_id in self.kamailio} == {True, False}


def datagrams(capture: Path) -> Iterator[tuple[int, Sent]]:
    """UDP over IPv4 and Ethernet, each with its destination port, without the mark and the last request."""
    for packet in capture_files.read(capture).packets:
        frame = packet.frame
        (port,) = struct.unpack_from("!H", frame, 14 + 20 + 2)
        source, destination = (str(ip_address(frame[at : at + 4])) for at in (26, 30))
        if frame[42:] != MARK:
            yield port, Sent(frame[42:], source, destination)


def emitted(folder: Path) -> Emitted:
    found = Emitted([], [], [])
    for port, datagram in datagrams(folder / "hep.pcap"):
        decoded = hep.decode(datagram.payload)
        addresses = (str(ip_address(decoded.source)), str(ip_address(decoded.destination)))
        sent = Sent(decoded.payload or b"", *addresses, port in OTHERS)
        if LAST not in sent.payload:
            (found.kamailio if port in (KAMAILIO, OTHERS[0]) else found.agent).append((sent, decoded.correlation_id))
    for device in DEVICES:
        found.wire += [sent for _, sent in datagrams(folder / f"{device}.pcap") if LAST not in sent.payload]
    return found


def trace(folder: Path, text: str, options: list[str], calls: list[str], running: Running = agent_in) -> Emitted:
    """The same calls, traced by both."""
    with lab(folder) as net:
        captures = {device: net.capture(device, f"{device}.pcap", SIP) for device in DEVICES}
        captures["hep"] = net.capture("lo", "hep.pcap", COLLECTED)
        net.start("proxy", sys.executable, "-c", SINK, log="sink")
        net.kamailio(text)
        scenarios = sipp_scenarios.write(folder)
        with running(net, *options):
            for call in calls:
                record_calls.play(net, scenarios, call, MEDIUM)
            # Kamailio has one process for UDP: when it answers this, it is done with all before.
            record_demo.play(net, scenarios, "options")
        for device in captures:
            mark(net, device)
        for capture in captures.values():
            net.stop(capture)
    return emitted(folder)


def mark(net: Lab, name: str) -> None:
    """A last packet: once tcpdump has it, it has all earlier ones."""
    place = {"access": (CALLER, 5060), "core": (CALLEES[0], 5060), "lo": (PROXY, 5061), "hep": (COLLECTOR, AGENT)}[name]
    source = 5060 if name == "lo" else 0
    script = f"""if 1:
        import socket
        s = socket.socket(type=socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1" if {source} else "", {source}))
        s.sendto({MARK!r}, {place!r})
    """
    process = net.start("proxy", sys.executable, "-c", script, log=f"mark-{name}")
    wait_for(lambda: process.poll() is not None, "the mark")
    wait_for(lambda: MARK in (net.folder / f"{name}.pcap").read_bytes(), f"the last packet on {name}")


LOOPED = {
    "INVITE proxy>proxy", "100 (INVITE) proxy>proxy", "180 (INVITE) proxy>proxy", "200 (INVITE) proxy>proxy",
    "ACK proxy>proxy", "BYE proxy>proxy", "200 (BYE) proxy>proxy",
}  # fmt: skip


def test_every_message(tmp_path: Path) -> None:
    calls = ["register", "call-caller", "cancel-caller", "busy-caller", "slow-caller", "spiral-caller"]
    found = trace(tmp_path, configuration(siptrace(trace_mode=1)), ["-i", "any", "--drop-copies", *HEP], calls)
    # Kamailio sees a message to itself twice, out and in. On the wire it is one packet.
    assert set(map(str, found.only_kamailio())) == LOOPED
    assert found.only_agent() == Counter()
    found.check_agent()


def converted(folder: Path, text: str) -> list[str]:
    """The agent's options: the result of `config convert` for this server's configuration."""
    (folder / "converted.cfg").write_text(text)
    (folder / "agent.toml").write_text(convert(folder / "converted.cfg"))
    # An outgoing message on one is often here before the incoming one on another.
    interfaces = [word for device in DEVICES for word in ("-i", device)]
    return ["--config", str(folder / "agent.toml"), *interfaces, *HEP]


def accidents(found: Emitted) -> set[str]:
    """Messages that only the agent has, by the fault of siptrace that explains them; others are listed themselves."""
    spirals = {sent.sip.call_id for sent in found.wire if sent.loops}
    both = Counter(sent for sent, _ in found.agent) - found.only_agent()
    numbers: Counter[Sent] = Counter()
    names = set()
    for sent, _ in found.agent:
        numbers[sent] += 1
        if numbers[sent] <= both[sent]:
            continue
        if sent.sip.method == b"ACK" and sent.source == PROXY:
            names.add("relayed ACK")
        elif numbers[sent] > 1:
            names.add("sent again")
        elif sent.sip.method == b"ACK":
            names.add("confirming ACK")  # trace_dialog_ack
        elif sent.sip.call_id in spirals and sent.sip.cseq_method == b"BYE":
            names.add("second pass")  # 9.13
        else:
            names.add(str(sent))
    return names


def test_transactions(tmp_path: Path) -> None:
    first = f'sip_trace("sip:{COLLECTOR}:{KAMAILIO}", "corr-$ci", "t");'
    text = configuration(siptrace()).replace("request_route {", f"request_route {{\n    {first}")
    calls = [
        "register", "message-caller", "call-caller", "cancel-caller", "busy-caller", "slow-caller", "fork-caller",
        "spiral-caller",
    ]  # fmt: skip
    found = trace(tmp_path, text, converted(tmp_path, text), calls)
    found.check_agent()
    found.check_ids()
    compared = found.counted_down()
    assert set(map(str, compared.only_kamailio())) == LOOPED - {"ACK proxy>proxy"}
    assert accidents(compared) == {"relayed ACK", "sent again"}


def test_dialogs(tmp_path: Path) -> None:
    first = f'if (is_method("INVITE") && !has_totag()) sip_trace("sip:{COLLECTOR}:{KAMAILIO}", "corr-$ci", "d");'
    text = configuration(siptrace()).replace("request_route {", f"request_route {{\n    {first}")
    text = text.replace("record_route();", '{ record_route(); if (is_method("INVITE")) dlg_manage(); }', 1)
    calls = [
        "register", "message-caller", "reinvite-caller", "cancel-caller", "busy-caller", "slow-caller", "fork-caller",
        "spiral-caller",
    ]  # fmt: skip
    found = trace(tmp_path, text, converted(tmp_path, text), calls)
    found.check_agent(b"MESSAGE", b"REGISTER")
    found.check_ids()
    compared = found.counted_down()
    in_dialog = {"ACK proxy>proxy", "BYE proxy>proxy", "200 (BYE) proxy>proxy"}
    assert set(map(str, compared.only_kamailio())) == LOOPED - in_dialog
    assert accidents(compared) == {"relayed ACK", "sent again", "confirming ACK", "second pass"}
