"""TLS connections made by OpenSSL in memory: what both ends wrote, in order, and the key log."""

from __future__ import annotations

import atexit
import re
import select
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Thread

from faults.peers import end_process
from free_ports import free_port
from stream_samples import ACK, SYN, A, B, segment, syn

from capture_agent.records.datagram import Datagram
from capture_agent.streams.layers import MakeLayers, layers_of
from capture_agent.streams.streams import Streams
from capture_agent.streams.tls.key_store import KeyStore
from capture_agent.streams.tls.tls_layer import decrypting

NO_ENCRYPT_THEN_MAC = 1 << 19  # SSL_OP_NO_ENCRYPT_THEN_MAC
SHAKEN = re.compile(rb"^(CLIENT_RANDOM|CLIENT_TRAFFIC_SECRET_0) ", re.MULTILINE)  # lines at the end of a handshake
Said = tuple[bool, bytes]  # by the client? and what


@cache
def folder_for_all() -> str:
    """Removed at the end of the tests."""
    folder = TemporaryDirectory(prefix="capture-agent-tls-")
    atexit.register(folder.cleanup)
    return folder.name


@cache
def certificate(kind: str) -> tuple[str, str]:
    """Files of a certificate and its key."""
    folder = Path(mkdtemp(dir=folder_for_all()))
    how = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = str(folder / "cert.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", *how, "-nodes", "-subj", "/CN=sip.example", "-days", "2"]
    subprocess.run([*command, "-out", names[0], "-keyout", names[1]], check=True, capture_output=True, timeout=60)
    return names


class Ends:
    """A client and a server; `written` has what each of them gave to TCP, in order."""

    def __init__(
        self,
        version: ssl.TLSVersion,
        ciphers: str = "",
        kind: str = "rsa",
        options: int = 0,
        curve: str = "",
        before: Ends | None = None,
    ) -> None:
        """`before`: resume that one's session."""
        self.written: list[Said] = []
        if before is None:
            self.client_context, self.server_context = (
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
            )
            self.client_context.check_hostname, self.client_context.verify_mode = False, ssl.CERT_NONE
            self.server_context.load_cert_chain(*certificate(kind))
            for context in (self.client_context, self.server_context):
                context.minimum_version = context.maximum_version = version
                context.options |= options
                if ciphers:
                    context.set_ciphers(ciphers)
            if curve:
                self.server_context.set_ecdh_curve(curve)
        else:
            self.client_context, self.server_context = before.client_context, before.server_context
        self.log = Path(mkdtemp(dir=folder_for_all())) / "keys"
        self.client_context.keylog_filename = str(self.log)
        self._into = {True: ssl.MemoryBIO(), False: ssl.MemoryBIO()}  # by: is the client's
        self._out_of = {True: ssl.MemoryBIO(), False: ssl.MemoryBIO()}
        session = before.client.session if before is not None else None
        self.client = self.client_context.wrap_bio(
            self._into[True], self._out_of[True], server_hostname="sip.example", session=session
        )
        self.server = self.server_context.wrap_bio(self._into[False], self._out_of[False], server_side=True)
        self._shake_hands()

    def _shake_hands(self) -> None:
        taps = [self.client.do_handshake, self.server.do_handshake]
        done = [False, False]
        for turn in range(20):
            end = turn % 2
            if not done[end]:
                try:
                    taps[end]()
                    done[end] = True
                except ssl.SSLWantReadError:
                    pass
            self._tap(end == 0)
        assert all(done)

    def _tap(self, by_client: bool) -> None:
        """What this end has just written goes on to the other one, and into `written`."""
        if data := self._out_of[by_client].read():
            self.written.append((by_client, data))
            self._into[not by_client].write(data)

    def say(self, by_client: bool, text: bytes) -> None:
        end, other = (self.client, self.server) if by_client else (self.server, self.client)
        end.write(text)
        self._tap(by_client)
        heard = b""
        while len(heard) < len(text):
            heard += other.read(1 << 16)
        assert heard == text
        self._tap(not by_client)

    @property
    def keys(self) -> list[bytes]:
        return self.log.read_bytes().splitlines()


def segments(written: Iterable[Said], size: int = 1400, port: int = 40000, begun: bool = True) -> list[Datagram]:
    """What both ends wrote, as TCP segments of at most this size; `begun`: with both SYNs."""
    ways = {True: {"ports": (port, 5061), "addresses": A + B}, False: {"ports": (5061, port), "addresses": B + A}}
    at = {True: 1001, False: 5001}
    out = [syn(1000, **ways[True]), segment(b"", 5000, SYN | ACK, **ways[False])] if begun else []
    for by_client, data in written:
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            out.append(segment(piece, at[by_client], frame=len(out) + 1, **ways[by_client]))
            at[by_client] += len(piece)
    return out


