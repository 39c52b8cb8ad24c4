"""Clients of a running agent: one question, one answer. By its socket here, over HTTP in http_line.py."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from capture_agent.control.commands import Fault
from capture_agent.control.place import ControlError, check_length
from capture_agent.os_errors import in_words

PATIENCE = 5.0  # seconds for the answer
LONGEST_ANSWER = 16 << 20


class AgentLine(Protocol):
    """The way to one agent, for one thread at a time. `name`: for people."""

    name: str

    def ask(self, method: str, parameters: Sequence[object]) -> object:
        """The result. Raises Fault, or ControlError if no agent answers."""

    def close(self) -> None: ...


class SocketLine:
    """A connection for each question."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def ask(self, method: str, parameters: Sequence[object]) -> object:
        return ask(self._path, method, parameters)

    def close(self) -> None:
        """Nothing is open."""


def ask(path: Path, method: str, parameters: Sequence[object], patience: float = PATIENCE) -> object:
    """The result. Raises Fault, or ControlError if no agent answers."""
    check_length(path)
    try:
        reply = exchange(path, request_for(method, parameters) + b"\n", time.monotonic() + patience)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ControlError(f"no agent listens on {path}") from None
    except TimeoutError:
        raise ControlError(f"{path}: no answer within {patience:g} s") from None
    except OSError as error:
        raise ControlError(f"{path}: {in_words(error)}") from None
    return result_in(reply, str(path))


def exchange(path: Path, request: bytes, give_up: float) -> bytes:
    """Send one line, receive one line. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        agent.settimeout(max(0.001, give_up - time.monotonic()))
        agent.connect(str(path))
        agent.sendall(request)
        received = bytearray()
        while not received.endswith(b"\n") and len(received) < LONGEST_ANSWER:
            agent.settimeout(max(0.001, give_up - time.monotonic()))
            data = agent.recv(65536)
            if not data:
                break
            received += data
    return bytes(received).partition(b"\n")[0]


def request_for(method: str, parameters: Sequence[object]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": list(parameters), "id": 1}).encode("ascii")


def result_in(reply: bytes, name: str) -> object:
    """`name`: of whoever has answered. Raises Fault, ControlError."""
    try:
        answer = json.loads(reply)
        if "error" in answer:
            raise Fault(str(answer["error"]["message"]), int(answer["error"]["code"]))
        return answer["result"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ControlError(f"{name}: unexpected reply, not a capture-agent") from None
