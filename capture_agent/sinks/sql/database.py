"""Connects to a database by its URL, and describes errors in one line."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, inspect, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from capture_agent.config.secrets import mask, repeats, texts_of
from capture_agent.config.uris import server_url
from capture_agent.net.own_sockets import SOCKETS
from capture_agent.net.sink_errors import SinkError
from capture_agent.sinks.sql.deadlines import (
    READ_SECONDS,
    connect_arguments,
    limit_handshake,
    limit_waits,
    without_option,
)
from capture_agent.sinks.sql.sip_trace_table import INSERTED, TABLE_VERSION, version_table
from capture_agent.sinks.sql.sqlite_file import make_file, path_of

# The URL scheme that people write: our driver, and the extra that installs it.
DRIVERS = {
    "sqlite": ("sqlite", ""),
    "postgresql": ("postgresql+psycopg", "postgresql"),
    "postgres": ("postgresql+psycopg", "postgresql"),
    "mysql": ("mysql+pymysql", "mysql"),
    "mariadb": ("mariadb+pymysql", "mysql"),
}
CACHE_KIB = 8192  # of a SQLite file, in memory
LOG_PAGES = 4000  # of 4 KiB: the write-ahead log is copied into the file when it has so many
EXPECTED = "expected sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE or mysql://..."


def parse_url(url: str) -> URL:
    """Raises SinkError, without the URL's text, which may contain a password."""
    try:
        parsed = make_url(server_url(url) or url)
    except (ArgumentError, ValueError) as error:
        raise SinkError(f"not a database URL, {EXPECTED}") from error
    kind, plus, _ = parsed.drivername.partition("+")
    if kind not in DRIVERS:
        raise SinkError(f"not a database URL, {EXPECTED}")
    return parsed if plus else parsed.set(drivername=DRIVERS[kind][0])


def shown(url: URL) -> str:
    """For people and logs: without password, options and driver."""
    kind = url.drivername.partition("+")[0]
    return mask(url.set(drivername=kind, query={}).render_as_string(hide_password=True))


def make_engine(url: URL, seconds: int = READ_SECONDS) -> Engine:
    """`seconds`: how long to wait for an answer. Raises SinkError: the driver is not installed."""
    patience: float = seconds
    try:
        arguments = connect_arguments(url, seconds)
        if url.drivername == "postgresql+psycopg":
            url, patience = without_option(url, seconds)
        # One connection for as long as it is used: a pool would keep it open without our knowing.
        engine = create_engine(url, connect_args=arguments, poolclass=NullPool)
        if url.drivername == "postgresql+psycopg":
            limit_waits(engine, patience)
        elif url.drivername.endswith("+pymysql"):
            limit_handshake(engine)
        return engine
    except (ImportError, NoSuchModuleError) as error:
        extra = DRIVERS[url.drivername.partition("+")[0]][1]
        hint = f": pip install 'capture-agent[{extra}]'" if extra else ""
        raise SinkError(f"{shown(url)}: the driver {url.drivername} is not installed{hint}") from error
    except ArgumentError as error:
        raise SinkError(f"{shown(url)}: not a database URL, {EXPECTED}") from error
    except ValueError as error:  # the value is not shown: it may be a misplaced secret
        raise SinkError(f"{shown(url)}: an option of the URL has a wrong value") from error


