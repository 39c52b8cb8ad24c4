"""A good set-up in network namespaces, which a test breaks in one place: SIP, a HEP collector, a table, a configuration."""

from __future__ import annotations

import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cli_samples import Packet, frame
from faults.interfaces import Namespace, wires
from faults.peers import end_process

from capture_agent.sinks.sql.schema import create_tables

SERVER, PEER = "192.0.2.1", "192.0.2.2"
PATIENCE = 60
EVERY = 0.02  # seconds between two SIP messages
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
# It reads this environment, wherever it is.
READS_ONLY = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", "--"]


def options(n: int, target: str = SERVER, size: int = 0) -> bytes:
    head = (
        f"OPTIONS sip:{target} SIP/2.0\r\nVia: SIP/2.0/UDP {PEER}:5060;branch=z9hG4bK{n}\r\nFrom: <sip:a@{PEER}>;tag=1\r\n"
        f"To: <sip:{target}>\r\nCall-ID: {n}@{PEER}\r\nCSeq: 1 OPTIONS\r\nContent-Length: {size}\r\n\r\n"
    )
    return head.encode() + bytes(size)


class Talker:
    """Sends OPTIONS from the peer to the server, and answers, until it is stopped."""

    def __init__(self, here: Namespace, there: Namespace, port: int = 5060) -> None:
        self._server = here.udp(SERVER, port)
        self._peer = there.udp(PEER, 5060)
        self._to = (SERVER, port)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        n = 0
        while not self._stopped.wait(EVERY):
            n += 1
            with suppress(OSError):  # the interface is down
                request = options(n)
                self._peer.sendto(request, self._to)
                head = request.replace(b"OPTIONS sip:192.0.2.1 SIP/2.0", b"SIP/2.0 200 OK", 1)
                self._server.sendto(head, self._peer.getsockname())

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE)
        self._server.close()
        self._peer.close()


class VlanTalker:
    """Sends OPTIONS from the peer in frames with two VLAN tags, until it is stopped.

    The kernel takes the first tag off before it filters; a filter does not look behind the second.
    """

    def __init__(self, there: Namespace, number: int) -> None:
        self._socket = there.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        self._socket.bind(("eth1", 0))
        self._tag = struct.pack("!HHHH", 0x88A8, 100, 0x8100, number)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def _talk(self) -> None:
        n = 0
        while not self._stopped.wait(EVERY):
            n += 1
            plain = frame(Packet(0, PEER, SERVER, options(n)))
            self._socket.send(b"\xff" * 6 + plain[6:12] + self._tag + plain[12:])

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE)
        self._socket.close()


class Collector:
    """Takes HEP over TCP or TLS on loopback of a namespace, and keeps it."""

    def __init__(self, inside: Namespace, tls: Path | None = None) -> None:
        self.received: list[bytes] = []
        self._listener = inside.run(lambda: socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]
        self._tls: ssl.SSLContext | None = None
        if tls is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(tls)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                while data := connection.recv(65536):
                    self.received.append(data)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def certificate(folder: Path, names: str = "IP:127.0.0.1", days: int = 30) -> Path:
    """Signed by itself, with its key in the same file; `days` may be negative."""
    key, request, made = folder / "key.pem", folder / "request.pem", folder / "collector.pem"
    (folder / "names").write_text(f"subjectAltName={names}\n")
    new = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=collector"
    sign = f"openssl x509 -req -days {days} -extfile names -in request.pem -signkey key.pem -out collector.pem"
    for command in ([*new.split(), "-keyout", str(key), "-out", str(request)], sign.split()):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    made.write_bytes(key.read_bytes() + made.read_bytes())
    return made


@dataclass
class Answer:
    status: int
    report: dict[str, Any]
    out: str

    def findings(self, check: str = "") -> list[dict[str, str]]:
        """Those that are not ok, or all of one check."""
        found = self.report["checks"]
        return [one for one in found if (one["name"] == check if check else one["status"] != "ok")]

    @property
    def wrong(self) -> set[tuple[str, str]]:
        return {(one["name"], one["status"]) for one in self.findings()}


@dataclass
class Patient:
    """`here` has the server and the agent; what a test changes is written into the configuration."""

    here: Namespace
    there: Namespace
    folder: Path
    stack: ExitStack
    capture: dict[str, Any] = field(default_factory=dict)
    hep: dict[str, Any] = field(default_factory=dict)
    sql: dict[str, Any] = field(default_factory=dict)
    more: str = ""  # sections of TOML
    before: list[str] = field(default_factory=list)  # words before the program
    python: list[str] = field(default_factory=lambda: ["-m", "capture_agent"])
    seconds: float = 1.5
    talker: Talker | VlanTalker | None = None
    collector: Collector | None = None

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def database(self) -> Path:
        return self.folder / "trace.db"

    def write(self) -> None:
        sections = (("[capture]", self.capture), ("[[hep]]", self.hep), ("[[sql]]", self.sql))
        lines = [f'[control]\nsocket = "{self.folder}/control.sock"']
        for name, table in sections:
            if table:
                lines += [name, *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join([*lines, self.more, ""]))

    def command(self, *words: str) -> list[str]:
        return self.here.command(*self.before, sys.executable, *self.python, *words)

    def doctor(self, *words: str) -> Answer:
        self.write()
        command = self.command("doctor", "--json", "--config", str(self.config), "--seconds", str(self.seconds), *words)
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert not ended.stderr, ended.stderr
        return Answer(ended.returncode, json.loads(ended.stdout), ended.stdout)

    def talk(self, port: int = 5060) -> None:
        """Instead of what is said so far."""
        self.silence()
        self.talker = Talker(self.here, self.there, port)

    def silence(self) -> None:
        if self.talker is not None:
            self.talker.stop()
            self.talker = None

    def talk_in_vlan(self, number: int) -> None:
        """The SIP has tags from now on: sent as frames, for not every kernel has VLAN interfaces."""
        self.silence()
        self.talker = VlanTalker(self.there, number)

    def collect(self, tls: Path | None = None, **settings: Any) -> None:
        """A new collector, instead of the present one."""
        self.collector = Collector(self.here, tls)
        self.stack.callback(self.collector.close)
        self.hep = {"host": "127.0.0.1", "port": self.collector.port, "transport": "tls" if tls else "tcp", **settings}

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen[str]]:
        """A running one with the same configuration."""
        self.write()
        command = self.command("run", "--config", str(self.config))
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                assert "capturing" in process.stderr.readline()
                yield process
            finally:
                end_process(process, PATIENCE)


@contextmanager
def patient() -> Iterator[Patient]:
    """Nothing is wrong with it."""
    with ExitStack() as stack:
        here, there = stack.enter_context(wires())
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="capture-agent-doctor-")))
        folder.chmod(0o755)  # for nobody, too
        one = Patient(here, there, folder, stack)
        one.capture = {"interfaces": ["eth1"], "local": [SERVER]}
        stack.callback(one.silence)
        one.talk()
        one.collect()
        create_tables(f"sqlite:///{one.database}")
        one.sql = {"url": f"sqlite:///{one.database}"}
        yield one


def is_root() -> bool:
    return os.geteuid() == 0
