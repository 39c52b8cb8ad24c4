"""Checks of sinks before anything is sent, without a network and without changing a file.

The table of kinds assigns the checks. A check yields (option, problem).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from capture_agent.config import Config, HepTarget, JsonlTarget, SipTarget, SqlTarget
from capture_agent.config.config_errors import where
from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.config.endpoints import check_host
from capture_agent.config.precedence import Layers
from capture_agent.net.sink_errors import SinkError
from capture_agent.os_errors import in_words
from capture_agent.sinks import imported

_PLAIN_HOST = re.compile("[A-Za-z0-9_.:-]*")


def unusable(config: Config, layers: Layers) -> Iterator[str]:
    """One line per sink that can never work as configured: its certificates, its driver."""
    for one in ConfiguredSinks(config):
        if one.kind.unusable:
            for name, problem in imported(one.kind.unusable)(one.target):
                yield f"{where(layers, (one.section, one.number, name))}: {problem}"


def not_ready(config: Config, layers: Layers) -> Iterator[str]:
    """One line per file that a sink, its spool or the control socket could not use now, as this user."""
    for one in ConfiguredSinks(config):
        if one.kind.not_ready:
            for name, problem in imported(one.kind.not_ready)(one.target):
                yield f"{where(layers, (one.section, one.number, name))}: {problem}"
    if config.spool.directory and (problem := unusable_folder(Path(config.spool.directory))):
        yield f"{where(layers, ('spool', 'directory'))}: {problem}"
    socket = config.control.socket
    if socket not in ("", "auto"):
        folder = Path(socket).parent
        if not folder.is_dir():
            yield f"{where(layers, ('control', 'socket'))}: no such folder: {folder}"
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield f"{where(layers, ('control', 'socket'))}: cannot create a file in {folder}"


def unusable_folder(folder: Path) -> str:
    """Why files cannot be created in it, nor it and those above it be made; empty: they can."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(one))
    if not there.is_dir():
        return f"{there} is not a directory"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"cannot create a {'file' if there == folder.absolute() else 'directory'} in {there}"
    return ""


def certificates(target: HepTarget | SipTarget) -> Iterator[tuple[str, str]]:
    if target.transport == "tls":
        from capture_agent.net.tls import TlsFileError, tls_context

        try:
            tls_context(target)
        except TlsFileError as error:
            yield error.option, f"expected {error.expected}"


def driver(target: SqlTarget) -> Iterator[tuple[str, str]]:
    from capture_agent.sinks.sql.database import make_engine, parse_url, shown

    try:
        url = parse_url(target.url)
        make_engine(url).dispose()
    except SinkError as error:
        yield "url", str(error)
        return
    if url.host and _PLAIN_HOST.fullmatch(url.host):  # not several, and not the folder of a socket
        try:
            check_host(url.host, bracketed=":" in url.host)
        except ValueError as error:
            yield "url", f"{shown(url)}: {error}"


def database_file(target: SqlTarget) -> Iterator[tuple[str, str]]:
    from capture_agent.sinks.sql.database import creation_hint, parse_url, shown

    try:
        url = parse_url(target.url)
    except SinkError:
        return  # `driver` reports it
    if not url.drivername.startswith("sqlite") or not url.database:
        return
    path = Path(url.database)
    if not path.exists() and target.create and path.parent.is_dir():
        if not os.access(path.parent, os.W_OK | os.X_OK):
            yield "url", f"{shown(url)}: cannot create a file in its folder"
    elif not path.exists():
        yield "url", f"{shown(url)}: no such file{creation_hint(url, target.table)}"
    elif path.is_dir():
        yield "url", f"{shown(url)}: is a directory"
    elif not os.access(path, os.R_OK | os.W_OK):
        yield "url", f"{shown(url)}: the file is not writable"
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        yield "url", f"{shown(url)}: cannot create a file in its folder, where SQLite keeps its log"


def compression(target: JsonlTarget) -> Iterator[tuple[str, str]]:
    if target.compress == "zstd" and find_spec("zstandard") is None:
        yield "compress", "zstd needs: pip install 'capture-agent[compression]'"


def writable_file(target: JsonlTarget) -> Iterator[tuple[str, str]]:
    from capture_agent.sinks.files.rotating_files import RotatingFiles

    try:
        RotatingFiles(target).check()
    except OSError as error:
        yield "file", in_words(error)
