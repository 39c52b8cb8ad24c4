"""Destinations of traced messages.

sink.py           Sink, the interface of every sink
packet_sink.py    sinks that send each message as one packet: pack, then send (HEP, SIP duplicates)
hep/              HEP 1, 2, 3 to a collector
sip/              SIP duplicates to another SIP server
sql/              rows of a sip_trace table
packaged_sink.py  a guarded sink from a package
checks.py         problems of sinks that can be found before anything is sent

A new sink is a class with the methods of Sink, a section of the configuration and a line in SINKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from capture_agent.config import Config
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.sinks.sink import Sink


# Each imports what it needs when it is called: SQLAlchemy takes longer to load than all the rest together.
def hep(target: HepTarget) -> Sink:
    from capture_agent.sinks.hep.hep_sink import HepSink

    return HepSink(target)


def sip(target: SipTarget) -> Sink:
    from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink

    return SipDuplicateSink(target)


def sql(target: SqlTarget, tables: Iterable[str] = ()) -> Sink:
    from capture_agent.sinks.sql.sql_sink import SqlSink

    return SqlSink(target, tables)


# Keys are sections of the configuration.
SINKS: dict[str, Callable[..., Sink]] = {"hep": hep, "sip": sip, "sql": sql}


def make_sinks(config: Config) -> list[Sink]:
    """One sink for each target except those of packages, in the order of SINKS.

    Raises SinkError: a certificate file or database URL is wrong.
    """
    sinks: list[Sink] = []
    for section, make in SINKS.items():
        for target in getattr(config, section):
            # Tables that rules name must exist when the sink opens.
            tables = (config.tables_at(len(sinks)),) if section == "sql" else ()
            sinks.append(make(target, *tables))
    return sinks
