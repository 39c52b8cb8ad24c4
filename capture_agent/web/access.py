"""Who may ask, and for how much: a token, and the size of a request."""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from capture_agent.config.endpoints import split_port

LONGEST_BODY = 65_536
LONGEST_HEAD = 16_384  # bytes of a request line with its headers
OPEN = ("/health", "/ready")  # for probes, which have no token
BEARER = "Bearer"
BASIC = 'Basic realm="capture-agent"'  # a browser asks for it: the token is the password


class Access:
    """Before the application: refuses who has not the token, and what is too long."""

    def __init__(self, app: ASGIApp, token: str = "", challenge: str = BEARER) -> None:
        self._app = app
        self._token = token.encode("ascii")
        self._challenge = challenge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._refusal(scope) if scope["type"] == "http" else None
        await (response or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        # Before they have come completely, h11 counts; but what comes at once is complete.
        if len(scope["raw_path"]) + len(scope["query_string"]) + sum(map(size, scope["headers"])) > LONGEST_HEAD:
            return PlainTextResponse(f"more than {LONGEST_HEAD} bytes of headers\n", 431)
        headers = Headers(scope=scope)
        if self._token and scope["path"] not in OPEN and not self._is_known(headers):
            return PlainTextResponse("a token is needed\n", 401, {"WWW-Authenticate": self._challenge})
        if not self._token and is_foreign(headers):
            return PlainTextResponse("wrong Host\n", 403)
        length = headers.get("content-length", "0")
        if len(length) > 9 or int(length) > LONGEST_BODY:
            return PlainTextResponse(f"more than {LONGEST_BODY} bytes\n", 413)
        return None

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        secret = given.strip().encode("utf-8", "replace")
        if scheme.lower() == "basic":
            secret = password_of(secret)
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(secret, self._token)


def size(header: tuple[bytes, bytes]) -> int:
    name, value = header
    return len(name) + len(value) + 3


def password_of(credentials: bytes) -> bytes:
    """RFC 7617; b"" for what is none."""
    try:
        return b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def is_foreign(headers: Headers) -> bool:
    """Is the host of the request a name? A page of another site reaches loopback in a browser by a name of its own."""
    host = headers.get("host", "")
    if not host:
        return False
    try:
        name, _ = split_port(host)
        ip_address(name)
    except ValueError:
        return host.partition(":")[0].lower() != "localhost"
    return False
