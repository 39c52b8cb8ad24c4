"""Calls by SIPp over TLS to Debian's Kamailio: the agent reads what SIPp says and hears, to the byte.

Debian's SIPp has no TLS: socat encrypts its connection. Its Kamailio has no option for a key log: it preloads the library
of docs/operate/tls.md.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from faults.interfaces import Namespace
from faults.peers import end_process

PROGRAMS = ("ip", "gcc", "kamailio", "sipp", "socat", "openssl")
MODULES = next(Path("/usr/lib").glob("*/kamailio/modules"), Path("/usr/lib/kamailio/modules"))
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in PROGRAMS) or not (MODULES / "tls.so").exists(),
        reason=f"not all there: {', '.join(PROGRAMS)}, Kamailio's tls",
    ),
]
DOCUMENT = Path(__file__).parents[1] / "docs" / "operate" / "tls.md"
PATIENCE = 60.0
CALLS = 10
KAMAILIO = """
children=1
tcp_children=2
enable_tls=yes
listen=tls:127.0.0.1:5061
listen=udp:127.0.0.1:5062
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "tls.so"
modparam("tls", "private_key", "{folder}/key.pem")
modparam("tls", "certificate", "{folder}/cert.pem")
modparam("tls", "tls_method", "TLSv1.2+")
request_route {{
    $du = "sip:127.0.0.1:5070";
    t_relay();
}}
"""
LOGGED = re.compile(rb"TCP message (?:sent \((\d+) bytes\)|received \[(\d+)\] bytes ?):\n\n")


def build_library(folder: Path) -> Path:
    """As the document says."""
    text = DOCUMENT.read_text()
    found = re.search(r"```c\n(.*?)```\n\n    (gcc .*?)\n", text, re.DOTALL)
    assert found is not None
    (folder / "keylog.c").write_text(found[1])
    subprocess.run(found[2].split(), cwd=folder, check=True, timeout=PATIENCE)
    return folder / "libkeylog.so"


@contextmanager
def namespace() -> Iterator[Namespace]:
    made = Namespace(f"tls{os.getpid()}")
    try:
        yield made
    finally:
        made.delete()


@contextmanager
def started(
    net: Namespace, folder: Path, *command: str, log: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / log).open("wb") as file:
        process = subprocess.Popen(
            net.command(*command), stdout=file, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ, **environment}
        )
        try:
            yield process
        finally:
            end_process(process, PATIENCE)


def wait_for(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def listens(net: Namespace, port: int) -> bool:
    shown = subprocess.run(net.command("ss", "-Hltun", "sport", "=", f":{port}"), capture_output=True, check=True, timeout=PATIENCE)  # fmt: skip
    return bool(shown.stdout.strip())


def said_and_heard(log: Path) -> Counter[bytes]:
    """The messages in SIPp's log."""
    text = log.read_bytes()
    return Counter(text[one.end() : one.end() + int(one[1] or one[2])] for one in LOGGED.finditer(text))


def rows(database: Path) -> Counter[bytes]:
    if not database.exists():
        return Counter()
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute("select msg, fromip from sip_trace").fetchall()
    assert all(source.startswith("tls:127.0.0.1:") for _, source in found)
    return Counter(bytes(message) for message, _ in found)


def test_kamailio_and_sipp(tmp_path: Path) -> None:
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=sip -out cert.pem -keyout key.pem"
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True, timeout=PATIENCE)
    library = build_library(tmp_path)
    (tmp_path / "kamailio.cfg").write_text(KAMAILIO.format(folder=tmp_path))
    capture = [
        "run",
        "-i",
        "lo",
        "--filter",
        "tcp port 5061",
        "--key-log",
        "keys",
        "--db",
        "sqlite:///trace.db",
        "--create",
    ]
    with namespace() as net, ExitStack() as stack:
        agent = stack.enter_context(
            started(net, tmp_path, sys.executable, "-m", "capture_agent", *capture, log="agent")
        )
        wait_for(lambda: b"capturing on lo" in (tmp_path / "agent").read_bytes(), "the agent")
        assert re.search(r"^Max core file size +0 ", Path(f"/proc/{agent.pid}/limits").read_text(), re.MULTILINE)
        kamailio = ["kamailio", "-f", "kamailio.cfg", "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(tmp_path)]
        preload = {"LD_PRELOAD": str(library), "SSLKEYLOGFILE": str(tmp_path / "keys")}
        stack.enter_context(started(net, tmp_path, *kamailio, log="kamailio", **preload))
        stack.enter_context(
            started(net, tmp_path, "sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", "5070", "-nostdin", log="uas")
        )
        for port, version in ((5081, "TLS1.2"), (5082, "TLS1.3")):
            to = f"OPENSSL:127.0.0.1:5061,verify=0,openssl-min-proto-version={version},openssl-max-proto-version={version}"
            listen = f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr"
            stack.enter_context(started(net, tmp_path, "socat", listen, to, log=version))
        for port in (5061, 5062, 5070, 5081, 5082):
            wait_for(lambda port=port: listens(net, port), f"port {port}")
        for port in (5081, 5082):
            call = net.command(
                "sipp", "-sn", "uac", f"127.0.0.1:{port}", "-i", "127.0.0.1", "-t", "t1", "-m", str(CALLS), "-r", "50", "-d", "50",
                "-trace_msg", "-message_file", f"{port}.log", "-nostdin", "-timeout", "50", "-timeout_error",
            )  # fmt: skip
            subprocess.run(call, cwd=tmp_path, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE + 50)
        want = said_and_heard(tmp_path / "5081.log") + said_and_heard(tmp_path / "5082.log")
        wait_for(lambda: rows(tmp_path / "trace.db").total() >= want.total(), "the last rows")
        agent.send_signal(signal.SIGINT)
        assert agent.wait(PATIENCE) == 0
    assert want.total() >= 2 * 6 * CALLS
    assert rows(tmp_path / "trace.db") == want
    books = (tmp_path / "agent").read_text()
    assert "tls: 2 seen, 2 decrypted" in books
    assert "does not balance" not in books
    keys = [line.split()[2] for line in (tmp_path / "keys").read_text().splitlines()]
    assert keys
    assert not any(key in books for key in keys)
