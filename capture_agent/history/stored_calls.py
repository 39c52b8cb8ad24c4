"""Reads the sip_trace table, written by this agent or by Kamailio's siptrace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from capture_agent.config.rule_options import Legs
from capture_agent.config.targets import SqlTarget
from capture_agent.history.stored_messages import StoredMessage, seen_message
from capture_agent.history.stored_rows import ALWAYS, StoredRows, TimeRange, reading
from capture_agent.history.stored_text import as_bytes
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.message_filter import MessageFilter
from capture_agent.sinks.sql.trace_rows import message_bytes
from capture_agent.sip.headers import call_id_forms, text
from capture_agent.sip.scan import scan
from capture_agent.view.call import SipCall
from capture_agent.view.call_book import CallBook
from capture_agent.view.call_store import CallStore

MOST_SEARCHED = 100_000  # calls among which the wanted ones are searched
CALLS_AT_ONCE = 50  # whose messages are in memory
BESIDE = timedelta(seconds=30)  # before and after a call: there its other legs are searched
MOST_BESIDE = 2000
NAMES_AT_ONCE = 200  # Call-IDs per query: old versions of SQLite bind at most 999 values


@dataclass(frozen=True, slots=True)
class Listing:
    """Calls, sorted by their latest message, and the table's highest id at that time."""

    book: CallBook
    calls: list[SipCall]
    last_id: int


def messages_of_calls(target: SqlTarget, call_ids: Iterable[str]) -> Iterator[StoredMessage]:
    """All rows with one of these Call-IDs, in the form that `calls` or `decode` show, call by call and sorted by time.

    Each message once, from one snapshot. Raises SinkError.
    """
    with reading(target) as rows:
        for call_id in call_ids:
            yield from once_each(of_one_call(rows, call_id))


def of_one_call(rows: StoredRows, call_id: str) -> list[StoredMessage]:
    """All rows of one call, sorted by time; with those of traced users."""
    found = with_call_id(rows, rows.text.forms(call_id), call_id)
    if not found and not rows.text.is_whole(call_id.encode("utf-8", "surrogateescape")):
        # Bytes that are not UTF-8 or not printable were shown in another form.
        found = with_call_id(rows, rows.names_like(call_id), call_id)
    exact = [message for message in found if message.call_id == call_id]
    return sorted(exact or found, key=lambda message: (message.time, message.id))


def with_call_id(rows: StoredRows, names: Iterable[bytes], call_id: str) -> list[StoredMessage]:
    found = []
    for part in parts(list(names)):
        chosen = [row for row in rows.whole(part) if is_shown_as(rows, row, call_id)]
        times = rows.times([(row.id, row.time_stamp) for row in chosen])
        found += [stored(rows, row, time) for row, time in zip(chosen, times, strict=True)]
    return found


def is_shown_as(rows: StoredRows, row: Row[Any], call_id: str) -> bool:
    own = own_call_id(rows, as_bytes(row.callid), message_bytes(row.msg))
    return call_id in call_id_forms(own)


def own_call_id(rows: StoredRows, stored: bytes, message: bytes) -> bytes:
    """The message's own Call-ID if the column has it cut, escaped or in another encoding; otherwise the column's."""
    if not rows.text.is_whole(stored):
        sip = scan(message, 0, len(message))
        own = sip.call_id if sip is not None else None
        if own is not None and stored in (own[: rows.text.longest], *rows.text.forms(text(own))):
            return own
    return rows.text.decoded(stored).encode("utf-8", "surrogateescape")


def listing(
    target: SqlTarget,
    limit: int = 1000,
    since_id: int = 0,
    legs: Legs | None = None,
    between: TimeRange = ALWAYS,
    wanted: Callable[[SipCall], bool] | None = None,
    message: MessageFilter | None = None,
    on_message: Callable[[CapturedMessage], None] | None = None,
) -> Listing:
    """The calls with rows after since_id and in this time, the `limit` latest of them, the latest last; and the id to
    continue from. `wanted`, `message`: the latest of those that match, or have a message that does, among
    MOST_SEARCHED calls.

    All from one snapshot. Raises SinkError.
    """
    book, matched = CallBook(legs), set[bytes]()
    with reading(target) as rows:
        last_id = rows.last_id()
        most = limit if wanted is None and message is None else MOST_SEARCHED
        names = rows.names_since(since_id) if since_id else rows.latest_names(most, between)
        for part in parts(names, CALLS_AT_ONCE):
            for one in rows_added(book, rows, part):
                if message is not None and message.matches(one):
                    matched.add(one.sip.call_id or b"")
                if on_message is not None:
                    on_message(one)
    calls = [call for call in book if wanted is None or wanted(call)]
    calls = [call for call in calls if message is None or call.call_id in matched]
    calls.sort(key=lambda call: (call.last_ns, call.number))
    return Listing(book, calls[-limit:], last_id)


