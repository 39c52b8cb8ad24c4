"""No row needs many more instructions per message than before; instructions are steadier than time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import instructions

pytestmark = pytest.mark.once
KNOWN = {"3.11": {"instructions": {"hep-tcp": 1000.0}}, "3.13": {"instructions": {"hep-tcp": 2000.0}}}


@pytest.mark.parametrize(
    ("measured", "version", "holds"),
    [
        pytest.param(1300.0, "3.11", True, id="30 % more"),
        pytest.param(1301.0, "3.11", False, id="more than that"),
        pytest.param(10.0, "3.11", True, id="less"),
        pytest.param(3199.0, "3.14", True, id="an unknown version: twice as far from the nearest"),
        pytest.param(3201.0, "3.14", False, id="an unknown version, but too many"),
    ],
)
def test_what_counts_as_worse(measured: float, version: str, holds: bool) -> None:
    (comparison,) = instructions.compare({"hep-tcp": measured}, KNOWN, version)
    assert comparison.holds is holds
    assert ("worse" in str(comparison)) is not holds


def test_call_figures_cost_at_most_half_as_much_again() -> None:
    assert instructions.too_expensive({"tracked": 1000.0, "calls": 1500.0}) == []
    assert instructions.too_expensive({"tracked": 1000.0, "calls": 1510.0}) == [
        "calls: 1.51 times tracked, at most 1.5 are allowed"
    ]


def test_a_message_costs_what_more_rounds_cost() -> None:
    total = {f"{row} once": 5000 for row in instructions.ROWS}
    more = instructions.TIMES - 1
    total |= {f"{row} longer": 5000 + 10 * more * instructions.SIP[of] for row, (of, _) in instructions.ROWS.items()}
    assert set(instructions.per_message(total).values()) == {10.0}


def test_the_name_of_a_run_is_found_in_what_callgrind_writes(tmp_path: Path) -> None:
    (tmp_path / "callgrind.1.1").write_text(
        "desc: Trigger: Client Request: sqlite one\n\nsummary: 123\n\ntotals: 123\n"
    )
    (tmp_path / "callgrind.1").write_text("desc: Trigger: Program termination\ntotals: 5\n")
    assert instructions.totals(tmp_path) == {"sqlite one": 123}


def test_figures_are_committed() -> None:
    assert all(set(known["instructions"]) == set(instructions.ROWS) for known in instructions.known_figures().values())


def test_no_row_needs_many_more_instructions(build: str) -> None:
    if build != "compiled":
        pytest.skip("instructions are counted in the compiled build")
    if "-fsanitize" in os.environ.get("CAPTURE_AGENT_CFLAGS", "") or os.environ.get("LD_PRELOAD"):
        pytest.skip("a build with sanitizers counts differently")
    if missing := instructions.unavailable():
        pytest.skip(missing)
    now = instructions.measured()
    comparisons = instructions.compare(now, instructions.known_figures(), instructions.minor_version())
    print(*comparisons, sep="\n")
    assert [str(comparison) for comparison in comparisons if not comparison.holds] == []
    assert instructions.too_expensive(now) == []
