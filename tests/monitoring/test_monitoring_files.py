"""monitoring/: promtool accepts it, it names metrics that exist, and alerts fire on the series that the agent gives."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from monitoring_files import (
    ALERTS,
    DASHBOARD,
    FOLDER,
    ROOT,
    RULES,
    alerts,
    documented,
    metrics,
    queries,
    recorded,
    rules,
)

pytestmark = pytest.mark.once
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool: apt install prometheus")
UNIT_TESTS = Path(__file__).with_name("alert_tests.yml")
EXPRESSIONS = [
    *queries(),
    *(
        (str(rule.get("alert") or rule["record"]), str(rule["expr"]))
        for path in (RULES, ALERTS)
        for rule in rules(path)
    ),
]


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("check", "rules", RULES, ALERTS), id="rules"),
        pytest.param(("check", "config", FOLDER / "prometheus.yml"), id="configuration"),
        pytest.param(("test", "rules", UNIT_TESTS), id="alerts"),
    ],
)
def test_promtool_finds_nothing(command: tuple[str | Path, ...]) -> None:
    done = subprocess.run(["promtool", *command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("where", "query"), EXPRESSIONS, ids=[f"{where}-{n}" for n, (where, _) in enumerate(EXPRESSIONS)]
)
def test_queries_name_documented_metrics(where: str, query: str) -> None:
    named = set(re.findall(r"(?<!\w)\w+(?::\w+)+", query))
    assert metrics(query) | named or query.startswith("up{")  # Prometheus's own
    assert metrics(query) - documented() == set()
    assert named - set(recorded()) == set()


def test_the_dashboard_is_what_the_tool_writes() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    import make_dashboard

    assert DASHBOARD.read_text() == make_dashboard.text()


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
    variables = {one["name"]: one["type"] for one in dashboard["templating"]["list"]}
    assert variables == {"datasource": "datasource"} | dict.fromkeys(("instance", "interface", "peer", "sink"), "query")
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text())) - {"__all"}
    assert used == {*variables, "__rate_interval", "__range"}
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_each_alert_says_what_it_means_and_what_to_do() -> None:
    for rule in rules(ALERTS):
        words = rule["annotations"]
        assert isinstance(words, dict)
        assert set(words) == {"summary", "description", "action"}, rule["alert"]
        assert all(words.values())
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})


def test_each_alert_is_documented_and_tested() -> None:
    document = (ROOT / "docs" / "operate" / "prometheus.md").read_text()
    assert set(re.findall(r"^\| `(CaptureAgent\w+)`", document, re.MULTILINE)) == set(alerts())
    tested = re.findall(r'alertname="(\w+)"', UNIT_TESTS.read_text())
    assert set(tested) == set(alerts())
    live = "".join(path.read_text() for path in Path(__file__).parent.glob("test_monitoring_*.py"))
    assert set(re.findall(r'"(CaptureAgent\w+)"', live)) == set(alerts())
