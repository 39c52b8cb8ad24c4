"""A full run needs nothing that the systemd unit forbids: system calls, address families, writable code, files of /proc.

The agent runs as another user with CAP_NET_RAW, under strace, in a network namespace, with /proc as ProcSubset=pid has
it. What it asked the kernel for is compared with the unit.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

import pytest
from faults.interfaces import wires
from faults.peers import Read

from capture_agent.sinks.sql.schema import create_tables

UNIT = (Path(__file__).parent.parent / "systemd" / "capture-agent.service").read_text()
PATIENCE = 120
NOBODY = 65534
NEEDED = ("systemd-analyze", "strace", "setpriv", "ip", "unshare", "openssl")

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    *(pytest.mark.skipif(which(name) is None, reason=f"no {name}") for name in NEEDED),
]


def settings(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def expanded(names: list[str]) -> set[str]:
    """System calls, those of @sets too, as systemd knows them."""
    calls: set[str] = set()
    for name in names:
        if not name.startswith("@"):
            calls.add(name)
            continue
        text = subprocess.run(
            ["systemd-analyze", "syscall-filter", "--no-pager", name],
            capture_output=True, text=True, check=True, timeout=PATIENCE,
        ).stdout  # fmt: skip
        listed = [line.strip() for line in text.splitlines()[1:]]
        calls |= expanded([line for line in listed if line and not line.startswith("#")])
    return calls


def allowed() -> set[str]:
    """As SystemCallFilter= says: a list that allows, and one, with ~, that takes from it."""
    calls: set[str] = set()
    for value in settings("SystemCallFilter"):
        if value.startswith("~"):
            calls -= expanded(value[1:].split())
        else:
            calls |= expanded(value.split())
    # systemd.exec(5): implicitly allowed.
    return calls | expanded(["@default"]) | {"execve", "exit", "exit_group", "rt_sigreturn", "sigreturn"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="capture-agent-") as name:
        os.chown(name, NOBODY, NOBODY)
        yield Path(name)


def until(true: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < give_up and process.poll() is None, log.read_text()
        time.sleep(0.05)


def options(n: int) -> bytes:
    return (
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK%d\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>\r\n"
        b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % (n, n)
    )


@pytest.fixture
def asked(folder: Path, certificate: Path) -> str:
    """What strace saw of the agent: capture on an interface and a socket, every sink, control socket, reload, stop."""
    log, trace, control = folder / "log", folder / "trace", folder / "c.sock"
    create_tables(f"sqlite:///{folder}/trace.db")
    os.chown(folder / "trace.db", NOBODY, NOBODY)
    with wires() as (here, there), here.udp() as hep, here.udp() as sip, there.udp("192.0.2.2") as sender:
        tcp, tls = here.run(Read), here.run(lambda: Read(tls=certificate))
        (folder / "agent.toml").write_text(
            f'[[hep]]\nuri = "hep+tls:127.0.0.1:{tls.port}"\ntls_ca = "{certificate}.crt"\n'
            f'[[hep]]\nuri = "hep+tcp:127.0.0.1:{tcp.port}"\n[[hep]]\nuri = "hep:127.0.0.1:{hep.getsockname()[1]}"\n'
            f'[[sip]]\nuri = "sip:127.0.0.1:{sip.getsockname()[1]}"\n[[sql]]\nurl = "sqlite:///{folder}/trace.db"\n'
            '[capture]\nlisten = ["sip:192.0.2.1:5888", "sip:192.0.2.1:5888;transport=tcp"]\n'
        )
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(folder / "notify"))
        os.chmod(folder / "notify", 0o666)  # noqa: PTH101
        # The second capability reads this environment, wherever it is, and writes nothing.
        capabilities = "+net_raw,+dac_read_search"
        words = [
            *("unshare", "--mount", "sh", "-c", 'mount -t proc -o subset=pid,hidepid=invisible p /proc && exec "$@"', "sh"),
            *("strace", "-f", "-qq", "-s", "0", "-o", str(trace)),
            *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs", "--bounding-set=-all,"
              f"{capabilities}", f"--inh-caps=-all,{capabilities}", f"--ambient-caps=-all,{capabilities}", "--"),
            *(sys.executable, "-m", "capture_agent", "run", "--config", str(folder / "agent.toml")),
            *("-i", "eth1", "--control", str(control)),
        ]  # fmt: skip
        environ = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "30000000"}
        with log.open("wb") as file, notify, tcp, tls:
            process = subprocess.Popen(here.command(*words), stderr=file, env=environ)
            try:
                until(lambda: "capturing on eth1" in log.read_text(), process, log)
                agent = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
                for n in range(50):
                    sender.sendto(options(n), ("192.0.2.1", 5060))
                    sender.sendto(options(100 + n), ("192.0.2.1", 5888))
                    time.sleep(0.01)
                until(lambda: tcp.read > 5000 and tls.read > 5000, process, log)
                subprocess.run(
                    [sys.executable, "-m", "capture_agent", "status", "check", "--control", str(control)],
                    capture_output=True, check=True, timeout=PATIENCE,
                )  # fmt: skip
                os.kill(agent, signal.SIGHUP)
                until(lambda: "the configuration is reloaded" in log.read_text(), process, log)
                os.kill(agent, signal.SIGTERM)
                assert process.wait(PATIENCE) == 0, log.read_text()
            finally:
                process.kill()
                process.wait(PATIENCE)
    books = log.read_text()
    assert len(re.findall(r"^(?:hep|sip:|sqlite).*: 100 seen, 100 sent", books, re.MULTILINE)) == 5, books
    return trace.read_text().partition(f'execve("{sys.executable}"')[2]


def test_the_unit_allows_all_that_a_run_needs(asked: str) -> None:
    calls = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed>)", asked, re.MULTILINE))
    assert len(calls) > 50
    # What fails as SystemCallErrorNumber= says, and does no harm.
    assert calls - allowed() == set()
    families = set(re.findall(r"^\d+ +socket(?:pair)?\((AF_\w+)", asked, re.MULTILINE))
    assert {"AF_PACKET", "AF_NETLINK", "AF_INET", "AF_UNIX"} <= families
    assert families <= set(settings("RestrictAddressFamilies")[0].split())
    assert not re.findall(r"PROT_[A-Z|_]*WRITE[A-Z|_]*EXEC.*", asked)  # MemoryDenyWriteExecute=
    assert not re.findall(
        r"^\d+ +(?:f?chmod(?:at)?|open(?:at)?|mkdir(?:at)?)\(.*, 0[2-7][0-7]{3}\b.*$", asked, re.MULTILINE
    )


def test_the_comparison_sees_what_is_missing() -> None:
    assert {"read", "mmap", "setsockopt", "prlimit64", "clone3", "execve"} <= allowed()
    assert not {"setuid", "capset", "mount", "ptrace", "sched_setscheduler", "bpf", "init_module"} & allowed()
