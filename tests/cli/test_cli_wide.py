"""Names of wide and combining characters, and long reasons, as `calls` and `flow` show them."""

from __future__ import annotations

from pathlib import Path

from cli_samples import capture_agent, on_terminal
from rich.cells import cell_len

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"


def test_columns_are_aligned_by_what_a_terminal_shows(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/trace.db"
    assert capture_agent("db", "create", "--db", database).status == 0
    assert capture_agent("replay", INPUTS / "wide_columns.pcap", "--db", database).status == 0
    shown = on_terminal(100, "calls", "--db", database).splitlines()
    lines = [line for line in shown if line.endswith("@x")]
    assert len(lines) == 4
    ends = {cell_len(line[: line.index("INVITE")]) for line in lines}
    assert len(ends) == 1
    assert all(cell_len(line) <= 100 for line in shown)
    assert not any("\x1b" in line for line in shown)


def test_a_long_reason_does_not_shrink_the_ladder() -> None:
    ended = capture_agent("flow", "l@x", "--file", INPUTS / "ladder_long_reason.pcap", COLUMNS="80")
    head, hosts, *arrows = ended.out.splitlines()
    assert "Call-ID l@x" in head
    assert hosts.split() == ["198.51.100.7", "192.0.2.10"]
    assert len({cell_len(arrow) for arrow in arrows}) == 1
    assert all(cell_len(arrow) <= 80 for arrow in arrows)
    assert "500 Server Internal Error" in arrows[1] and ".." in arrows[1]
    assert "200 日本語 OK" in arrows[2]
