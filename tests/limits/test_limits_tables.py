"""What a sink for a table holds: the rows of a transaction, and SQLite's cache."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

# Run as a program, too: hep is the one of this project, not the folder of its tests.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from measuring import documented, held_mib, main
from sink_samples import batch_of, numbered, traced

from capture_agent.config.targets import SqlTarget
from capture_agent.records.traced import TracedMessage
from capture_agent.sinks.sql.row_maker import RowMaker
from capture_agent.sinks.sql.schema import create_tables
from capture_agent.sinks.sql.sql_sink import AT_ONCE, BYTES_AT_ONCE, SqlSink, within
from capture_agent.sinks.sql.trace_rows import as_hex, local_time, text_without_nul

LONGEST = 65_000


def rows() -> object:
    """PostgreSQL's are the largest; the messages themselves are in the queue, which has its own row."""
    message = traced(numbered(1, LONGEST))
    largest = next(iter(within([message] * AT_ONCE, BYTES_AT_ONCE)))
    maker = RowMaker(as_hex, local_time, text_without_nul, limited=True)
    return [maker.rows(one) for one in largest]


def sqlite_cache() -> object:
    """Pages of all five trees, and transactions larger than the cache."""
    folder = TemporaryDirectory()
    url = f"sqlite:///{folder.name}/trace.db"
    create_tables(url)
    sink = SqlSink(SqlTarget(url))
    for n in range(10):
        sink.send(batch_of(AT_ONCE, first=AT_ONCE * n, size=1000))
    large: list[TracedMessage] = [traced(numbered(n, LONGEST)) for n in range(BYTES_AT_ONCE // LONGEST)]
    sink.send(large)
    assert Path(folder.name, "trace.db-wal").stat().st_size > BYTES_AT_ONCE
    return folder, sink


CASES = {
    "rows of a transaction": rows,
    "a SQLite table": sqlite_cache,
}


@pytest.mark.parametrize("case", CASES)
def test_memory(case: str) -> None:
    assert held_mib(__file__, case) <= documented()[case]


if __name__ == "__main__":
    main(CASES)