def prepare_for_writing(connection: Connection) -> None:
    """SQLite: readers do not block the writer, and a crash costs at most the last transactions, never the file."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
        # Call-IDs fall anywhere into their index: its pages are read and written less often if more of them are held.
        connection.exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")


def connect(url: URL, seconds: int = READ_SECONDS) -> Connection:
    """Raises SinkError. Does not create a missing SQLite file."""
    path = path_of(url)
    if path is not None and not path.exists():
        raise SinkError(f"{shown(url)}: no such file{creation_hint(url)}")
    return open_connection(url, seconds)


def open_connection(url: URL, seconds: int = READ_SECONDS) -> Connection:
    """Raises SinkError. Creates a missing SQLite file, for its owner only."""
    path = path_of(url)
    if path is not None:
        if path.is_dir():
            raise SinkError(f"{shown(url)}: is a directory")
        if not path.parent.is_dir():
            raise SinkError(f"{shown(url)}: no such directory: {path.parent}")
        # SQLite says why it cannot be created.
        with suppress(OSError):
            make_file(path)
    try:
        connection = make_engine(url, seconds).connect()
    except SQLAlchemyError as error:
        raise explained(url, error) from error
    except (TypeError, ValueError) as error:  # drivers quote unknown options
        raise SinkError(f"{shown(url)}: the driver refuses an option of the URL ({type(error).__name__})") from None
    SOCKETS.look()
    return connection


def disconnect(connection: Connection) -> None:
    """Closes without a request that the other side would have to answer. Never raises."""
    for end in (connection.invalidate, connection.close):
        with suppress(Exception):
            end()


def explained(url: URL, error: Exception) -> SinkError:
    says = explain(error)
    if repeats(says, secrets_of(url)):
        says = type(error).__name__  # psycopg quotes input that it cannot read
    return SinkError(f"{shown(url)}: {says}")


def secrets_of(url: URL) -> list[str]:
    """The parts of the URL that no message repeats."""
    shown_user = url.username if f"//{url.username}" in shown(url) else None
    known = (shown_user or "", url.host or "", url.database or "")
    texts = (url.username, url.password, *texts_of(dict(url.query)))
    return [str(text) for text in texts if text and str(text) not in known]


def explain(error: Exception) -> str:
    """The first line of the driver's own text: SQLAlchemy adds the statement's values, PostgreSQL the row."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    words = cause.args[1] if cause and len(cause.args) == 2 else cause  # MySQL: (number, text)
    line = next((line for line in str(words).splitlines() if line.strip()), type(cause).__name__)
    line = line.rpartition("FATAL:")[2].strip()
    return KNOWN.get(line, line)


KNOWN = {
    "unable to open database file": "cannot open or create the file",
    "attempt to write a readonly database": "the file is not writable",
    "file is not a database": "the file is not a SQLite database",
}


def creation_hint(url: URL, table: str = "sip_trace") -> str:
    return f": run `{db_command('create', url, table)}`"


def db_command(command: str, url: URL, table: str = "sip_trace") -> str:
    option = "" if table == "sip_trace" else f" --table {table}"
    return f"capture-agent db {command} --db {shown(url)}{option}"


def require_table(connection: Connection, url: URL, table: str) -> None:
    """Raises SinkError if it does not exist."""
    if not inspect(connection).has_table(table):
        raise SinkError(f"table {table} does not exist in {shown(url)}{creation_hint(url, table)}")


def check_table(connection: Connection, url: URL, table: str) -> None:
    """Check that the table exists with our columns and version. Raises SinkError."""
    try:
        require_table(connection, url, table)
        check_columns(connection, url, table)
        version = stored_version(connection, table)
    except SQLAlchemyError as error:
        raise explained(url, error) from error
    if version is None:
        raise SinkError(f"{shown(url)}: no entry in the version table for {table}{creation_hint(url, table)}")
    if version != TABLE_VERSION:
        raise wrong_version(url, table, version)


def wrong_version(url: URL, table: str, version: int) -> SinkError:
    hint = f": run `{db_command('upgrade', url, table)}`" if version < TABLE_VERSION else ""
    return SinkError(f"{shown(url)}: table {table} has version {version}, expected {TABLE_VERSION}{hint}")


def check_columns(connection: Connection, url: URL, table: str) -> None:
    there = {column["name"] for column in inspect(connection).get_columns(table)}
    missing = [name for name in INSERTED if name not in there]
    if missing:
        hint = f": run `{db_command('upgrade', url, table)}`"
        raise SinkError(f"{shown(url)}: table {table} lacks the columns {', '.join(missing)}{hint}")


def stored_version(connection: Connection, table: str) -> int | None:
    """The version in the version table; None without an entry or a table."""
    if not inspect(connection).has_table("version"):
        return None
    versions = version_table()
    return connection.scalar(select(versions.c.table_version).where(versions.c.table_name == table))
