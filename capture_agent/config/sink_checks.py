"""What may be wrong in an entry of a sink, and no type can say: each check yields (option, expected, reason)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from capture_agent.config.database_urls import expected_url
from capture_agent.config.sink_kinds import Wrong
from capture_agent.config.uris import check_host

_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")  # its name is a value in Kamailio's version table


def check_host_of(entry: Mapping[str, Any]) -> Iterator[Wrong]:
    host = entry.get("host")
    if isinstance(host, str) and host:
        try:
            check_host(host, bracketed=":" in host)
        except ValueError as error:
            yield "host", "a host name or an IP address", error


def check_database(entry: Mapping[str, Any]) -> Iterator[Wrong]:
    url, table = entry.get("url"), entry.get("table")
    if url == "":
        yield "url", "the URL of a database", ""
    elif isinstance(url, str) and (expected := expected_url(url)):
        yield "url", expected, ""
    if isinstance(table, str) and _TABLE.fullmatch(table) is None:
        yield "table", "letters, digits and underscores, at most 32", ""
