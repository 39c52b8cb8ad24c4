"""Where the HTTP door listens, and what it needs there."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Final

from capture_agent.config.endpoints import split_port
from capture_agent.config.field_types import Parsed

EXPECTED: Final = "ADDRESS:PORT or [IPv6]:PORT"
_TOKEN = re.compile(r"[!-~]{16,1024}")  # as an HTTP header can have it


def parse_http_listen(text: str) -> str:
    """The text itself; empty: there is none. Raises ValueError with what is wrong."""
    if text:
        host_and_port(text)
    return text


def host_and_port(text: str) -> tuple[str, int]:
    """Raises ValueError."""
    host, port = split_port(text)
    try:
        ip_address(host)
    except ValueError:
        raise ValueError("the host is not a valid IP address") from None
    if port is None:
        raise ValueError("the port is missing")
    return host, port


def is_loopback(text: str) -> bool:
    return ip_address(host_and_port(text)[0]).is_loopback


def check_token(token: str) -> None:
    """Raises ValueError. Says nothing of the token."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("token: expected 16 to 1024 visible ASCII characters")


def check_http(listen: str, token: str, messages: bool) -> None:
    """Raises ValueError: the options do not fit together."""
    if token:
        check_token(token)
    if listen and not token and not is_loopback(listen):
        raise ValueError(f"listen: {listen} is not on loopback, expected a token_file")
    if messages and not token:
        raise ValueError("messages: what peers say is not for everybody, expected a token_file")


HttpListen = Annotated[str, Parsed(parse_http_listen, EXPECTED)]
