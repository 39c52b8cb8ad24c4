"""capture-agent web: calls as pages in a browser."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
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
    from capture_agent.control.client import AgentLine
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
        typer.Option(
            metavar="SOCKET|URL",
            help="What a running agent traces: its control socket, auto, or http(s)://HOST:PORT of its HTTP door.",
        ),
    ] = None,
    agent_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file with the token of the agent's HTTP door.")
    ] = None,
    agent_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificates to trust there, instead of the system's."),
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
    line_of = agent_line(agent, agent_token_file, agent_ca)
    said = options.overrides(
        db=options.listed(db), table=table, capture_interfaces=interface, control_socket=None if line_of else agent
    )
    settings = options.configuration(config, said)
    if not (files or settings.captures or settings.sql or agent):
        raise WrongUsage("nothing to show: give FILE, -i IFACE, --db URL or --agent SOCKET|URL, or --config FILE")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    source_of = agent_source(settings, line_of) if agent else call_source(settings, files or [], table)
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
    token = token_in(token_file, "--token-file") if token_file else ""
    try:
        return Http(listen, token, str(tls_cert or ""), str(tls_key or ""))
    except ValueError as error:
        said = str(error).replace("expected a token_file", "expected --token-file")
        raise WrongUsage(f"--{said}") from None


def token_in(file: Path, option: str) -> str:
    """Raises WrongUsage. Says nothing of the token."""
    from capture_agent.config.http_listen import check_token

    try:
        token = file.read_text().strip()
        check_token(token)
    except UnicodeDecodeError:
        raise WrongUsage(f"{option}: {file}: not text") from None
    except OSError as error:
        raise WrongUsage(f"{option}: {file}: {in_words(error)}") from None
    except ValueError as error:
        raise WrongUsage(f"{option}: {file}: {str(error).removeprefix('token: ')}") from None
    return token


def agent_line(agent: str | None, token_file: Path | None, ca: Path | None) -> Callable[[], AgentLine] | None:
    """What opens the line to the HTTP door of `agent`; None if it is none. Raises WrongUsage."""
    from capture_agent.control.agent_url import checked_url, is_url

    if agent is None or not is_url(agent):
        if token_file or ca:
            raise WrongUsage("--agent-token-file and --agent-ca need --agent http(s)://HOST:PORT")
        return None
    if find_spec("httpx") is None:
        raise Failed("needs httpx: pip install 'capture-agent[web]'")
    try:
        url = checked_url(agent)
    except ValueError as error:
        raise WrongUsage(f"--agent: value {quotable(agent)!r}: {error}") from None
    if token_file is None:
        raise WrongUsage("--agent: a URL needs --agent-token-file: the door gives messages to nobody else")
    token = token_in(token_file, "--agent-token-file")

    def opened() -> AgentLine:
        from capture_agent.control.http_line import HttpLine

        try:
            return HttpLine(url, token, str(ca or ""))
        except (OSError, ValueError) as error:
            said = in_words(error) if isinstance(error, FileNotFoundError | PermissionError) else "no certificates"
            raise WrongUsage(f"--agent-ca: {ca}: {said}") from None

    return opened


@contextmanager
def agent_source(settings: Config, line_of: Callable[[], AgentLine] | None) -> Iterator[CallSource]:
    """`line_of`: opens the line to its HTTP door; None: its control socket. Raises WrongUsage, Failed."""
    from capture_agent.app.agent_feed import AgentFeed
    from capture_agent.cli.status import address_of
    from capture_agent.control.client import SocketLine
    from capture_agent.control.commands import Fault
    from capture_agent.control.place import ControlError
    from capture_agent.page.store_source import StoreSource

    looked = ""
    if line_of is None:
        path, looked = address_of(settings)
        line: AgentLine = SocketLine(path)
    else:
        line = line_of()
    feed = AgentFeed(settings, line)
    try:
        feed.start()
        yield StoreSource(f"agent at {line.name}", feed)
    except (ControlError, Fault) as error:
        raise Failed(quotable_words(f"{error}{looked}")) from None
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
        yield StoreSource(name, feed)
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
