"""Debian's Kamailio as the receiver of SIP duplicates over TCP: as many messages as were sent, and none smuggled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from faults.peers import until
from free_ports import free_port
from sink_samples import numbered, traced

from capture_agent.config.targets import SipTarget
from capture_agent.delivery.direct import Direct
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import capture_files  # noqa: E402

pytestmark = [pytest.mark.once, pytest.mark.skipif(shutil.which("kamailio") is None, reason="no kamailio here")]

LAST = numbered(999)
# It drops everything: nothing is answered or forwarded.
CONFIGURATION = """
debug=2
log_stderror=yes
children=1
tcp_children=1
disable_tcp=no
auto_aliases=no
listen=tcp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "xlog.so"
request_route {{ xlog("L_ERR", "GOT $rm $ci $ml\\n"); exit; }}
onreply_route {{ xlog("L_ERR", "GOT $rs $ci $ml\\n"); drop; }}
"""


@contextmanager
def kamailio(folder: Path, port: int) -> Iterator[Callable[[], list[list[str]]]]:
    """What it has received so far: method or status, Call-ID, size."""
    (folder / "kamailio.cfg").write_text(CONFIGURATION.format(port=port))
    log = folder / "kamailio.log"

    def got() -> list[list[str]]:
        lines = log.read_text(errors="replace").splitlines()
        return [line.partition("GOT ")[2].split() for line in lines if "GOT " in line]

    with log.open("wb") as output:
        command = ["kamailio", "-f", folder / "kamailio.cfg", "-DD", "-E", "-m", "32", "-M", "8", "-Y", folder]
        server = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder, start_new_session=True)
    try:
        until(lambda: accepts(port) or server.poll() is not None)
        assert server.poll() is None, log.read_text(errors="replace")
        yield got
    finally:
        with suppress(ProcessLookupError):  # it may wait for its own processes for ever when it is asked to end
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(30)


def accepts(port: int) -> bool:
    import socket

    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("x_headers", [False, True])
@pytest.mark.parametrize("name", ["dup_tcp_no_length", "smuggling.inject", "smuggling.forge"])
def test_it_takes_what_is_sent(tmp_path: Path, name: str, x_headers: bool) -> None:
    inputs = ROOT / "tests" / "faults" / "inputs" / f"{name}.pcap"
    messages = [packet.frame[42:] for packet in capture_files.read(inputs).packets]
    port = free_port()
    with kamailio(tmp_path, port) as got:
        direct = Direct(SipDuplicateSink(SipTarget("127.0.0.1", port, "tcp", x_headers=x_headers)))
        direct.put([traced(message) for message in [*messages, LAST]])
        direct.close()
        ledger = direct.ledger()
        assert (direct.failure, ledger.difference) == (None, 0)
        until(lambda: any(call_id == "call-999" for _, call_id, _ in got()))
        assert len(got()) == ledger.outcomes["sent"] == len(messages) + 1 - ledger.rejected["no_header_end"]
        assert not {"victims-call", "never-sent"} & {call_id for _, call_id, _ in got()}
