"""The client of an agent's HTTP door, `POST /rpc`, by httpx: for `capture-agent web --agent URL`.

One connection that stays open, in an event loop of its own: so the time for a question is limited as a whole, however
slowly the answer comes. No proxies, no redirects: the token is for this door alone.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence

import httpx

from capture_agent.control.client import LONGEST_ANSWER, PATIENCE, request_for, result_in
from capture_agent.control.commands import SPOKEN, Fault
from capture_agent.control.jsonrpc import METHOD_NOT_FOUND
from capture_agent.control.place import ControlError
from capture_agent.os_errors import in_words

SAID = {
    401: "the door does not know this token",
    403: "the door wants an address instead of a name, or a token",
    404: "not the HTTP door of a capture-agent",
    405: "not the HTTP door of a capture-agent",
}
HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "capture-agent"}


class HttpLine:
    """`url`: without a path. `ca`: a file with certificates to trust, instead of the system's. Raises OSError."""

    def __init__(self, url: str, token: str, ca: str = "") -> None:
        self.name = url
        trusted = ssl.create_default_context(cafile=ca or None)
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(
            headers=HEADERS | {"Authorization": f"Bearer {token}"},
            limits=httpx.Limits(max_connections=1),
            timeout=None,
            trust_env=False,
            verify=trusted,
        )

    def ask(self, method: str, parameters: Sequence[object]) -> object:
        """The result. Raises Fault, or ControlError if no agent answers."""
        try:
            status, reply = self._runner.run(self._exchange(request_for(method, parameters)))
        except TimeoutError:
            raise ControlError(f"{self.name}: no answer within {PATIENCE:g} s") from None
        except httpx.HTTPError as error:
            raise ControlError(f"{self.name}: {why(error)}") from None
        if status != 200:
            raise ControlError(f"{self.name}: {SAID.get(status, f'HTTP status {status}')}")
        try:
            return result_in(reply, self.name)
        except Fault as fault:
            if fault.code == METHOD_NOT_FOUND and method in SPOKEN:
                raise ControlError(f"{self.name}: this agent's [http] has not messages = true") from None
            raise

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body, of at most LONGEST_ANSWER bytes. Raises TimeoutError, HTTPError, ControlError."""
        received = bytearray()
        async with (
            asyncio.timeout(PATIENCE),
            self._client.stream("POST", f"{self.name}/rpc", content=request) as answer,
        ):
            async for data in answer.aiter_raw():
                received += data
                if len(received) > LONGEST_ANSWER:
                    raise ControlError(f"{self.name}: an answer of more than {LONGEST_ANSWER} bytes")
        return answer.status_code, bytes(received)


def why(error: BaseException) -> str:
    """What the system or TLS has said of it. The library repeats what the peer has sent."""
    if isinstance(error, httpx.RemoteProtocolError):
        return "it ended the connection, or does not speak HTTP"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.errno and not isinstance(cause, ssl.SSLError | socket.gaierror):
            return os.strerror(cause.errno).lower()
        if isinstance(cause, socket.gaierror):
            return in_words(cause)
        cause = cause.__cause__ or cause.__context__
    return in_words(ValueError(str(error) or type(error).__name__))