def gather(target: SqlTarget, store: CallStore, latest: int, since_id: int = 0) -> int:
    """Adds the latest calls, or what came after since_id. Returns the id to continue from. Raises SinkError."""
    with reading(target) as rows:
        last_id = rows.last_id()
        names = rows.names_since(since_id) if since_id else rows.latest_names(latest)[::-1]
        for part in parts(names, CALLS_AT_ONCE):
            for _ in rows_added(store, rows, part, since_id):
                pass
    return last_id


def rows_added(
    book: CallBook | CallStore, rows: StoredRows, names: Sequence[bytes], since_id: int = 0
) -> Iterator[CapturedMessage]:
    """Adds the messages with these stored Call-IDs, call by call in the order of their time.

    `since_id`: of calls that are known, only what came later.
    """
    by_name: defaultdict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in rows.whole(names):
        by_name[as_bytes(row.callid)].append(row)
    for of_name in by_name.values():
        times = rows.times([(row.id, row.time_stamp) for row in of_name])
        found = [stored(rows, row, time) for row, time in zip(of_name, times, strict=True)]
        found.sort(key=lambda one: (one.time, one.id))
        known: bool | None = None
        for one in once_each(found):
            message = seen_message(one)
            if message is None:
                continue
            call_id = one.call_id.encode("utf-8", "surrogateescape")
            as_written = call_id != text(message.sip.call_id).encode("utf-8", "surrogateescape")
            if not as_written:
                call_id = message.sip.call_id or b""
            if known is None:
                known = since_id > 0 and book.get(call_id) is not None
            if known and one.id <= since_id:
                continue
            book.add([message], call_id if as_written else None)  # whoever wrote the table has it so
            if one.correlation_id:
                book.link(call_id, one.correlation_id)
            yield message


def legs_in_table(target: SqlTarget, call_id: str, legs: Legs | None) -> list[str]:
    """The Call-IDs of all legs of this call: found by the table's correlation id, and by what links the messages of
    calls at that time. Raises SinkError."""
    book = CallBook(legs)
    with reading(target) as rows:
        own = of_one_call(rows, call_id)
        if not own:
            return []
        around = TimeRange(own[0].time - BESIDE, own[-1].time + BESIDE)
        names = [
            *rows.names_of_ids({one.correlation_id for one in own} - {b""}),
            *rows.latest_names(MOST_BESIDE, around),
        ]
        for part in parts(list(dict.fromkeys([*rows.text.forms(call_id), *names])), CALLS_AT_ONCE):
            for _ in rows_added(book, rows, part):
                pass
    call = next((one for one in book if call_id in call_id_forms(one.call_id)), None)
    return [call_id] if call is None else [text(one.call_id) for one in book.legs_of(call)]


def once_each(messages: Iterable[StoredMessage]) -> Iterator[StoredMessage]:
    """The messages in order, without additional rows for traced users."""
    seen: set[tuple[object, ...]] = set()
    for message in messages:
        key = (message.time, message.from_ip, message.to_ip, message.direction, message.message)
        if key not in seen:
            seen.add(key)
            yield message


def parts(names: Sequence[bytes], most: int = NAMES_AT_ONCE) -> Iterator[Sequence[bytes]]:
    for at in range(0, len(names), most):
        yield names[at : at + most]


def stored(rows: StoredRows, row: Row[Any], time: datetime) -> StoredMessage:
    decoded = rows.text.decoded
    message = message_bytes(row.msg)
    return StoredMessage(
        id=row.id,
        time=time + timedelta(microseconds=row.time_us or 0),
        message=message,
        call_id=text(own_call_id(rows, as_bytes(row.callid), message)),
        traced_user=decoded(row.traced_user),
        method=decoded(row.method),
        status=decoded(row.status),
        from_ip=decoded(row.fromip),
        to_ip=decoded(row.toip),
        from_tag=decoded(row.fromtag),
        to_tag=decoded(row.totag),
        direction=decoded(row.direction),
        correlation_id=as_bytes(row.correlation_id) if rows.correlated else b"",
    )
