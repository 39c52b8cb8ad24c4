"""A host with a name server that a test controls: it is silent, or its answers change.

with Names() as host:                       a network namespace with its own /etc/resolv.conf; needs root
    host.say("collector.test", "127.0.0.2") from now on that is its address
    host.silence()                          from now on nothing is answered; `host.speak()` ends it
    host.run("capture-agent", ...)          a command inside, so that the real getaddrinfo is exercised
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from faults.peers import ip, process

SERVER = ("127.0.0.53", 53)
CONFIGURED = Path("/etc/netns")  # ip-netns(8): its files take the place of those in /etc
SERVE = "import sys; sys.path.insert(0, sys.argv[1]); from faults.names import serve; serve()"
FILES = {
    "resolv.conf": f"nameserver {SERVER[0]}\noptions timeout:2 attempts:2\n",
    "nsswitch.conf": "hosts: files dns\n",
    "hosts": "127.0.0.1 localhost\n",
}


class Names:
    def __init__(self) -> None:
        self.name = f"names{os.getpid()}"
        self._files = CONFIGURED / self.name

    def __enter__(self) -> Self:
        self._files.mkdir(parents=True)
        for name, text in FILES.items():
            (self._files / name).write_text(text)
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        self._server = process(*self.inside(sys.executable, "-c", SERVE, str(Path(__file__).parents[1])))
        try:
            self._commands = self._server.__enter__()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.__exit__(kind, error, at)
        self._remove()

    def _remove(self) -> None:
        ip("netns", "delete", self.name)
        shutil.rmtree(self._files)

    def inside(self, *command: str) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.name, *command)

    def start(self, *command: str, **options: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.inside(*command), **options)  # type: ignore[call-overload, no-any-return]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.inside(*command), text=True, capture_output=True, timeout=120, check=False)

    def say(self, name: str, *addresses: str) -> None:
        """None: no such name."""
        self._command("say", name, *addresses)

    def silence(self) -> None:
        self._command("silence")

    def speak(self) -> None:
        self._command("speak")

    def _command(self, *words: str) -> None:
        """Done when the server says so."""
        stdin, stdout = self._commands.stdin, self._commands.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(" ".join(words) + "\n")
        stdin.flush()
        assert stdout.readline() == "done\n"


class Server:
    """A and AAAA over UDP, RFC 1035 4.1."""

    def __init__(self) -> None:
        self._addresses: dict[bytes, list[str]] = {}
        self._silent = False

    def obey(self, words: list[str]) -> None:
        match words:
            case ["say", name, *addresses]:
                self._addresses[name.lower().encode()] = addresses
            case [word]:
                self._silent = word == "silence"

    def answer(self, query: bytes) -> bytes | None:
        if self._silent:
            return None
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1 : at + 1 + size])
            at += 1 + size
        question = query[12 : at + 5]
        known = self._addresses.get(b".".join(labels).lower())
        wanted = {1: 4, 28: 16}.get(int.from_bytes(query[at + 1 : at + 3], "big"), 0)
        records = [packed for address in known or () if len(packed := ip_address(address).packed) == wanted]
        head = query[:2] + (b"\x81\x80" if known is not None else b"\x81\x83")
        head += b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
        kind = query[at + 1 : at + 5]
        return (
            head
            + question
            + b"".join(b"\xc0\x0c" + kind + bytes(4) + len(packed).to_bytes(2, "big") + packed for packed in records)
        )


def serve() -> None:
    """Inside the namespace: answer queries, and execute the lines on standard input."""
    server = Server()
    there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there.bind(SERVER)

    def answer() -> None:
        while True:
            query, client = there.recvfrom(4096)
            if (said := server.answer(query)) is not None:
                there.sendto(said, client)

    threading.Thread(target=answer, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        server.obey(line.split())
        print("done", flush=True)
