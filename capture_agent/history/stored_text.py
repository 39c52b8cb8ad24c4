"""Text columns of a sip_trace table, read and compared byte for byte whatever collation and encoding they have."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Table,
    Text,
    and_,
    cast,
    collate,
    func,
    literal,
    or_,
    text,
)
from sqlalchemy import literal_column as word

from capture_agent.sinks.sql.sip_trace_table import INSERTED
from capture_agent.sip.headers import text as header_text

# Python's names of database encodings that are not ASCII plus bytes that UTF-8 would refuse.
ENCODINGS = {"utf8mb4": "utf-8", "utf8mb3": "utf-8", "utf8": "utf-8", "latin1": "latin-1", "ascii": "ascii"}
NAME = re.compile(r"\w+", re.ASCII)  # the name of a character set or collation

LONGEST = INSERTED["callid"] or 0
PLAIN = re.compile(rb"[ -\[\]-~]*")  # printable ASCII without the backslash, which begins escapes

Expression = ColumnElement[Any]


@dataclass(frozen=True, slots=True)
class StoredText:
    """How to read a table's text as bytes, and compare its Call-ID as bytes. Indexes are still used."""

    raw: Callable[[Expression], Expression]  # a column's bytes
    one_of: Callable[[Sequence[bytes]], ColumnElement[bool]]  # whether the Call-ID is one of these
    encoding: str = "utf-8"  # encoding of text that is not UTF-8
    longest: int = LONGEST  # length of the Call-ID column in characters
    message_as_bytes: bool = True

    def decoded(self, value: bytes | str | None) -> str:
        """Readable text: UTF-8, or in the column's encoding; other bytes are escaped."""
        if value is None or isinstance(value, str):
            return value or ""
        try:
            return value.decode()
        except UnicodeDecodeError:
            return header_text(value) if self.encoding == "utf-8" else value.decode(self.encoding, "backslashreplace")

    def forms(self, call_id: str) -> list[bytes]:
        """The forms in which Kamailio or the agent may store this Call-ID: in this encoding or escaped, and cut."""
        escaped = call_id.replace("\0", "\\x00")
        forms = [escaped[: self.longest].encode("utf-8", "surrogateescape")]
        forms.append(call_id.encode("utf-8", "surrogateescape")[: self.longest])
        forms.append(escaped.encode("ascii", "backslashreplace")[: self.longest])
        forms += [escaped[: self.longest].encode(self.encoding)] if encodable(escaped, self.encoding) else []
        return [form for form in dict.fromkeys(forms) if self.is_valid(form)]

    def is_valid(self, form: bytes) -> bool:
        return self.encoding != "utf-8" or encodable(form.decode("utf-8", "surrogateescape"), "utf-8")

    def is_whole(self, stored: bytes) -> bool:
        """Whether this is exactly the message's Call-ID, not cut, escaped or in another encoding."""
        return len(stored) < self.longest and PLAIN.fullmatch(stored) is not None


def encodable(value: str, encoding: str) -> bool:
    try:
        value.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def one_of_all(
    column: Expression, values: Iterable[bytes], other: Callable[[bytes], Expression]
) -> ColumnElement[bool]:
    """Whether the column is one of these. Plain ones, by far the most, are one parameter; `other`: an expression
    for any other."""
    plain, others = [], []
    for value in values:
        if PLAIN.fullmatch(value):
            plain.append(value.decode("ascii"))
        else:
            others.append(other(value))
    found = column.in_(plain)
    return or_(found, column.in_(others)) if others else found


def as_bytes(value: bytes | str | None) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value or b"")


def sqlite_text(connection: Connection, table: Table) -> StoredText:
    def one_of(values: Iterable[bytes]) -> ColumnElement[bool]:
        return one_of_all(table.c.callid, values, lambda value: cast(literal(value, LargeBinary), Text))

    return StoredText(as_blob, one_of, longest=sys.maxsize)  # it cuts nothing


def postgresql_text(connection: Connection, table: Table) -> StoredText:
    """Compares bytes. SQL_ASCII accepts any; others, such as LATIN1, have their own encoding."""
    encoding = str(connection.scalar(text("SELECT getdatabaseencoding()")))
    utf8 = encoding == "UTF8"

    def raw(column: Expression) -> Expression:
        return column if utf8 else func.convert_to(column, encoding)

    def one_of(values: Iterable[bytes]) -> ColumnElement[bool]:
        usable = [value for value in values if b"\0" not in value]
        return one_of_all(
            table.c.callid, usable, lambda value: func.convert_from(literal(value, LargeBinary), encoding)
        )

    # SQL_ASCII has any bytes; "latin-1" as the encoding also means that no form is refused.
    return StoredText(raw, one_of, encoding="utf-8" if utf8 else "latin-1", message_as_bytes=not utf8)


def mysql_text(connection: Connection, table: Table) -> StoredText:
    """Compares by collation, which can use the index, and by bytes: collations ignore case, accents, blanks."""
    found = connection.execute(
        text(
            "SELECT character_set_name, collation_name, character_maximum_length FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = :table AND column_name = 'callid'"
        ),
        {"table": table.name},
    ).one()
    charset, collation, length = found
    named = charset is not None and NAME.fullmatch(charset) and NAME.fullmatch(collation)

    def as_stored(value: bytes) -> Expression:
        converted: Expression = func.convert(literal(value, LargeBinary).op("USING")(word(charset)))
        return collate(converted, collation)

    def one_of(values: Sequence[bytes]) -> ColumnElement[bool]:
        same = as_blob(table.c.callid).in_(values)
        return and_(one_of_all(table.c.callid, values, as_stored), same) if named else same

    longest = min(LONGEST, int(length or LONGEST))
    return StoredText(as_blob, one_of, ENCODINGS.get(charset, "latin-1"), longest)


def as_blob(column: Expression) -> Expression:
    return cast(column, LargeBinary)


STORED_TEXT: dict[str, Callable[[Connection, Table], StoredText]] = {
    "sqlite": sqlite_text,
    "postgresql": postgresql_text,
    "mysql": mysql_text,
    "mariadb": mysql_text,
}
