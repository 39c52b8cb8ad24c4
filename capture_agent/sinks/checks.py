"""Problems of sinks that can be found before anything is sent: without a network, and without changing a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from capture_agent.config import Config
from capture_agent.config.layers import Layers
from capture_agent.config.problems import where
from capture_agent.net.errors import SinkError


def unusable(config: Config, layers: Layers) -> Iterator[str]:
    """One line for each sink that can never work as it is configured: its certificates, its driver."""
    from capture_agent.net.make_sender import tls_context

    for section in ("hep", "sip"):
        for n, target in enumerate(getattr(config, section)):
            if target.transport != "tls":
                continue
            try:
                tls_context(target)
            except SinkError as error:
                cause = error.__cause__
                why = f" ({cause.strerror})" if isinstance(cause, OSError) and cause.strerror else ""
                place = where(layers, (section, n, "tls_ca"))
                yield f"{place}: expected a file of certificates{why}"
    for n, sql in enumerate(config.sql):
        from capture_agent.sinks.sql.database import make_engine, parse_url

        try:
            make_engine(parse_url(sql.url)).dispose()
        except SinkError as error:
            yield f"{where(layers, ('sql', n, 'url'))}: {error}"


def not_ready(config: Config, layers: Layers) -> Iterator[str]:
    """One line for each file that a sink or the control socket could not use now, as this user."""
    for n, sql in enumerate(config.sql):
        from capture_agent.sinks.sql.database import creation_hint, parse_url, shown

        try:
            url = parse_url(sql.url)
        except SinkError:
            continue  # unusable says so
        if not url.drivername.startswith("sqlite") or not url.database:
            continue
        place, path = where(layers, ("sql", n, "url")), Path(url.database)
        if not path.exists():
            yield f"{place}: {shown(url)}: no such file{creation_hint(url, sql.table)}"
        elif path.is_dir():
            yield f"{place}: {shown(url)}: is a directory"
        elif not os.access(path, os.R_OK | os.W_OK):
            yield f"{place}: {shown(url)}: the file cannot be written"
        elif not os.access(path.parent, os.W_OK | os.X_OK):
            yield f"{place}: {shown(url)}: no file can be made in its folder, and SQLite keeps its log there"
    socket = config.control.socket
    if socket not in ("", "auto"):
        folder = Path(socket).parent
        if not folder.is_dir():
            yield f"{where(layers, ('control', 'socket'))}: no such folder: {folder}"
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield f"{where(layers, ('control', 'socket'))}: no file can be made in {folder}"
