"""Reading the sip_trace table: ours, or one that Kamailio's siptrace has written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, LargeBinary, Row, Select, Table, cast, func, select
from sqlalchemy.exc import SQLAlchemyError

from capture_agent.config.targets import SqlTarget
from capture_agent.sinks.database import check_table, connect, explained, parse_url
from capture_agent.sinks.rows import SECONDS_A_DAY, UNIX_EPOCH_JULIAN, message_bytes
from capture_agent.sinks.sip_trace import sip_trace_table
from capture_agent.sip.headers import uri_user
from capture_agent.sip.scan import scan

# What is the same in all rows of a message, and not in two messages.
WHAT_AND_WHEN = ("callid", "time_stamp", "time_us", "method", "status", "fromip", "toip", "direction")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row; what siptrace left NULL is ''."""

    id: int
    time: datetime  # UTC, with microseconds
    message: bytes
    call_id: str
    traced_user: str
    method: str  # of a response: of the request it answers
    status: str  # '' for a request
    from_ip: str  # proto:ip:port
    to_ip: str
    from_tag: str
    to_tag: str
    direction: str


@dataclass(frozen=True, slots=True)
class StoredCall:
    """What the table has of one Call-ID."""

    call_id: str
    first: datetime
    last: datetime
    method: str  # of its first message
    status: str  # how that was answered: the last final response, else the last provisional one; '' for none
    from_user: str
    to_user: str
    messages: int
    last_id: int


def stored_messages(target: SqlTarget, call_id: str) -> list[StoredMessage]:
    """All rows with this Call-ID, in time order. Raises SinkError."""
    with reading(target) as (connection, table):
        rows = connection.execute(columns(connection, table).where(table.c.callid == call_id))
        return sorted((stored(row) for row in rows), key=lambda message: (message.time, message.id))


def stored_calls(target: SqlTarget, limit: int = 1000, since_id: int = 0) -> list[StoredCall]:
    """The calls with rows after since_id, the newest `limit` of them, the oldest first. Raises SinkError."""
    with reading(target) as (connection, table):
        callid, row_id = table.c.callid, table.c.id
        query = select(callid, func.min(row_id), func.max(row_id))
        if since_id:
            query = query.where(callid.in_(select(callid).where(row_id > since_id)))
        newest = query.group_by(callid).order_by(func.max(row_id).desc()).limit(limit)
        groups = {name: (first, last) for name, first, last in connection.execute(newest)}
        calls: list[StoredCall] = []
        for part in parts(list(groups)):
            calls += calls_of(connection, table, {name: groups[name] for name in part})
        return sorted(calls, key=lambda call: (call.first, call.last_id))


def calls_of(connection: Connection, table: Table, groups: dict[str, tuple[int, int]]) -> Iterator[StoredCall]:
    ends = {row_id for first_and_last in groups.values() for row_id in first_and_last}
    rows = connection.execute(columns(connection, table).where(table.c.id.in_(ends)))
    messages = {message.id: message for message in map(stored, rows)}
    answers = answers_of(connection, table, groups)
    counts = counts_of(connection, table, groups)
    for call_id, (first_id, last_id) in groups.items():
        first = messages[first_id]
        sip = scan(first.message, 0, len(first.message))
        yield StoredCall(
            call_id=call_id,
            first=first.time,
            last=messages[last_id].time,
            method=first.method,
            status=answer(answers.get((call_id, first.method), ())),
            from_user=uri_user(sip.from_value) if sip else "",
            to_user=uri_user(sip.to_value) if sip else "",
            messages=counts[call_id],
            last_id=last_id,
        )


def counts_of(connection: Connection, table: Table, call_ids: Iterable[str]) -> dict[str, int]:
    """How many messages there are by Call-ID: one that is traced for several users has a row for each of them."""
    seen = [table.c[name] for name in WHAT_AND_WHEN]
    messages = select(*seen).where(table.c.callid.in_(list(call_ids))).distinct().subquery()
    counted = select(messages.c.callid, func.count()).group_by(messages.c.callid)
    return {call_id: count for call_id, count in connection.execute(counted)}  # noqa: C416 - a Row is no pair to mypy


def once_each(messages: Iterable[StoredMessage]) -> Iterator[StoredMessage]:
    """The messages without the further rows that one has for its traced users. In their order."""
    seen: set[tuple[object, ...]] = set()
    for message in messages:
        key = (message.time, message.from_ip, message.to_ip, message.direction, message.message)
        if key not in seen:
            seen.add(key)
            yield message


def answers_of(connection: Connection, table: Table, call_ids: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """The statuses of responses by Call-ID and method, in the order they were stored."""
    trace = table.c
    found: dict[tuple[str, str], list[str]] = {}
    query = select(trace.callid, trace.method, trace.status).where(trace.callid.in_(list(call_ids)), trace.status != "")
    for call_id, method, status in connection.execute(query.order_by(trace.id)):
        found.setdefault((call_id, method), []).append(status)
    return found


def answer(statuses: Iterable[str]) -> str:
    """The first success decides; else the last final response: a challenge comes before what follows it."""
    status = ""
    for new in statuses:
        if new.startswith("2"):
            return new
        if not (new.startswith("1") and status and not status.startswith("1")):
            status = new
    return status


def parts(names: list[str], size: int = 500) -> Iterator[list[str]]:
    """SQLite binds no more than 999 values in old versions."""
    for at in range(0, len(names), size):
        yield names[at : at + size]


@contextmanager
def reading(target: SqlTarget) -> Iterator[tuple[Connection, Table]]:
    """The connection and the table, closed afterwards. Raises SinkError."""
    url = parse_url(target.url)
    table = sip_trace_table(target.table)
    connection = connect(url)
    try:
        check_table(connection, url, target.table)
        yield connection, table
    except SQLAlchemyError as error:
        raise explained(url, error) from error
    finally:
        connection.close()


def columns(connection: Connection, table: Table) -> Select[Any]:
    """Every column, the message as bytes where the database has them."""
    in_bytes = connection.dialect.name != "postgresql"
    message = cast(table.c.msg, LargeBinary).label("msg") if in_bytes else table.c.msg
    return select(message, *(column for column in table.c if column.name != "msg"))


def stored(row: Row[Any]) -> StoredMessage:
    values = row._mapping
    return StoredMessage(
        id=values["id"],
        time=utc(values["time_stamp"]) + timedelta(microseconds=values["time_us"] or 0),
        message=message_bytes(values["msg"]),
        call_id=values["callid"] or "",
        traced_user=values["traced_user"] or "",
        method=values["method"] or "",
        status=values["status"] or "",
        from_ip=values["fromip"] or "",
        to_ip=values["toip"] or "",
        from_tag=values["fromtag"] or "",
        to_tag=values["totag"] or "",
        direction=values["direction"] or "",
    )


def utc(stored: float | str | datetime) -> datetime:
    """Whole seconds: SQLite has the Julian day, the others local time (SPEC 2.3)."""
    if isinstance(stored, datetime):
        return stored.replace(microsecond=0).astimezone(UTC)
    if isinstance(stored, str):  # the column's default
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    # A double has 40 microseconds at this size: round.
    return EPOCH + timedelta(seconds=round((stored - UNIX_EPOCH_JULIAN) * SECONDS_A_DAY))
