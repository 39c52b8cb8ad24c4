"""The table of Kamailio's siptrace, schema version 4, and the `version` table with its version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, UniqueConstraint, text
from sqlalchemy.dialects.mysql import DATETIME, INTEGER, MEDIUMTEXT, VARCHAR
from sqlalchemy.types import Text, UserDefinedType

from capture_agent.config.uris import is_table_name
from capture_agent.net.sink_errors import SinkError

TABLE_VERSION = 4

# Its name is a value in the version table, VARCHAR(32).


MYSQL = ("mysql", "mariadb")

# In siptrace's insertion order, with the length of each column in characters; None is unlimited.
INSERTED: dict[str, int | None] = {
    "msg": None,
    "callid": 255,
    "method": 50,
    "status": 255,
    "fromip": 64,
    "toip": 64,
    "time_stamp": None,
    "direction": 4,
    "fromtag": 128,
    "traced_user": 255,
    "time_us": None,
    "totag": 128,
}

# A column of the agent's own, which Kamailio's table lacks: `db upgrade` adds it, and whoever has it gets the HEP
# correlation id of each message.
CORRELATION, CORRELATION_INDEX, LONGEST_CORRELATION = "correlation_id", "correlation_idx", 255

# The index's name, without the table's
INDEXES = {"traced_user": "traced_user_idx", "time_stamp": "date_idx", "fromip": "fromip_idx", "callid": "callid_idx"}


class Timestamp(UserDefinedType[Any]):
    """Passes values unchanged: in SQLite siptrace writes the Julian day here, a REAL."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TIMESTAMP WITHOUT TIME ZONE"


def checked_name(name: str) -> str:
    """Raises SinkError for a name that is not a plain identifier."""
    if not is_table_name(name):
        raise SinkError(f"table: {name!r}, expected a letter, then letters, digits and _, at most 32")
    return name


def sip_trace_table(name: str = "sip_trace", metadata: MetaData | None = None, correlated: bool = False) -> Table:
    """`correlated`: with the agent's own column. Raises SinkError for a name that is not a plain identifier."""
    unsigned = Integer().with_variant(INTEGER(unsigned=True), *MYSQL)
    table = Table(
        checked_name(name),
        MetaData() if metadata is None else metadata,
        Column("id", unsigned, primary_key=True),
        Column(
            "time_stamp",
            Timestamp().with_variant(DATETIME(), *MYSQL),
            nullable=False,
            server_default=text("'2000-01-01 00:00:01'"),
        ),
        Column("time_us", unsigned, nullable=False, server_default=text("0")),
        _varchar("callid"),
        _varchar("traced_user"),
        # latin1 accepts every byte, which siptrace's messages need; the database's own character set may not.
        Column("msg", Text().with_variant(MEDIUMTEXT(charset="latin1"), *MYSQL), nullable=False),
        *(_varchar(column) for column in ("method", "status", "fromip", "toip", "fromtag", "totag", "direction")),
        *((_varchar(CORRELATION),) if correlated else ()),
    )
    indexes = {**INDEXES, CORRELATION: CORRELATION_INDEX} if correlated else INDEXES
    for column, index in indexes.items():
        # In MySQL index names are unique in a table, elsewhere in the schema.
        for dialect in MYSQL:
            Index(index, table.c[column]).ddl_if(dialect=dialect)
        for dialect in ("sqlite", "postgresql"):
            Index(f"{name}_{index}", table.c[column]).ddl_if(dialect=dialect)
    return table


def _varchar(name: str) -> Column[str]:
    length = INSERTED.get(name, LONGEST_CORRELATION)
    # The server's collation could treat Call-IDs that differ in case or accents as equal (RFC 3261 20.8).
    binary = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return Column(name, String(length).with_variant(binary, *MYSQL), nullable=False, server_default=text("''"))


def version_table(metadata: MetaData | None = None) -> Table:
    """The `version` table of Kamailio's standard-create.sql."""
    return Table(
        "version",
        MetaData() if metadata is None else metadata,
        Column("id", Integer().with_variant(INTEGER(unsigned=True), *MYSQL), primary_key=True),
        Column("table_name", String(32), nullable=False),
        Column(
            "table_version",
            Integer().with_variant(INTEGER(unsigned=True), *MYSQL),
            nullable=False,
            server_default=text("0"),
        ),
        UniqueConstraint("table_name", name="version_table_name_idx"),
    )
