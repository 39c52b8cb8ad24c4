"""Makes the rows of a message. Hot: compiled with row_maker.pxd, or plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import cython

from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sink import NOT_SIP
from capture_agent.sinks.sql.sip_trace_table import INSERTED
from capture_agent.sinks.sql.trace_rows import HEADERS, NO_USER, START_LINE, STATUS, UNPARSED, Row, place

TRACED_USER = list(INSERTED).index("traced_user")
LONGEST_USER = INSERTED["traced_user"] or 0
_LIMITS = [(at, name, limit) for at, (name, limit) in enumerate(INSERTED.items()) if limit is not None]
_UNPARSED = cython.declare(cython.int, UNPARSED)
_IN = cython.declare(object, Direction.IN)


@cython.final
@cython.cclass
class RowMaker:
    """The form of values for one database. `cut` counts values longer than their column, by column.

    limited  whether the database refuses values longer than their column
    """

    __slots__ = ("_second", "_time", "cut", "limited", "message", "text", "time")

    def __init__(
        self,
        message: Callable[[bytes], bytes | str],
        time: Callable[[int], float | str],
        text: Callable[[bytes | None], str],
        limited: bool,
    ) -> None:
        self.message = message
        self.time = time
        self.text = text
        self.limited = limited
        self.cut: Counter[str] = Counter()
        self._second = -1
        self._time: float | str = ""

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
        if not isinstance(traced.message, CapturedMessage):
            return NOT_SIP
        message = cython.cast(CapturedMessage, traced.message)
        datagram, sip = message.datagram, message.sip
        if sip.problems & _UNPARSED:
            return HEADERS
        if not sip.is_request and not sip.status:
            return START_LINE
        second, nanoseconds = datagram.time_ns // 1_000_000_000, datagram.time_ns % 1_000_000_000
        if second != self._second:
            self._second, self._time = second, self.time(second)
        row = (
            self.message(sip.raw),
            self._text(sip.call_id),
            self._text(sip.method if sip.is_request else sip.cseq_method),
            STATUS[sip.status],
            place(datagram.transport, datagram.source, datagram.source_port),
            place(datagram.transport, datagram.destination, datagram.destination_port),
            self._time,
            "in" if traced.direction is _IN else "out",
            self._text(sip.from_tag),
            "",
            nanoseconds // 1000,
            self._text(sip.to_tag),
        )
        return self._within_limits(row) if self.limited else row

    def _text(self, value: bytes | None) -> str:
        """As `text`, which is slower; every database takes ASCII without NUL as it is."""
        if value is None:
            return ""
        return value.decode("ascii") if value.isascii() and b"\0" not in value else self.text(value)

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
