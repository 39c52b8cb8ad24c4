"""Where traced messages go. A stage of its own for each of them: a thread behind a bounded queue.

    sink.py            Sink, what every sink is; SinkError, the one line when it fails
    outbox.py          the queue and the thread in front of a sink; its books     direct.py  neither, for replays
    weight.py          what waiting messages keep in memory (hot)
    hep.py             HEP 1, 2, 3 to a collector          hep_batch.py   messages into the encoder (hot)
    hep_log.py         log events as HEP
    sip_duplicate.py   the messages to another SIP server  x_headers.py   the lines that tell where they were seen
    framing.py         a copy as one message on a stream
    packets.py         what these two share: pack, then send
    udp.py             datagrams                           udp_batch.py   the loop of system calls (hot)
    tcp.py             one connection after the other      stream.py      one of them, TLS too: what has arrived
    unconfirmed.py     what may not have arrived           senders.py     which sender a target asks for
    repeated.py        log lines about what may have arrived twice
    connecting.py      look-ups, sockets, and the address they send from
    sql.py             rows into sip_trace                 rows.py        a message as a row
    sip_trace.py       the table's definition              schema.py      making it
    dividing.py        a batch with a row that is refused  verdicts.py    the databases' errors: refusal or outage
    destinations.py    inserting; what a lost commit did   refusals.py    log lines about refused rows
    database.py        reaching a database, and its errors in one line
    deadlines.py       timeouts of its connections         sqlite_file.py the file's mode and rotation
    stored_calls.py    reading the table                   outcome.py     what became of a call
    stored_rows.py     its rows, as of one moment          stored_text.py its text, byte for byte
    stored_times.py    its times, to UTC
    packaged.py        a sink that a package brings, with a guard around it
    checks.py          what is wrong with sinks before anything is sent

A new sink is a class with the methods of Sink, a section of the configuration and a line in SINKS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from capture_agent.config import Config
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget
from capture_agent.sinks.sink import Sink


# Each imports what it needs when it is used: SQLAlchemy alone takes longer to load than all the rest.
def hep(target: HepTarget) -> Sink:
    from capture_agent.sinks.hep import HepSink

    return HepSink(target)


def sip(target: SipTarget) -> Sink:
    from capture_agent.sinks.sip_duplicate import SipDuplicateSink

    return SipDuplicateSink(target)


def sql(target: SqlTarget, tables: Iterable[str] = ()) -> Sink:
    from capture_agent.sinks.sql import SqlSink

    return SqlSink(target, tables)


# By the section of the configuration.
SINKS: dict[str, Callable[..., Sink]] = {"hep": hep, "sip": sip, "sql": sql}


def make_sinks(config: Config) -> list[Sink]:
    """One for each target that is not a package's, in the order of SINKS.

    Raises SinkError: a certificate file or database URL is wrong.
    """
    sinks: list[Sink] = []
    for section, make in SINKS.items():
        for target in getattr(config, section):
            # Tables that rules name must be there when it opens.
            tables = (config.tables_at(len(sinks)),) if section == "sql" else ()
            sinks.append(make(target, *tables))
    return sinks
