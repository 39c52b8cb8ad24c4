"""Turns traced messages into rows of sip_trace with siptrace's values, in the form each database accepts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address

from capture_agent.addresses import endpoint_text
from capture_agent.books import Account
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import NOT_SIP
from capture_agent.sinks.sql.sip_trace_table import INSERTED
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

TRACED_USER = list(INSERTED).index("traced_user")
LONGEST_USER = INSERTED["traced_user"] or 0
_LIMITS = [(at, name, limit) for at, (name, limit) in enumerate(INSERTED.items()) if limit is not None]


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


@dataclass(slots=True)
class RowMaker:
    """The form of values for one database. `cut` counts values longer than their column, by column."""

    message: Callable[[bytes], bytes | str]
    time: Callable[[int], float | str]
    text: Callable[[bytes | None], str]
    limited: bool  # whether it refuses values longer than their column
    cut: Counter[str] = field(default_factory=Counter)
    _second: int = -1
    _time: float | str = ""

    def rows(self, traced: TracedMessage) -> list[Row] | str:
        """A row without a user, unless the trace omits it, then one per user; or why there are none."""
        trace = traced.trace
        row = self.row(traced)
        if isinstance(row, str):
            return row
        if trace.plain_row and not trace.users:
            return [row]
        rows = [row] if trace.plain_row else []
        for user in trace.users:
            rows.append((*row[:TRACED_USER], self._user(user), *row[TRACED_USER + 1 :]))
        return rows or NO_USER

    def _user(self, user: str) -> str:
        value = self.text(user.encode("utf-8", "surrogateescape"))
        if self.limited and len(value) > LONGEST_USER:
            self.cut["traced_user"] += 1
            return value[:LONGEST_USER]
        return value

    def row(self, traced: TracedMessage) -> Row | str:
        """The row without a user, in the order of INSERTED; or the reason why there is none."""
        message = traced.message
        if not isinstance(message, CapturedMessage):
            return NOT_SIP
        datagram, sip = message.datagram, message.sip
        if sip.problems & UNPARSED:
            return HEADERS
        if not sip.is_request and not sip.status:
            return START_LINE
        second, nanoseconds = divmod(datagram.time_ns, 1_000_000_000)
        if second != self._second:
            self._second, self._time = second, self.time(second)
        text = self.text
        row = (
            self.message(sip.raw),
            text(sip.call_id),
            text(sip.method if sip.is_request else sip.cseq_method),
            STATUS[sip.status],
            place(datagram.transport, datagram.source, datagram.source_port),
            place(datagram.transport, datagram.destination, datagram.destination_port),
            self._time,
            "in" if traced.direction is Direction.IN else "out",
            text(sip.from_tag),
            "",
            nanoseconds // 1000,
            text(sip.to_tag),
        )
        return self._within_limits(row) if self.limited else row

    def _within_limits(self, row: Row) -> Row:
        if len(row[1]) <= 255 and len(row[2]) <= 50 and len(row[8]) <= 128 and len(row[11]) <= 128:  # type: ignore[arg-type]
            return row
        values = list(row)
        for at, name, limit in _LIMITS:
            value = values[at]
            if isinstance(value, str) and len(value) > limit:
                values[at] = value[:limit]
                self.cut[name] += 1
        return tuple(values)