def dialogue(ends: Ends, texts: Sequence[bytes]) -> list[bytes]:
    """Said by the client, the server, the client, and so on."""
    for number, text in enumerate(texts):
        ends.say(number % 2 == 0, text)
    return list(texts)


def streams_with(
    keys: Iterable[bytes] = (), store: KeyStore | None = None, make_layers: MakeLayers = layers_of
) -> Streams:
    """Streams that decrypt with these lines of a key log."""
    if store is None:
        store = KeyStore(1 << 26)
        for line in keys:
            store.add(line)
    streams = Streams(make_layers=make_layers)
    streams.attend(*decrypting(store))
    return streams


@dataclass
class Relayed:
    """A connection between `openssl s_client` and `openssl s_server`."""

    written: list[Said]
    keys: list[bytes]
    texts: list[bytes]


def relayed(
    options: Sequence[str],
    texts: Sequence[bytes],
    between: str = "",
    early: bytes = b"",
    serve: Sequence[str] = (),
    client: Sequence[str] = (),
    resumed: bool = False,
    refused: bool = False,
) -> Relayed:
    """The client says these texts, one by one; `between`: a command of s_client before the last one.

    `resumed`: the second connection of a session is returned. `early`: what it says there as early data; `refused`: the
    third one, where the server does not take it. `serve`, `client`: more options of one of them.
    """
    with TemporaryDirectory(prefix="capture-agent-tls-") as name:
        folder = Path(name)
        cert, key = certificate("rsa")
        port = free_port()
        command = ["openssl", "s_server", "-accept", str(port), "-cert", cert, "-key", key, "-quiet", *options, *serve]
        command += ["-early_data"] if early else []
        command += ["-client_renegotiation"] if between == "R" else []
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_port(port)
            run_client = partial(one_client, folder, port, options)
            if not early and not resumed:
                return run_client(texts, between, client)
            session = str(folder / "session")
            run_client(texts[:1], "", ["-sess_out", session])
            again = ["-sess_in", session]
            if not early:
                return run_client(texts, "", again)
            (folder / "early").write_bytes(early)
            again += ["-early_data", str(folder / "early")]
            after = run_client(texts, "", again)
            if refused:  # a ticket is good for early data once
                return run_client(texts, "", again)
            return Relayed(after.written, after.keys, [early, *after.texts])
        finally:
            end_process(server, 10)


def one_client(
    folder: Path, port: int, options: Sequence[str], texts: Sequence[bytes], between: str, more: Sequence[str]
) -> Relayed:
    log = folder / "keys"
    log.unlink(missing_ok=True)
    with Relay(port) as relay:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{relay.port}", "-keylogfile", str(log)]
        client = subprocess.Popen([*command, *options, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # fmt: skip
        assert client.stdin is not None
        said: list[bytes] = []

        def type_in(what: bytes) -> None:
            """The client reads a command only at the start of what it reads: it must have sent what was before."""
            assert client.stdin is not None
            before = relay.said_by_client
            client.stdin.write(what)
            client.stdin.flush()
            wait_until(lambda: relay.said_by_client > before)
            relay.wait_for_silence()

        try:
            wait_until(lambda: log.exists() and bool(SHAKEN.search(log.read_bytes())))
            relay.wait_for_silence()
            for number, text in enumerate(texts):
                if between and number == len(texts) - 1:
                    type_in(between.encode() + b"\n")
                plain = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                type_in(plain)
                said.append(plain)
            if "-sess_out" in more:
                wait_until(Path(more[more.index("-sess_out") + 1]).exists)
        finally:
            client.communicate(timeout=10)
        relay.wait_for_silence()
        return Relayed(relay.written, log.read_bytes().splitlines(), said)


class Relay:
    """Passes one connection on to a port of this host, and keeps what each end wrote, in order."""

    def __init__(self, to: int) -> None:
        self.written: list[Said] = []
        self._to = to
        self._last = time.monotonic()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port: int = self._listener.getsockname()[1]
        self._thread = Thread(target=self._run, daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()

    @property
    def said_by_client(self) -> int:
        return sum(by_client for by_client, _ in self.written)

    def _run(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._to), 10) as server:
            ends = {client: (True, server), server: (False, client)}
            while ends:
                ready, _, _ = select.select(list(ends), [], [], 10)
                if not ready:
                    return
                for end in ready:
                    by_client, other = ends[end]
                    try:
                        data = end.recv(65_536)
                    except OSError:
                        data = b""
                    if not data:
                        return
                    self.written.append((by_client, data))
                    self._last = time.monotonic()
                    other.sendall(data)

    def wait_for_silence(self, seconds: float = 0.15) -> None:
        deadline = time.monotonic() + 10
        self._last = time.monotonic()
        while time.monotonic() < min(self._last + seconds, deadline):
            time.sleep(0.01)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.01)


def wait_for_port(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(port)
