"""The figures of docs/operate/sizing.md are those of docs/benchmarks.md."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[1]
SIZING = (ROOT / "docs/operate/sizing.md").read_text()
BENCHMARKS = (ROOT / "docs/benchmarks.md").read_text()

WORK = {
    "live, to HEP over TCP": "SIP/UDP live, 200,000 packets/s -> HEP3/TCP",
    "replay, to HEP over TCP": "SIP/UDP -> HEP3/TCP",
    "replay, HEP over UDP": "SIP/UDP -> HEP3/UDP",
    "replay, with transactions and dialogs": "transactions and dialogs -> HEP3/TCP",
    "replay, with 20 rules and dialogs": "20 rules, dialog policy -> HEP3/TCP",
    "replay, SIP over TCP": "SIP/TCP -> HEP3/TCP",
    "replay, fragments": "SIP in fragments -> HEP3/TCP",
    "replay, in tunnels": "SIP in tunnels -> HEP3/TCP",
    "replay, to SQLite": "SIP/UDP -> SQLite",
}
SHARES = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) % \|$", SIZING, re.MULTILINE)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


ROWS = {
    (row[0], row[1]): row
    for row in (cells(line) for line in BENCHMARKS.splitlines() if line.startswith("| ") and line.count("|") == 10)
}


def seconds(work: str, by: str = "capture-agent") -> Decimal:
    """CPU seconds per million messages, from the latest result."""
    return Decimal(ROWS[work, by][2])


def rounded(exact: Decimal, printed: str) -> bool:
    """Whether a figure is another one, rounded to the digits that it has."""
    last = int(Decimal(printed).as_tuple().exponent)
    return abs(exact - Decimal(printed)) <= Decimal("0.5").scaleb(last)


def figure(pattern: str) -> str:
    found = re.search(pattern, SIZING)
    assert found is not None, pattern
    return found[1]


def test_each_work_of_the_table_is_a_row_of_the_benchmarks() -> None:
    assert {work for work, _, _ in SHARES} == set(WORK)


@pytest.mark.parametrize(("work", "cpu", "share"), [pytest.param(*row, id=row[0]) for row in SHARES])
def test_cpu_and_share_of_a_core(work: str, cpu: str, share: str) -> None:
    assert Decimal(cpu) == seconds(WORK[work])
    assert rounded(seconds(WORK[work]) * 1000 / 1_000_000 * 100, share)


def test_a_packet_of_rtp() -> None:
    nine_to_one = (seconds("SIP in RTP (1:9) -> HEP3/TCP") - seconds("SIP/UDP -> HEP3/TCP")) / 9
    assert rounded(nine_to_one, figure(r"leaves out cost about ([\d.]+) s"))
    assert rounded(nine_to_one * 1000 * 200 / 1_000_000 * 100, figure(r"a second each, are (\d+) % of a core"))


def test_the_plain_build() -> None:
    work = "SIP/UDP -> HEP3/TCP"
    ratio = seconds(work, "capture-agent, plain build") / seconds(work)
    assert rounded(ratio, figure(r"plain build needs (\d+) times as much"))


def test_memory_of_the_live_row() -> None:
    row = ROWS["SIP/UDP live, 200,000 packets/s -> HEP3/TCP", "capture-agent"]
    assert row[5] == figure(r"\| the agent, live, to HEP \| (\d+) \|")


def test_the_rate_of_the_live_row_is_one_that_holds() -> None:
    rate = figure(r"One core carries ([\d,]+) messages a second live")
    assert ROWS[f"SIP/UDP live, {rate} packets/s -> HEP3/TCP", "capture-agent"][7] == "yes"
