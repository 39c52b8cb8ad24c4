"""docs/operate/kamailio.md: its configurations, in a real Kamailio and an agent beside it, that proxy the same calls."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import test_beside_kamailio as beside
from record_demo import configuration
from sip_lab import COLLECTOR, Lab, wait_for

pytestmark = beside.pytestmark
TEXT = (Path(__file__).parents[1] / "docs/operate/kamailio.md").read_text()
TOML = re.findall(r"^```toml\n(.*?)^```", TEXT, re.M | re.S)[0]
SCRIPTS = [
    "\n".join(line[4:] for line in block.splitlines())
    for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", TEXT, re.M)
]
CALLS = ["register", "call-caller", "cancel-caller", "busy-caller", "spiral-caller"]
TRACE = 'modparam("siptrace", "trace_on", 0)'
KAMCMD = "kamcmd siptrace.status off"


def script_with(words: str) -> str:
    return next(script.strip() for script in SCRIPTS if words in script)


@contextmanager
def as_documented(net: Lab, *commands: str) -> Iterator[None]:
    """The agent with the document's configuration, for this network; before it `commands` of kamcmd."""
    for command in commands:
        done = subprocess.run(
            ["ip", "netns", "exec", net.names["proxy"], *command.split()], capture_output=True, text=True, check=True
        )
        assert done.stdout == "Disabled\n"
    file = net.folder / "agent.toml"
    here = {'"eth0"': '"access", "core"', "hep+tcp:homer.example.net:9060": f"hep:{COLLECTOR}:{beside.AGENT}"}
    text = TOML
    for old, new in here.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    process = net.start("proxy", sys.executable, "-m", "capture_agent", "run", "-c", str(file), log="agent")
    log = net.folder / "agent.log"
    wait_for(lambda: b"capturing on" in log.read_bytes() or process.poll() is not None, "the agent")
    assert process.poll() is None, log.read_text()
    yield
    net.stop(process)
    assert "does not balance" not in log.read_text()


def traced(folder: Path, siptrace: str, *commands: str) -> beside.Emitted:
    return beside.trace(folder, configuration(siptrace), list(commands), CALLS, as_documented)


@pytest.mark.parametrize("now", [False, True], ids=["modparam", "kamcmd"])
def test_siptrace_off(tmp_path: Path, now: bool) -> None:
    """Every message on the wire once, and nothing from Kamailio."""
    siptrace, commands = beside.siptrace(trace_mode=1, trace_on=int(now)), []
    if now:
        socket = f"unix:{tmp_path}/ctl"
        siptrace += f'\nloadmodule "ctl.so"\nmodparam("ctl", "binrpc", "{socket}")'
        commands = [script_with(KAMCMD).replace("kamcmd", f"kamcmd -s {socket}")]
    else:
        assert script_with(TRACE).replace(" ", "") in siptrace.replace(" ", "")
    found = traced(tmp_path, siptrace, *commands)
    assert found.kamailio == []
    assert len(found.agent) > 40
    found.check_agent()


@pytest.mark.parametrize("protocol", ["tls", "udp"])
def test_siptrace_for_one_protocol(tmp_path: Path, protocol: str) -> None:
    """With `udp` in place of `tls`, what the route lets pass: everything here. A spiral passes Kamailio twice."""
    siptrace = script_with("event_route").replace("sip:homer.example.net:9060", f"sip:{COLLECTOR}:{beside.KAMAILIO}")
    assert '!= "tls"' in siptrace
    found = traced(tmp_path, siptrace.replace('!= "tls"', f'!= "{protocol}"'))
    found.check_agent()
    if protocol == "tls":
        assert found.kamailio == []
    else:
        assert found.only_agent() == Counter()


@pytest.mark.parametrize(("mode", "sends"), [("m", False), ("t", True), ("d", True)])
def test_siptrace_off_with_a_script_that_traces(tmp_path: Path, mode: str, sends: bool) -> None:
    """Calls of sip_trace() for single messages may stay in the script; others must go."""
    first = f'sip_trace("sip:{COLLECTOR}:{beside.KAMAILIO}", "corr-$ci", "{mode}");'
    text = configuration(beside.siptrace(trace_on=0)).replace("request_route {", f"request_route {{\n    {first}")
    text = text.replace("record_route();", '{ record_route(); if (is_method("INVITE")) dlg_manage(); }', 1)
    found = beside.trace(tmp_path, text, [], CALLS, as_documented)
    found.check_agent()
    assert bool(found.kamailio) == sends
