# /// script
# requires-python = ">=3.11"
# dependencies = ["matplotlib"]
# ///
"""Draw docs/pictures/dashboard.png: the panels of monitoring/dashboard.json with data of a real agent and Prometheus.

    .venv/bin/uv run --no-project tools/dashboard_picture.py

Four minutes of calls by SIPp between two network namespaces, with RTP among them; the agent follows dialogs and sends
to a HEP collector, which is down for a while, and into SQLite. matplotlib draws what Prometheus answers to the queries
of the dashboard: it is not Grafana. Needs root, sipp, prometheus and the project's environment.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from make_dashboard import HEIGHT, ROWS, STAT, WIDTH, Panel, Query
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "pictures" / "dashboard.png"
AGENT = [str(ROOT / ".venv" / "bin" / "python"), "-m", "capture_agent"]
HERE, THERE = f"dash{os.getpid()}a", f"dash{os.getpid()}b"
SERVER, CLIENT = "192.0.2.2", "192.0.2.1"
RATES = (20, 45, 70, 40)  # calls per second, one after another
PHASE, OUTAGE = 60, 25  # seconds
EVERY = 2  # seconds between two scrapes, and between two points
VARIABLES = {
    "$__rate_interval": "10s",
    "$__range": f"{PHASE * len(RATES)}s",
    "$instance": ".*",
    "$interface": ".*",
    "$peer": ".*",
    "$sink": ".*",
}
COLLECTOR = """
import socket, threading
listener = socket.create_server(("127.0.0.1", 9060))
def read(connection):
    while connection.recv(65536): pass
while True: threading.Thread(target=read, args=listener.accept()[:1], daemon=True).start()
"""
RTP = """
import socket, time
sender = socket.socket(type=socket.SOCK_DGRAM)
while True:
    for _ in range(15): sender.sendto(bytes([128, 8]) + bytes(170), ("192.0.2.2", 20000))
    time.sleep(0.05)
