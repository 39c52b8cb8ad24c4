"""Reads the sip_trace table, written by this agent or by Kamailio's siptrace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from capture_agent.config.targets import SqlTarget
from capture_agent.history.outcome import Exchanged, is_decided, outcome, subject
from capture_agent.history.stored_rows import StoredRows, reading
from capture_agent.history.stored_text import as_bytes
from capture_agent.sinks.sql.trace_rows import message_bytes
from capture_agent.sip.headers import call_id_forms, text, uri_user
from capture_agent.sip.scan import scan

TAIL = 50  # newest messages of one method, among which its last transaction is searched
NAMES_AT_ONCE = 200  # Call-IDs per query: old versions of SQLite bind at most 999 values


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A row; values that siptrace left NULL are ''."""

    id: int
    time: datetime  # UTC, with microseconds
    message: bytes
    call_id: str
    traced_user: str
    method: str  # in a response: of the request it answers
    status: str  # '' for a request
    from_ip: str  # proto:ip:port
    to_ip: str
    from_tag: str
    to_tag: str
    direction: str


@dataclass(frozen=True, slots=True)
class StoredCall:
    """The table's messages of one Call-ID."""

    call_id: str
    first: datetime
    last: datetime
    method: str  # of its first message; INVITE for anything in a call
    status: str  # its answer: the last final response, otherwise the last provisional one; '' for none
    state: str  # see outcome.outcome
    from_user: str
    to_user: str
    messages: int
    last_id: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Calls, sorted by their latest message, and the table's highest id at that time."""

    calls: list[StoredCall]
    last_id: int


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a call, without its message."""

    id: int
    time: datetime
    seen: Exchanged
    direction: str


def stored_messages(target: SqlTarget, call_id: str) -> list[StoredMessage]:
    """All rows with this Call-ID, in the form that `calls` or `decode` show, sorted by time. Raises SinkError."""
    with reading(target) as rows:
        return of_one_call(rows, call_id)


def messages_of_calls(target: SqlTarget, call_ids: Iterable[str]) -> Iterator[StoredMessage]:
    """The same for several, each message once, from one snapshot. Raises SinkError."""
    with reading(target) as rows:
        for call_id in call_ids:
            yield from once_each(of_one_call(rows, call_id))


def of_one_call(rows: StoredRows, call_id: str) -> list[StoredMessage]:
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


def listing(target: SqlTarget, limit: int = 1000, since_id: int = 0) -> Listing:
    """The calls with rows after since_id, the `limit` latest of them, the latest last; and the id to continue from.

    All from one snapshot. Raises SinkError.
    """
    with reading(target) as rows:
        last_id = rows.last_id()
        names = rows.names_since(since_id) if since_id else rows.latest_names(limit)
        calls = [call for part in parts(names) for call in calls_of(rows, part)]
        calls.sort(key=lambda call: (call.last, call.last_id))
        return Listing(calls[-limit:], last_id)


def calls_of(rows: StoredRows, names: Sequence[bytes]) -> Iterator[StoredCall]:
    """The calls with these stored Call-IDs: the column may have the same text for two long ones."""
    by_name: defaultdict[bytes, list[Row[Any]]] = defaultdict(list)
    for row in rows.without_message(names):
        by_name[as_bytes(row.callid)].append(row)
    for name, of_name in by_name.items():
        if rows.text.is_whole(name):
            yield call_of(rows, name, of_name)
            continue
        messages = rows.messages(row.id for row in of_name)
        by_call: defaultdict[bytes, list[Row[Any]]] = defaultdict(list)
        for row in of_name:
            by_call[own_call_id(rows, name, messages.get(row.id, b""))].append(row)
        for own, of_call in by_call.items():
            yield call_of(rows, own, of_call)


def call_of(rows: StoredRows, call_id: bytes, of_call: Sequence[Row[Any]]) -> StoredCall:
    times = rows.times([(row.id, row.time_stamp) for row in of_call])
    entries = [entry(rows, row, time) for row, time in zip(of_call, times, strict=True)]
    entries.sort(key=lambda one: (one.time, one.id))
    entries = list({(one.time, one.seen, one.direction): one for one in reversed(entries)}.values())[::-1]
    method = subject([one.seen for one in entries])
    own = [one for one in entries if one.seen.method == method]
    # Only the message itself names its transaction.
    tail = [] if is_decided((one.seen for one in own), method) else own[-TAIL:]
    messages = rows.messages({entries[0].id, *(one.id for one in tail)})
    looked = {one.id: with_transaction(one.seen, messages.get(one.id, b"")) for one in tail}
    status, state = outcome([looked.get(one.id, one.seen) for one in entries], method)
    first = messages.get(entries[0].id, b"")
    sip = scan(first, 0, len(first))
    return StoredCall(
        call_id=text(call_id),
        first=entries[0].time,
        last=entries[-1].time,
        method=method,
        status=status,
        state=state,
        from_user=uri_user(sip.from_value) if sip else "",
        to_user=uri_user(sip.to_value) if sip else "",
        messages=len(entries),
        last_id=max(row.id for row in of_call),
    )


def entry(rows: StoredRows, row: Row[Any], time: datetime) -> Entry:
    shared = rows.shared
    return Entry(
        row.id,
        time + timedelta(microseconds=row.time_us or 0),
        Exchanged(shared(row.method), shared(row.status), (shared(row.fromip), shared(row.toip))),
        shared(row.direction),
    )


def with_transaction(seen: Exchanged, message: bytes) -> Exchanged:
    sip = scan(message, 0, len(message))
    return seen if sip is None else replace(seen, cseq=sip.cseq, branch=sip.via_branch or b"")


def once_each(messages: Iterable[StoredMessage]) -> Iterator[StoredMessage]:
    """The messages in order, without additional rows for traced users."""
    seen: set[tuple[object, ...]] = set()
    for message in messages:
        key = (message.time, message.from_ip, message.to_ip, message.direction, message.message)
        if key not in seen:
            seen.add(key)
            yield message


def parts(names: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for at in range(0, len(names), NAMES_AT_ONCE):
        yield names[at : at + NAMES_AT_ONCE]


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
    )
