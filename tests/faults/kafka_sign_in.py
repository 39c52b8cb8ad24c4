"""SASL before a broker: PLAIN, SCRAM and OAUTHBEARER, as brokers of Kafka answer (KIP-43, KIP-152). And who gives tokens."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from scramp import ScramException, ScramMechanism
from scramp.core import ScramServer

SASL_HANDSHAKE, API_VERSIONS, SASL_AUTHENTICATE = 17, 18, 36
AUTHENTICATION_FAILED = 58

# Of the mechanism and what the client has said: whether it is accepted, or what is said to it.
Accepts = Callable[[str, bytes], bool | bytes]


def read_frame(stream: socket.socket) -> bytes:
    (size,) = struct.unpack("!i", exactly(stream, 4))
    return exactly(stream, size)


def exactly(stream: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = stream.recv(size - len(found))
        if not more:
            raise OSError("closed")
        found += more
    return found


def sign_in(client: socket.socket, server: socket.socket, accepts: Accepts) -> bool:
    """Until the client is signed in: then both can be joined. False: it is refused."""
    mechanism = ""
    while True:
        frame = read_frame(client)
        key, version, number, length = struct.unpack("!hhih", frame[:10])
        body = frame[10 + max(0, length) :]
        if key == API_VERSIONS:
            server.sendall(struct.pack("!i", len(frame)) + frame)
            answer = read_frame(server)
        elif key == SASL_HANDSHAKE:
            mechanism = body[2:].decode()
            answer = struct.pack("!ihi", number, 0, 1) + body
        elif key == SASL_AUTHENTICATE:
            said = accepts(mechanism, body[4:])
            words = said if isinstance(said, bytes) else b""
            answer = struct.pack("!ihhi", number, 0 if said else AUTHENTICATION_FAILED, -1, len(words)) + words
            answer += struct.pack("!q", 0) if version else b""
            # RFC 5802, 5.1: a verifier is the last that a server says.
            if not words or words.startswith(b"v="):
                client.sendall(struct.pack("!i", len(answer)) + answer)
                return bool(said)
        else:
            return False
        client.sendall(struct.pack("!i", len(answer)) + answer)


def scram(user: str, password: str) -> Accepts:
    """For one connection after the other."""
    server: ScramServer | None = None

    def accepts(name: str, said: bytes) -> bool | bytes:
        nonlocal server
        mechanism = ScramMechanism(name)
        try:
            if said.startswith(b"n,"):
                known = {user: mechanism.make_auth_info(password, 4096)}
                server = mechanism.make_server(known.__getitem__)
                server.set_client_first(said.decode())
                return bytes(server.get_server_first().encode())
            assert server is not None
            server.set_client_final(said.decode())
            return bytes(server.get_server_final().encode())
        except (ScramException, KeyError):
            return False

    return accepts


def token(subject: str) -> str:
    """A JSON Web Token that nobody has signed."""
    parts = {"alg": "none"}, {"sub": subject, "exp": int(time.time()) + 600}, {}
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


@contextmanager
def token_server(issued: str, asked: list[tuple[str, bytes]]) -> Iterator[str]:
    """The URL; `asked` gets what clients have shown: the header Authorization and the form."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.headers.get("Authorization", ""), form))
            answer = json.dumps({"access_token": issued, "token_type": "Bearer", "expires_in": 600}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()
