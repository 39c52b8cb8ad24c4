"""Time-outs of a database connection. Those in the user's URL take precedence."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

from sqlalchemy import URL, Engine, event

CONNECT_SECONDS = 5
BUSY_SECONDS = 10  # seconds for another program's lock on a SQLite file
WRITE_SECONDS = 30  # for the answer to one statement of a sink
READ_SECONDS = 300  # for the answer to one query: `calls` may read millions of rows

# A peer that has silently gone is noticed within a minute.
TCP_USER_TIMEOUT = 30_000  # milliseconds
KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}

OPTION = "read_timeout"  # in the URL's query; libpq has none


def connect_arguments(url: URL, seconds: int) -> dict[str, object]:
    """Arguments for the driver; those in the URL's query are left out."""
    arguments: dict[str, object] = {"connect_timeout": CONNECT_SECONDS}
    if url.drivername.startswith("sqlite"):
        # Used by one thread at a time, but not always the one that opened it.
        arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    elif url.drivername.startswith("postgresql"):
        # In a SQL_ASCII database the driver would return even names as bytes.
        arguments |= {"client_encoding": "utf8", "tcp_user_timeout": TCP_USER_TIMEOUT, **KEEPALIVES}
    elif url.drivername.endswith(("+pymysql", "+mysqldb")):
        arguments |= {OPTION: seconds, "write_timeout": seconds}
    return {name: value for name, value in arguments.items() if name not in url.query}


def limit_handshake(engine: Engine) -> None:
    """PyMySQL's connect_timeout ends with TCP's handshake: a stopped server accepts and never greets."""

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: object, arguments: Any, options: dict[str, Any]) -> object:
        connection = dialect.connect(*arguments, **options | {OPTION: options.get("connect_timeout", CONNECT_SECONDS)})
        connection._read_timeout = options.get(OPTION)
        return connection


def without_option(url: URL, seconds: int) -> tuple[URL, float]:
    """For PostgreSQL: the URL as libpq accepts it, and how long to wait for an answer. Raises ValueError."""
    given = url.query.get(OPTION)
    return url.difference_update_query([OPTION]), seconds if given is None else float(str(given))


def limit_waits(engine: Engine, seconds: float) -> None:
    """psycopg waits for an answer without limit, and a stopped server's kernel keeps acknowledging."""
    import psycopg

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            return super().wait(self._within(gen), *arguments, **options)

        def _within(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
            """Passes everything on; psycopg sends 0 ten times a second while nothing is ready."""
            give_up = time.monotonic() + seconds
            try:
                wanted = next(gen)
                while True:
                    ready = yield wanted
                    if not ready and time.monotonic() > give_up:
                        gen.close()
                        self.close()  # otherwise the rollback would wait as long again
                        raise psycopg.OperationalError(f"no answer in {seconds:.0f} s") from TimeoutError()
                    wanted = gen.send(ready)
            except StopIteration as end:
                return end.value

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, arguments: Any, options: Any) -> object:
        return Impatient.connect(*arguments, **options)
