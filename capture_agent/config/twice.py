"""Finds interfaces, listeners and destinations that are configured twice, which would double everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from os.path import realpath
from typing import Any
from urllib.parse import urlsplit

from capture_agent.config.layers import Layers, Path
from capture_agent.config.packages import PackageSink, PackageSource
from capture_agent.config.problems import where
from capture_agent.config.sections import SINK_SECTIONS, Config
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget

SAME_DATABASE = {"postgres": "postgresql", "mariadb": "mysql"}
PORTS = {"postgresql": 5432, "mysql": 3306}


def twice(layers: Layers, config: Config) -> Iterator[str]:
    """A problem for each that repeats an earlier one."""
    capture = config.capture
    yield from repeated(layers, ("capture", "interfaces"), capture.interfaces, str)
    yield from repeated(
        layers, ("capture", "listen"), capture.listen, lambda one: place(one.host, one.port, one.transport)
    )
    yield from repeated(layers, ("source",), config.source, identity)
    for section in SINK_SECTIONS:
        yield from repeated(layers, (section,), getattr(config, section), identity)


def repeated(
    layers: Layers, path: Path, values: Sequence[Any], identity: Callable[[Any], Hashable | None]
) -> Iterator[str]:
    first: dict[Hashable, int] = {}
    for n, value in enumerate(values):
        same = identity(value)
        if same is not None and first.setdefault(same, n) != n:
            at = (*path, n)
            # A sink that a rule has made by naming it stands where the rule does.
            line = where(layers, layers.aliases.get((*at, "default"), at))
            shown = "a database table" if isinstance(value, SqlTarget) else value
            yield f"{line}: {shown} is given twice (number {first[same] + 1} and {n + 1})"


def identity(one: Any) -> Hashable | None:
    """Alike for two that would send, or bring, the same to or from the same place. None: it cannot be told."""
    if isinstance(one, HepTarget):
        plain = replace(one, host="", port=1, source="", name="", default=True, tls_ca="", tls_verify=True, vlan=False)
        return (place(one.host, one.port, one.transport), plain)
    if isinstance(one, SipTarget):
        return (place(one.host, one.port, one.transport), one.x_headers)
    if isinstance(one, SqlTarget):
        return table(one)
    if isinstance(one, PackageSink | PackageSource):
        return (one.use, repr(sorted(one.options.items())))
    return None


def place(host: str, port: int, transport: str) -> Hashable:
    try:
        return (ip_address(host), port, transport)
    except ValueError:  # a name
        return (host.lower().removesuffix("."), port, transport)


def table(target: SqlTarget) -> Hashable | None:
    try:
        url = urlsplit(target.url)
        kind = url.scheme.partition("+")[0]
        kind = SAME_DATABASE.get(kind, kind)
        if kind == "sqlite":
            return (kind, realpath(url.path[1:]) if url.path[1:] else target.url, target.table)
        return (kind, url.hostname, url.port or PORTS.get(kind), url.path, url.query, target.table)
    except ValueError:
        return None
