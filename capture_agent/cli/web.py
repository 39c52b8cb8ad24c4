"""capture-agent web: calls as pages in a browser."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capture_agent.cli import looking, options
from capture_agent.cli.failures import Failed, WrongUsage, note
from capture_agent.config.secrets import quotable
from capture_agent.os_errors import in_words

if TYPE_CHECKING:
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

    From capture files, from the table, or from interfaces. The masks of [privacy] hold for all that is shown.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise Failed(f"needs {' and '.join(missing)}: pip install 'capture-agent[web]'")
    door = door_of(listen, token_file, tls_cert, tls_key)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with ExitStack() as open_things:
        source = open_things.enter_context(source_of(config, files, db, table, interface))
        open_things.enter_context(served(door, source, config))
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
def source_of(
    config: Path | None, files: list[str] | None, db: str | None, table: str | None, interface: list[str] | None
) -> Iterator[CallSource]:
    """Raises WrongUsage, ConfigError, SourceError, SinkError."""
    from capture_agent.app.call_feed import CallFeed, view_mask
    from capture_agent.page.store_source import StoreSource
    from capture_agent.page.table_source import TableSource

    if interface:
        if files or db is not None:
            raise WrongUsage("got -i and also FILE or --db, expected one of them")
        loaded = options.configuration(config, options.overrides(capture_interfaces=interface))
        feed = CallFeed(loaded)
        name = ", ".join(interface)
    else:
        chosen = looking.inputs(config, files, db, table)
        if chosen.target is not None:
            source = TableSource(chosen.target, chosen.config.legs, view_mask(chosen.config))
            source.mark()  # can it be read at all?
            yield source
            return
        feed = CallFeed(chosen.config, files=chosen.files)
        name = ", ".join(Path(one).name for one in chosen.files)
    feed.start()
    try:
        yield StoreSource(name, feed.store, feed.is_live, lambda: feed.problems)
    finally:
        feed.stop()


@contextmanager
def served(door: Http, source: CallSource, config: Path | None) -> Iterator[None]:
    """Raises Failed."""
    from capture_agent.config.http_listen import host_and_port
    from capture_agent.page.page_application import PageServing
    from capture_agent.page.shared import Shared
    from capture_agent.view.aliases import Aliases
    from capture_agent.web.door import HttpServer
    from capture_agent.web.http_checks import tls_of

    loaded = options.configuration(config, {})
    serving = PageServing(Shared(source, Aliases(loaded.aliases.by_place()), loaded.legs), door.token)
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