"""
GROUND, PANEL, EDGE, TEXT, FAINT = "#111217", "#181b1f", "#2c3235", "#d8d9da", "#8e8e8e"
COLORS = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#ff7383", "#8ab8ff", "#96d98d", "#ffcb7d", "#ca95e5")
STEPS = {"green": "#299c46", "red": "#d44a3a", "orange": "#e0752d", "blue": "#1f60c4"}
UNITS = {
    "pps": " p/s",
    "mps": "/s",
    "ops": "/s",
    "bps": "b/s",
    "s": "s",
    "decbytes": "B",
    "short": "",
    "percentunit": "%",
}

Series = tuple[str, list[float], list[float]]  # legend, seconds since the beginning, values


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def running(namespace: str, *command: str, folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        ["ip", "netns", "exec", namespace, *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def hosts() -> Iterator[None]:
    try:
        for name in (HERE, THERE):
            ip("netns", "add", name)
        ip("link", "add", "eth0", "netns", HERE, "type", "veth", "peer", "name", "eth0", "netns", THERE)
        for name, address in ((HERE, SERVER), (THERE, CLIENT)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", name, "link", "set", device, "up")
        yield
    finally:
        for name in (HERE, THERE):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def calls(folder: Path) -> None:
    """All phases; in the third one the collector is down for a while."""
    collector = (HERE, sys.executable, "-c", COLLECTOR)
    client = ("sipp", "-sn", "uac", f"{SERVER}:5060", "-i", CLIENT, "-nostdin", "-d", "5000")
    with ExitStack() as stack:
        up = stack.enter_context(ExitStack())
        up.enter_context(running(*collector, folder=folder))
        for number, rate in enumerate(RATES):
            options = ("-r", str(rate), "-m", str(rate * PHASE), "-p", str(5070 + number))
            stack.enter_context(running(THERE, *client, *options, folder=folder))
            end = time.monotonic() + PHASE
            if number == 2:
                up.close()
                time.sleep(OUTAGE)
                up.enter_context(running(*collector, folder=folder))
            time.sleep(max(0.0, end - time.monotonic()))


def asked(path: str, **words: object) -> list[dict[str, object]]:
    url = f"http://127.0.0.1:9090/api/v1/{path}?{urlencode(words)}"
    done = subprocess.run(["ip", "netns", "exec", HERE, "curl", "-s", url], capture_output=True, check=True, timeout=20)
    return list(json.loads(done.stdout)["data"]["result"])


def filled(query: Query) -> str:
    text = query.text
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    return text


def legend(query: Query, labels: dict[str, str]) -> str:
    text = query.legend
    for name, value in labels.items():
        text = text.replace(f"{{{{{name}}}}}", value)
    return text.replace("127.0.0.1:9096", "agent")


def series(panel: Panel, begin: float, end: float) -> list[Series]:
    found = []
    for query in panel.queries:
        for one in asked("query_range", query=filled(query), start=begin, end=end, step=EVERY):
            points = [(float(at) - begin, float(value)) for at, value in one["values"] if not math.isnan(float(value))]
            name = legend(query, one["metric"])
            if points:
                found.append((name.replace(f"sqlite:///{ROOT}", "sqlite:"), *map(list, zip(*points, strict=True))))
    return sorted(found, key=lambda one: -max(one[2]))


def shown(value: float, unit: str) -> str:
    if unit == "s" and 0 < value < 1:
        return f"{1000 * value:.3g} ms"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    size = min(3, int(math.log10(abs(value)) / 3)) if abs(value) >= 1 else 0
    prefix = ("", "k", "M", "G")[size]
    return f"{value / 1000**size:.3g}{' ' if prefix or unit in ('s', 'decbytes', 'bps') else ''}{prefix}{UNITS[unit]}"


def draw_stat(axes: Axes, panel: Panel, end: float) -> None:
    value = float(asked("query", query=filled(panel.queries[0]), time=end)[0]["value"][1])
    color = [color for color, limit in panel.steps if limit is None or value >= limit][-1]
    axes.set_facecolor(STEPS[color])
    axes.set(xticks=[], yticks=[])
    word = panel.words[round(value)] if panel.words else shown(round(value), panel.unit)
    axes.text(
        0.5, 0.36, word, color="white", fontsize=15, weight="bold", ha="center", va="center", transform=axes.transAxes
    )
    axes.text(0.04, 0.9, panel.title, color="white", fontsize=7.5, ha="left", va="top", transform=axes.transAxes)


def draw_times(axes: Axes, panel: Panel, begin: float, end: float) -> None:
    all_series = series(panel, begin, end)
    if panel.stacked:
        grid = sorted({at for _, times, _ in all_series for at in times})
        values = [[dict(zip(times, some, strict=True)).get(at, 0.0) for at in grid] for _, times, some in all_series]
        colors = [COLORS[number % len(COLORS)] for number in range(len(values))]
        axes.stackplot(grid, *values, labels=[name for name, _, _ in all_series], colors=colors, alpha=0.75)
    else:
        for number, (name, times, values) in enumerate(all_series):
            color = COLORS[number % len(COLORS)]
            axes.plot(times, values, color=color, linewidth=1.1, label=name)
            axes.fill_between(times, values, color=color, alpha=0.08, linewidth=0)
    axes.set_xlim(0, end - begin)
    top = max((value for _, _, values in all_series for value in values), default=0)
    axes.set_ylim(0, None if panel.stacked else top * 1.12 or 1)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value, panel.unit)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 60:.0f} min"))
    axes.set_xticks(range(0, round(end - begin) + 1, 60))
    axes.set_axisbelow(True)
    axes.grid(color=EDGE, linewidth=0.6)
    axes.tick_params(colors=FAINT, labelsize=6, length=0)
    lines, labels = axes.get_legend_handles_labels()
    columns = max(1, min(4, 84 // (max(map(len, labels), default=1) + 6)))
    axes.legend(
        lines[: 2 * columns], labels[: 2 * columns], loc="upper center", bbox_to_anchor=(0.48, -0.11), ncols=columns,
        fontsize=5.8, frameon=False, labelcolor=TEXT, handlelength=1.1, columnspacing=1.0, handletextpad=0.4,
        labelspacing=0.2,
    )  # fmt: skip


def place(figure: Figure, x: float, y: float, width: float, height: float, total: float) -> Axes:
    """Axes at these units of the grid, from the top left."""
    return figure.add_axes((x / WIDTH, 1 - (y + height) / total, width / WIDTH, height / total))


def draw(begin: float, end: float) -> None:
    total = sum(1.3 + HEIGHT[row.panels[0].kind] * rows_of(row.panels) for row in ROWS) + 0.4
    figure = plt.figure(figsize=(13, 13 * total / 66), facecolor=GROUND)
    y = 0.2
    for row in ROWS:
        figure.text(
            0.006, 1 - (y + 0.75) / total, f"⌄  {row.title}", color=TEXT, fontsize=9, weight="bold", va="center"
        )
        y, x = y + 1.3, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + HEIGHT[panel.kind]
            height = HEIGHT[panel.kind]
            card = place(figure, x + 0.1, y + 0.1, panel.width - 0.2, height - 0.2, total)
            for edge in card.spines.values():
                edge.set_color(EDGE)
            if panel.kind == STAT:
                draw_stat(card, panel, end)
            else:
                card.set_facecolor(PANEL)
                card.set(xticks=[], yticks=[])
                card.text(0.025, 0.955, panel.title, color=TEXT, fontsize=7.5, weight="bold", va="top")
                inner = place(figure, x + 1.0, y + 1.2, panel.width - 1.4, height - 3.3, total)
                inner.set_facecolor(PANEL)
                for edge in inner.spines.values():
                    edge.set_visible(False)
                draw_times(inner, panel, begin, end)
            x += panel.width
        y += HEIGHT[row.panels[-1].kind]
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=110, facecolor=GROUND)


def rows_of(panels: Sequence[Panel]) -> int:
    return math.ceil(sum(panel.width for panel in panels) / WIDTH)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dashboard-") as name, hosts(), ExitStack() as stack:
        folder = Path(name)
        (folder / "agent.toml").write_text(
            "[http]\nlisten = '127.0.0.1:9096'\n[capture]\ninterfaces = ['eth0']\nlocal = ['192.0.2.2']\n"
            "[trace]\nmode = 'dialog'\n[metrics]\nsip = true\ncalls = true\npeers = {carrier-a = ['192.0.2.1']}\n"
            "[spool]\ndirectory = 'spool'\n"
            "[[hep]]\nuri = 'hep+tcp:127.0.0.1:9060'\n[[sql]]\nurl = 'sqlite:///trace.db'\n"
        )
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {EVERY}s, scrape_timeout: {EVERY}s}}\nscrape_configs:\n"
            "  - job_name: capture-agent\n    static_configs: [{targets: ['127.0.0.1:9096']}]\n"
        )
        os.environ["PYTHONPATH"] = str(ROOT)
        subprocess.run([*AGENT, "db", "create", "--db", "sqlite:///trace.db"], cwd=folder, check=True)
        for namespace, *command in (
            (HERE, *AGENT, "run", "--config", "agent.toml", "--control", ""),
            (HERE, "prometheus", "--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:9090"),
            (HERE, "sipp", "-sn", "uas", "-i", SERVER, "-p", "5060", "-nostdin"),
            (THERE, sys.executable, "-c", RTP),
        ):  # fmt: skip
            stack.enter_context(running(namespace, *command, folder=folder))
        time.sleep(5)
        begin = time.time()
        calls(folder)
        draw(begin + 10, time.time())


if __name__ == "__main__":
    main()
