"""capture-agent db: manages the sip_trace table."""

from __future__ import annotations

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import note

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
        state = "made" if create_tables(target.url, name) else "exists already"
        note(f"{mask(target.url)}: table {name} {state}{times}")
