"""What monitoring/ contains: the queries of the dashboard and the rules, and the metrics that they name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "monitoring"
DASHBOARD, RULES, ALERTS = FOLDER / "dashboard.json", FOLDER / "rules.yml", FOLDER / "alerts.yml"
# Grafana's own variables, and those that a reader of the dashboard chooses: all of it.
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "1m",
    "$instance": ".*",
    "$interface": ".*",
    "$peer": ".*",
    "$sink": ".*",
}
METRIC = re.compile(r"(?<![\w:])(?:capture_agent|process)_\w+")


def queries() -> Iterator[tuple[str, str]]:
    """Of the dashboard: the panel's title, and a query, as Grafana would send it."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield panel["title"], query


def rules(path: Path) -> list[dict[str, object]]:
    return [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def recorded() -> list[str]:
    return [str(rule["record"]) for rule in rules(RULES)]


def alerts() -> list[str]:
    return [str(rule["alert"]) for rule in rules(ALERTS)]


def metrics(query: str) -> set[str]:
    """The agent's metrics in a query; of a histogram without its ending."""
    return {re.sub("_(bucket|sum|count)$", "", name) for name in METRIC.findall(query)}


def documented() -> set[str]:
    return set(METRIC.findall((ROOT / "docs" / "metrics.md").read_text()))


def quick(folder: Path, minute: int = 500) -> list[Path]:
    """Copies of the rules in which a minute has so many milliseconds: no test can wait for ten minutes."""
    copies = []
    for path in (RULES, ALERTS):
        copy = folder / path.name
        # Not in names of recorded rules, such as rate5m.
        text = re.sub(r"(\[|for: )(\d+)m\b", lambda at: f"{at[1]}{minute * int(at[2])}ms", path.read_text())
        copy.write_text(text.replace("oldest_seconds > 60", f"oldest_seconds > {minute / 1000}"))
        copies.append(copy)
    return copies
