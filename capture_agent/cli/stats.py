"""capture-agent stats: the figures of a running agent, from its control socket; or of calls (traffic_stats.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from capture_agent.cli import options
from capture_agent.cli.failures import Failed, WrongUsage
from capture_agent.cli.status import asked
from capture_agent.view.text import printable


def stats(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="[FILE]...", help="Capture files, instead of a running agent.")
    ] = None,
    db: options.Database = None,
    table: options.TableName = None,
    prometheus: Annotated[
        bool, typer.Option("--prometheus", help="All metrics, as Prometheus scrapes them from /metrics.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As Homer's `agent stats` reads it from /api/stats.")] = False,
    control: options.ControlSocket = None,
    config: options.ConfigFile = None,
) -> None:
    """Print the figures of a running agent: its sinks and its books so far. It needs no HTTP.

    --prometheus and --json print the same as the agent answers by HTTP. With FILE or --db: of the messages and calls
    there.
    """
    if files or db is not None:
        if prometheus or control is not None:
            raise WrongUsage("--prometheus and --control are for a running agent, FILE and --db for calls")
        from capture_agent.cli import looking, traffic_stats

        traffic_stats.show_figures(looking.inputs(config, files, db, table), as_json)
        return
    if prometheus and as_json:
        raise WrongUsage("--prometheus and --json exclude each other")
    from capture_agent.control.commands import Fault

    try:
        if prometheus:
            print(asked(config, control, "metrics"), end="")
        elif as_json:
            print(json.dumps(asked(config, control, "agent.stats"), indent=2))
        else:
            of_agent, of_stages = asked(config, control, "agent.stats"), asked(config, control, "stats")
            for line in readable(of_agent, of_stages):
                print(printable(line))
    except Fault as fault:
        raise Failed(f"the agent answers: {printable(fault.message)}") from None


def readable(of_agent: Any, of_stages: Any) -> Iterator[str]:
    """Lines, from the answers of agent.stats and stats. Raises Failed: they are of something else."""
    try:
        tracing = "tracing" if of_stages["tracing"] else "not tracing"
        yield f"up for {of_agent['uptime']}, {tracing}"
        for one in of_agent["transport"]:
            state = "connected" if one["connected"] else "down"
            yield f"{one['addr']} ({one['proto']}): {state}, {one['reconnects']} reconnects"
        for one in of_stages.get("groups", ()):
            active = ", ".join(name for name, gets in one["active"].items() if gets)
            yield f"group {one['name']} ({one['mode']}): {'up' if one['up'] else 'down'}, active: {active}"
        yield from books(of_stages)
    except (KeyError, TypeError, AttributeError):
        raise Failed("the agent answers something else than its figures") from None


def books(answer: Mapping[str, Any]) -> Iterator[str]:
    from capture_agent.books import Books, Ledger

    others = ("name", "seen", "rejected", "lost")
    ledgers = [
        Ledger(
            one["name"],
            one["seen"],
            {name: count for name, count in one.items() if name not in others},
            one["rejected"],
            one["lost"],
        )
        for one in answer["ledgers"]
    ]
    return Books(ledgers, answer["malformed"]).lines()
