"""Turns traced messages into rows of sip_trace with siptrace's values, in the form each database accepts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address

from capture_agent.addresses import endpoint_text
from capture_agent.books import Account
from capture_agent.sinks.sink import NOT_SIP
from capture_agent.sip.headers import text
from capture_agent.sip.problems import Problem

# Reasons why a message has no rows.
HEADERS, START_LINE, NO_USER = "headers", "start_line", "no_user"
NO_TABLE, ROWS_REFUSED = "table", "refused"
ACCOUNT = Account("sink", rejected=(HEADERS, START_LINE, NOT_SIP, NO_USER, NO_TABLE, ROWS_REFUSED))

Row = tuple[bytes | str | float | int, ...]

# siptrace does not store messages that Kamailio's parser refuses (docs/siptrace.md).
UNPARSED = int(Problem.NO_FROM | Problem.NO_TO | Problem.NO_CALL_ID | Problem.NO_CSEQ | Problem.BAD_CSEQ)

STATUS = [""] + [str(status) for status in range(1, 1000)]
UNIX_EPOCH_JULIAN = 2440587.5
SECONDS_A_DAY = 86400

# Prefix of a message stored as hexadecimal digits; no SIP message starts with it.
HEX_PREFIX = "\\x"


def julian_day(seconds: int) -> float:
    """As Kamailio's db_sqlite writes times: UTC."""
    return UNIX_EPOCH_JULIAN + seconds / SECONDS_A_DAY


def local_time(seconds: int) -> str:
    """As Kamailio's other drivers write times: this host's time zone."""
    return datetime.fromtimestamp(seconds).isoformat(" ")


def utc_time(seconds: int) -> str:
    """As local_time, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat(" ")


def as_hex(message: bytes) -> str:
    """PostgreSQL's text accepts neither NUL nor invalid UTF-8; Kamailio writes every message like this there.

    To read it: `msg::bytea`, or `encode(msg::bytea, 'escape')`.
    """
    return HEX_PREFIX + message.hex()


def as_it_is(message: bytes) -> bytes:
    return message


def as_text_or_hex(charset: str) -> Callable[[bytes], bytes | str]:
    """For a MySQL table that we did not create: bytes if its character set accepts them, otherwise as_hex."""
    encoding = {"utf8mb4": "utf-8"}.get(charset, "ascii")

    def convert(message: bytes) -> bytes | str:
        try:
            message.decode(encoding)
        except UnicodeDecodeError:
            return as_hex(message)
        return message

    return convert


def message_bytes(stored: bytes | str) -> bytes:
    """The message, from the column's value in any of these forms."""
    raw = stored.encode("utf-8", "surrogateescape") if isinstance(stored, str) else bytes(stored)
    if raw.startswith(HEX_PREFIX.encode()):
        try:
            return bytes.fromhex(raw[len(HEX_PREFIX) :].decode("ascii"))
        except ValueError:
            return raw
    return raw


def text_without_nul(value: bytes | None) -> str:
    return text(value).replace("\0", "\\x00")


def text_in_ascii(value: bytes | None) -> str:
    return text_without_nul(value).encode("ascii", "backslashreplace").decode("ascii")


# By the value of `[[sql]] time`.
TIMES = {"local": local_time, "utc": utc_time}


@lru_cache(maxsize=65536)
def place(transport: str, address: bytes, port: int) -> str:
    """`proto:ip:port`; IPv6 always in brackets, which siptrace omits in places."""
    return f"{transport}:{endpoint_text(str(ip_address(address)), port)}"
