"""Disk space for databases, and permissions of secret or private files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from capture_agent.config import Config, SqlTarget
from capture_agent.config.option_list import SECRETS
from capture_agent.config.precedence import Layers, Precedence
from capture_agent.config.secrets import mask
from capture_agent.doctor.finding import Finding, broken, ok, warning
from capture_agent.doctor.running_agent import socket_path

if TYPE_CHECKING:
    from capture_agent.doctor.case import Case

LEAST = 4 << 20  # bytes: below, a database cannot be kept open for long
FEW = 1 << 30  # bytes, or a twentieth of a smaller disk
OTHERS, OTHERS_WRITE = 0o007, 0o002


def have_room(case: Case) -> Iterator[Finding]:
    for target, file in database_files(case.config):
        try:
            yield of_space(os.statvfs(file.parent), str(target))
        except OSError as error:
            yield broken(
                f"its folder: {str(error.strerror).lower()}", "make the folder, for the agent's user", str(target)
            )


def of_space(disk: os.statvfs_result, of: str) -> Finding:
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    to_do = "make room, or rotate the database: docs/databases.md"
    if disk.f_files and not disk.f_favail:
        return broken("no inode is left", to_do, of)
    found = f"{in_mib(free)} of {in_mib(size)} free"
    if free < min(LEAST, size / 2):
        return broken(found, to_do, of)
    return warning(found, to_do, of) if free < min(FEW, size / 20) else ok(found, of)


def in_mib(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"


def database_files(config: Config) -> Iterator[tuple[SqlTarget, Path]]:
    """Those of SQLite."""
    if not config.sql:
        return
    from capture_agent.net.sink_errors import SinkError
    from capture_agent.sinks.sql.database import parse_url
    from capture_agent.sinks.sql.sqlite_file import path_of

    for target in config.sql:
        try:
            path = path_of(parse_url(target.url))
        except SinkError:
            continue  # the check `configuration` reports it
        if path is not None:
            yield target, path


def are_private(case: Case) -> Iterator[Finding]:
    findings = [
        finding
        for path, what, bits, to_do in watched(case.config, case.layers)
        if (finding := of_mode(path, what, bits, to_do)) is not None
    ]
    yield from findings
    if not findings:
        yield ok("secrets, databases and the control socket are for their owner and group only")


def watched(config: Config, layers: Layers) -> Iterator[tuple[Path, str, int, str]]:
    """Files, what they are, the permissions that they must not have, and the ones to give them."""
    if layers.file is not None:
        if secrets := sorted(secrets_in_file(layers)):
            yield layers.file, f"the configuration with {', '.join(secrets)}", OTHERS, "chmod 0640"
        else:
            yield layers.file, "the configuration", OTHERS_WRITE, "chmod o-w"
    for path in layers.secret_files:
        yield path, "a secret", OTHERS, "chmod 0600"
    for name in filter(None, (config.tls.key_log, *config.tls.keys)):
        yield Path(name), "secrets of TLS", OTHERS, "chmod 0640"
    for name in config.hooks.modules:
        if name.endswith(".py"):
            yield Path(name), "code that the agent runs", OTHERS_WRITE, "chmod o-w"
    for _, file in database_files(config):
        for suffix in ("", "-wal", "-shm", "-journal"):
            yield Path(f"{file}{suffix}"), "a database with SIP", OTHERS, "chmod 0600"
    if (socket := socket_path(config)) is not None:
        yield socket, "the control socket", 0o077, "chmod 0600"


def of_mode(path: Path, what: str, bits: int, to_do: str) -> Finding | None:
    """None: it is as it should be, or not there."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
    if not mode & bits:
        return None
    return warning(f"{what}: mode {mode:04o}, other users may use it", f"`{to_do} {path}`", str(path))


def secrets_in_file(layers: Layers) -> Iterator[str]:
    """The options whose secret values are written in the configuration file itself."""
    for section, name in SECRETS:
        entries = layers.data.get(section, [])
        for n, entry in enumerate(entries if isinstance(entries, list) else [entries]):
            path = (section, n, name) if isinstance(entries, list) else (section, name)
            value = entry.get(name)
            if (
                not value
                or layers.layer(path) != Precedence.FILE
                or str(layers.aliases.get(path, path)[-1]) == f"{name}_file"
            ):
                continue
            if name != "url" or mask(str(value)) != value:  # a URL without a password is no secret
                yield f"{section}.{name}"
