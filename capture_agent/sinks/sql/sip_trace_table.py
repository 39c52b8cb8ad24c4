"""The table of Kamailio's siptrace, schema version 4, and the `version` table with its version."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, UniqueConstraint, text
from sqlalchemy.dialects.mysql import DATETIME, INTEGER, MEDIUMTEXT, VARCHAR
from sqlalchemy.types import Text, UserDefinedType

from capture_agent.config.uris import is_table_name
from capture_agent.net.errors import SinkError

TABLE_VERSION = 4

# Its name is a value in the version table, VARCHAR(32).


MYSQL = ("mysql", "mariadb")

# In the order in which siptrace inserts; with the length of each column in characters, None: unlimited.
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

# Its index's name, without the table's
INDEXES = {"traced_user": "traced_user_idx", "time_stamp": "date_idx", "fromip": "fromip_idx", "callid": "callid_idx"}


class Timestamp(UserDefinedType[Any]):
    """Passes values unchanged: SQLite holds a REAL here, the Julian day, as siptrace writes it."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TIMESTAMP WITHOUT TIME ZONE"


def checked_name(name: str) -> str:
    """Raises SinkError for a name that is no plain identifier."""
    if not is_table_name(name):
        raise SinkError(f"table: {name!r}, expected a letter, then letters, digits and _, at most 32")
    return name


def sip_trace_table(name: str = "sip_trace", metadata: MetaData | None = None) -> Table:
    """Raises SinkError for a name that is no plain identifier."""
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
        # latin1 takes every byte, as siptrace's messages need it; the database's own character set may not.
        Column("msg", Text().with_variant(MEDIUMTEXT(charset="latin1"), *MYSQL), nullable=False),
        *(_varchar(column) for column in ("method", "status", "fromip", "toip", "fromtag", "totag", "direction")),
    )
    for column, index in INDEXES.items():
        # In MySQL an index's name belongs to its table, elsewhere to the whole schema.
        for dialect in MYSQL:
            Index(index, table.c[column]).ddl_if(dialect=dialect)
        for dialect in ("sqlite", "postgresql"):
            Index(f"{name}_{index}", table.c[column]).ddl_if(dialect=dialect)
    return table


def _varchar(name: str) -> Column[str]:
    length = INSERTED[name]
    # A collation of the server's would take Call-IDs for one that differ in case or accents (RFC 3261 20.8).
    binary = VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return Column(name, String(length).with_variant(binary, *MYSQL), nullable=False, server_default=text("''"))


def version_table(metadata: MetaData | None = None) -> Table:
    """As Kamailio's standard-create.sql has it."""
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
