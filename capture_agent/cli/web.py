"""capture-agent web: calls as pages in a browser."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.cli.view import live_names, target_of
from capture_agent.config.secrets import quotable, quotable_words
from capture_agent.os_errors import in_words

if TYPE_CHECKING:
    from capture_agent.config import Config
    from capture_agent.config.sections import Http
    from capture_agent.page.call_source import CallSource

NEEDED = ("starlette", "uvicorn", "jinja2")


def web(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Capture files, instead of --db.")
    ] = None,
    db: options.Database = None,
    table: options.TableName = None,
    interface: options.Interfaces = None,
    agent: Annotated[
        str | None,
        typer.Option(metavar="SOCKET", help="What a running agent traces: its control socket, or auto."),
    ] = None,
    listen: Annotated[str, typer.Option(metavar="ADDR:PORT", help="Where the pages are.")] = "127.0.0.1:8008",
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with the token that browsers ask for; needed beyond loopback."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate, for HTTPS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key, if it is in another file.")] = None,
    config: options.ConfigFile = None,
) -> None:
    """Show calls as pages in a browser: a list that follows, ladders, messages, figures. Read-only.

    From capture files, from the table, from interfaces, or from a running agent. The masks of [privacy] hold for all
    that is shown.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise Failed(f"needs {' and '.join(missing)}: pip install 'capture-agent[web]'")
    if sum((bool(files), bool(interface), db is not None, agent is not None)) > 1:
        raise WrongUsage("got more than one of FILE, -i, --db and --agent, expected one of them")
    options.check_files(files or [])
    door = door_of(listen, token_file, tls_cert, tls_key)
    said = options.overrides(db=options.listed(db), table=table, capture_interfaces=interface, control_socket=agent)
    settings = options.configuration(config, said)
    if not (files or settings.captures or settings.sql or agent):
        raise WrongUsage("nothing to show: give FILE, -i IFACE, --db URL or --agent SOCKET, or --config FILE")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    source_of = agent_source(settings) if agent else call_source(settings, files or [], table)
    with source_of as source, served(door, source, settings):
        stop.wait()


def door_of(listen: str, token_file: Path | None, tls_cert: Path | None, tls_key: Path | None) -> Http:
    """Raises WrongUsage: among others where it is not on loopback and there is no token."""
    from capture_agent.config.http_listen import host_and_port
    from capture_agent.config.sections import Http

    try:
        host_and_port(listen)
    except ValueError as error:
        raise WrongUsage(f"--listen: value {quotable(listen)!r}: {error}") from None
    try:
        token = token_file.read_text().strip() if token_file else ""
        return Http(listen, token, str(tls_cert or ""), str(tls_key or ""))
    except (OSError, UnicodeDecodeError) as error:
        why = in_words(error) if isinstance(error, OSError) else "not text"
        raise WrongUsage(f"--token-file: {token_file}: {why}") from None
    except ValueError as error:
        said = str(error).replace("expected a token_file", "expected --token-file")
        raise WrongUsage(f"--{said}") from None


@contextmanager
def agent_source(settings: Config) -> Iterator[CallSource]:
    """Raises WrongUsage, Failed."""
    from capture_agent.app.agent_feed import AgentFeed
    from capture_agent.cli.status import address_of
    from capture_agent.control.commands import Fault
    from capture_agent.control.place import ControlError
    from capture_agent.page.store_source import StoreSource

    path, looked = address_of(settings)
    feed = AgentFeed(settings, path)
    try:
        feed.start()
    except (ControlError, Fault) as error:
        raise Failed(quotable_words(f"{error}{looked}")) from None
    try:
        yield StoreSource(f"agent at {path}", feed.store, True, feed.problems)
    finally:
        feed.stop()


@contextmanager
def call_source(settings: Config, files: list[str], table: str | None) -> Iterator[CallSource]:
    """Raises WrongUsage, SourceError, SinkError."""
    from capture_agent.app.call_feed import CallFeed, view_mask
    from capture_agent.page.store_source import StoreSource
    from capture_agent.page.table_source import TableSource

    target = None if files else target_of(settings, table)
    if target is not None:
        source = TableSource(target, settings.legs, view_mask(settings))
        source.mark()  # can it be read at all?
        yield source
        return
    feed = CallFeed(settings, files=files)
    feed.start()
    try:
        name = ", ".join(Path(one).name for one in files) or ", ".join(live_names(settings))
        yield StoreSource(name, feed.store, feed.is_live, lambda: feed.problems)
    finally:
        feed.stop()


@contextmanager
def served(door: Http, source: CallSource, settings: Config) -> Iterator[None]:
    """Raises Failed."""
    from capture_agent.config.http_listen import host_and_port
    from capture_agent.page.page_application import PageServing
    from capture_agent.page.page_setting import PageSetting
    from capture_agent.view.aliases import Aliases
    from capture_agent.web.door import HttpServer
    from capture_agent.web.http_checks import tls_of

    serving = PageServing(PageSetting(source, Aliases(settings.aliases.by_place()), settings.legs), door.token)
    try:
        server = HttpServer(host_and_port(door.listen), serving.app, tls_of(door))
    except (OSError, ValueError) as error:
        raise Failed(f"--listen {door.listen}: {in_words(error) if isinstance(error, OSError) else error}") from None
    server.start()
    scheme = "https" if door.tls_cert else "http"
    host = door.listen.rpartition(":")[0]
    note(f"{scheme}://{host}:{server.port}/ shows {source.name}; Ctrl-C ends it")
    try:
        yield
    finally:
        server.close()
        serving.close()
