"""capture-agent interfaces: lists the interfaces available for capture."""

from __future__ import annotations

from capture_agent.cli.failures import Failed
from capture_agent.cli.table_output import Table
from capture_agent.view.text import Column


def interfaces() -> None:
    """List this host's interfaces: name, state, kind and addresses."""
    from capture_agent.sources.interface_list import list_interfaces

    try:
        found = list_interfaces()
    except OSError as error:
        raise Failed(f"cannot list interfaces: {error}") from None
    rows = [(each.name, "up" if each.up else "down", each.kind, " ".join(map(str, each.addresses))) for each in found]
    Table([Column("name"), Column("state"), Column("kind"), Column("addresses")]).show_all(rows)
