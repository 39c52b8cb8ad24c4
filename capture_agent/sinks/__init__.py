"""Destinations of traced messages.

sink.py           Sink, the interface of every sink
packet_sink.py    sinks that send each message as one packet: pack, then send (HEP, SIP duplicates)
hep/              HEP 1, 2, 3 to a collector
sip/              SIP duplicates to another SIP server
files/            files: one JSON object per message, or pcapng
kafka/            records of Kafka: HEP3, or JSON
sql/              rows of a sip_trace table
*_sink.py         each another kind of sink
packaged_sink.py  a guarded sink from a package
checks.py         problems of sinks that are found before anything is sent

A new sink is a class with the methods of Sink, a configuration record and a line in the table of kinds
(capture_agent/config/sections.py): docs/development.md has the steps.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from importlib import import_module
from typing import Any

from capture_agent.config.configured_sinks import ConfiguredSinks
from capture_agent.sinks.sink import Sink


def make_sinks(
    sinks: ConfiguredSinks, packaged: Iterable[Sink] = (), except_for: Container[int] = ()
) -> dict[int, Sink]:
    """The sinks by id, one per target. `packaged`: those from packages, in the order of their targets.

    Raises SinkError: a certificate file or database URL is not valid.
    """
    brought = iter(packaged)
    made: dict[int, Sink] = {}
    for one in sinks:
        if not one.kind.sink:
            sink = next(brought)
        if one.id in except_for:
            continue
        if not one.kind.sink:
            made[one.id] = sink
            continue
        tables = (sinks.tables_of(one),) if one.kind.tables else ()  # the tables must be known when it opens
        made[one.id] = imported(one.kind.sink)(one.target, *tables)
    return made


def imported(path: str) -> Any:
    """Imports `module:name` of the table of kinds. Only when needed: SQLAlchemy takes longer than all the rest."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
