"""capture-agent db: manages the sip_trace table."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import WrongUsage, note
from capture_agent.config.secrets import quotable

SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
MOST_SECONDS = 100 * 366 * 86400

app = typer.Typer(help="Manage the sip_trace table.", no_args_is_help=False)


@app.callback()
def db() -> None:
    """Manage the sip_trace table."""


@app.command()
def create(
    db: options.Database = None,
    table: options.TableName = None,
    config: options.ConfigFile = None,
) -> None:
    """Create the table and its indexes, as for Kamailio's siptrace. An existing table is left unchanged.

    Without --table, also create the tables that rules of the configuration name.
    """
    from capture_agent.config.configured_sinks import ConfiguredSinks
    from capture_agent.config.secrets import mask
    from capture_agent.history.stored_times import zone_of
    from capture_agent.sinks.sql.schema import create_tables

    target = options.database(config, db, table)
    settings = options.configuration(config, options.overrides(db=options.listed(db)))
    zone = zone_of(target)
    times = f", times are local ({zone})" if target.time == "local" and zone else f", times are {zone}" if zone else ""
    sinks = ConfiguredSinks(settings)
    first = next(sink for sink in sinks if sink.section == "sql")
    named = () if table is not None else sinks.tables_of(first)
    for name in dict.fromkeys([target.table, *named]):
        state = create_tables(target.url, name) or "exists already"
        note(f"{mask(target.url)}: table {name} {state}{times}")


@app.command()
def check(
    db: options.Database = None,
    table: options.TableName = None,
    config: options.ConfigFile = None,
) -> None:
    """Check the table: its columns, collations and indexes by name, and that it accepts a row, which is taken back.

    Without --table, also check the tables that rules of the configuration name. Status 0: nothing is wrong,
    1: warnings, 2: rows cannot be stored.
    """
    from dataclasses import replace

    from capture_agent.cli.doctor import show
    from capture_agent.config.configured_sinks import ConfiguredSinks
    from capture_agent.doctor.table_trial import try_table

    target = options.database(config, db, table)
    settings = options.configuration(config, options.overrides(db=options.listed(db)))
    sinks = ConfiguredSinks(settings)
    first = next(sink for sink in sinks if sink.section == "sql")
    found = try_table(target, () if table is not None else sinks.tables_of(first))
    show([replace(finding, of=str(target)) for finding in found], as_json=False)


@app.command()
def upgrade(
    db: options.Database = None,
    table: options.TableName = None,
    config: options.ConfigFile = None,
) -> None:
    """Add columns and indexes that an older table lacks, widen columns, and correct collations."""
    from capture_agent.config.secrets import mask
    from capture_agent.sinks.sql.upgrade import upgrade as upgrade_steps

    target = options.database(config, db, table)
    place = f"{mask(target.url)}: table {target.table}"
    done = 0
    for step in upgrade_steps(target.url, target.table):
        note(f"{place}: {step}")
        done += 1
    if not done:
        note(f"{place}: nothing to upgrade")


@app.command()
def purge(
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="AGE", help="Delete rows older than this: 30d, 12h, 8w.", show_default=False
        ),
    ],
    db: options.Database = None,
    table: options.TableName = None,
    config: options.ConfigFile = None,
) -> None:
    """Drop partitions and delete rows that are older, in small transactions beside a running agent."""
    from capture_agent.config.secrets import mask
    from capture_agent.sinks.sql.purge import purge as delete_older

    age = seconds_of(older_than)
    target = options.database(config, db, table)
    purged = delete_older(target, age)
    place = f"{mask(target.url)}: table {target.table}"
    for name in purged.partitions:
        note(f"{place}: partition {name} dropped")
    note(f"{place}: {purged.rows} rows deleted")


@app.command()
def partition(
    by: Annotated[
        Literal["day", "month"],
        typer.Option("--by", metavar="day|month", help="How long a partition is. [default: day]", show_default=False),
    ] = "day",
    ahead: Annotated[
        str,
        typer.Option(
            "--ahead", metavar="N", help="Make partitions for so many days or months. [default: 7]", show_default=False
        ),
    ] = "7",
    db: options.Database = None,
    table: options.TableName = None,
    config: options.ConfigFile = None,
) -> None:
    """Divide the table by time, and make partitions ahead of time: run it daily. PostgreSQL, MariaDB and MySQL."""
    from capture_agent.config.secrets import mask
    from capture_agent.sinks.sql.partitions import partition as partition_steps

    periods = options.positive("--ahead", ahead)
    if periods > 366:
        raise WrongUsage(f"--ahead: value {periods}, expected at most 366")
    target = options.database(config, db, table)
    place = f"{mask(target.url)}: table {target.table}"
    done = 0
    for step in partition_steps(target, by == "month", periods):
        note(f"{place}: {step}")
        done += 1
    if not done:
        note(f"{place}: all partitions are there")


def seconds_of(age: str) -> int:
    """Of 30d, 12h, 8w. Raises WrongUsage."""
    found = re.fullmatch(r"([0-9]{1,9})([hdw])", age, re.ASCII)
    seconds = int(found[1]) * SECONDS[found[2]] if found else 0
    if not 0 < seconds <= MOST_SECONDS:
        raise WrongUsage(f"--older-than: value {quotable(age)!r}, expected an age such as 30d, 12h or 8w")
    return seconds
