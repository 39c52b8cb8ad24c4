"""Turning samples into figures, and figures into a table, a plot and a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report, results
from benchmarks.captures import Capture
from benchmarks.cases import (
    COMPILED,
    DISK,
    DRIVER,
    HEP_TCP,
    HEP_UDP,
    LIMIT,
    LIVE_SQLITE,
    PLAIN,
    SPOOL,
    SQLITE,
    TRACKED,
    WORKS,
    WRITTEN,
    Case,
    chosen,
)
from benchmarks.figures import Figure, figures, growth, main_sized
from benchmarks.machine import machine, number_in
from benchmarks.plot import svg, ticks
from benchmarks.results import Result
from benchmarks.runner import Sample
from benchmarks.targets import TARGETS, Target

pytestmark = pytest.mark.once
AGENT = Case(HEP_TCP, COMPILED, Capture(500_000), ())
SMALLER = Case(HEP_TCP, COMPILED, Capture(250_000), ())
THE_LIMIT = Case(HEP_TCP, LIMIT, Capture(500_000), ())
SAMPLES = [
    *(Sample("hep-tcp/compiled/1", cpu, 1, 30_000_000) for cpu in (0.3, 0.1, 0.9)),
    *(Sample("hep-tcp/compiled/500000", cpu, 1, 40_000_000) for cpu in (0.8, 1.3, 0.7)),
    *(Sample("hep-tcp/compiled/250000", cpu, 1, 40_000_000) for cpu in (0.55, 0.6, 0.5)),
    *(Sample("hep-tcp/limit/1", cpu, 1, 1_000_000) for cpu in (0.0, 0.0, 0.0)),
    *(Sample("hep-tcp/limit/500000", cpu, 1, 400_000_000) for cpu in (0.2, 0.25, 0.3)),
]


def some_figures() -> list[Figure]:
    return figures([AGENT, THE_LIMIT, SMALLER], SAMPLES)


def made_up(work: str, who: str, cost: float, times_limit: float | None = None) -> Figure:
    return Figure(work, who, 1000, cost, cost, cost, cost, 0.5, 70e6, times_limit, 0, 0)


def test_medians_without_the_start_up() -> None:
    agent, limit, smaller = some_figures()
    assert agent.cost == pytest.approx(1.0)
    assert (agent.lowest, agent.highest) == pytest.approx((0.8, 2.0))
    assert (agent.start_up, agent.memory) == (0.3, 40_000_000)
    assert limit.cost == pytest.approx(0.5)
    assert agent.times_limit == pytest.approx(2.0)
    assert smaller.cost == pytest.approx(1.0)
    assert (agent.quickest, smaller.quickest) == pytest.approx((1.2, 1.6))


def test_a_work_that_sends_the_same_bytes_is_compared_with_their_limit() -> None:
    tracked = Case(TRACKED, COMPILED, Capture(500_000), ())
    samples = [
        Sample(one.case.replace("hep-tcp/", "tracked/"), 2 * one.cpu, 1, 1)
        for one in SAMPLES
        if "/compiled/" in one.case
    ]
    assert figures([tracked, THE_LIMIT], [*SAMPLES, *samples])[0].times_limit == pytest.approx(4.0)
    assert chosen([AGENT, THE_LIMIT, tracked], [TRACKED]) == [THE_LIMIT, tracked]


@pytest.mark.parametrize(
    ("target", "words", "cost", "times_limit", "holds"),
    [
        (Target(2.0), "≤ 2", 2.0, None, True),
        (Target(2.0), "≤ 2", 2.1, 1.0, False),
        (Target(times_limit=1.4), "≤ 1.4 x limit", 99.0, 1.4, True),
        (Target(times_limit=1.4), "≤ 1.4 x limit", 0.1, 1.5, False),
        (Target(times_limit=1.4), "≤ 1.4 x limit", 0.1, None, False),
        (Target(2.0, 3.5), "≤ 2, ≤ 3.5 x limit", 1.0, 3.6, False),
    ],
)
def test_kinds_of_targets(target: Target, words: str, cost: float, times_limit: float | None, holds: bool) -> None:
    assert str(target) == words
    assert target.holds(made_up(HEP_UDP, COMPILED, cost, times_limit)) is holds


def test_the_driver_alone_is_the_limit_of_rates() -> None:
    agent, driver = Case(SQLITE, COMPILED, Capture(1000), ()), Case(SQLITE, DRIVER, Capture(1000), ())
    samples = [
        Sample("sqlite/compiled/1", 0.5, 0.5, 1),
        Sample("sqlite/compiled/1000", 0.8, 1.5, 1),
        Sample("sqlite/driver/1", 0.0, 0.0, 1),
        Sample("sqlite/driver/1000", 0.2, 0.5, 1),
    ]
    found, alone = figures([agent, driver], samples)
    assert (found.rate, found.rate_share, found.times_limit) == pytest.approx((1000, 0.5, 1.5))
    assert alone.rate == pytest.approx(2000)
    assert chosen([agent, driver], [SQLITE]) == [agent, driver]
    for share, holds in ((0.5, True), (0.7, False)):
        target = Target(rate_share=share)
        assert (str(target), target.holds(found)) == (f"≥ {share} x the driver's rate", holds)


def test_the_disk_is_what_a_spool_is_compared_with() -> None:
    cases = [Case(SPOOL, who, Capture(1000), ()) for who in (DISK, WRITTEN)]
    samples = [
        Sample(f"spool/{who}/{size}", wall, wall, 1)
        for who, walls in ((DISK, (0.1, 0.2)), (WRITTEN, (0.1, 0.3)))
        for size, wall in zip((1, 1000), walls, strict=True)
    ]
    _, written = figures(cases, samples)
    assert (written.rate, written.rate_share) == pytest.approx((5000, 0.5))
    for rate, holds in ((5000.1, False), (4999, True)):
        assert (str(Target(rate=rate)), Target(rate=rate).holds(written)) == (f"≥ {rate:,.0f}/s", holds)
    (row,) = [one for one in report.rows([written]) if one.work == WORKS[SPOOL]]
    assert (row.by, row.target, row.holds) == ("written", "≥ 100,000/s", False)
    assert row.remark == "1,000 messages, 5,000 messages/s, 0.50 x the disk's"


def test_a_target_without_figures_is_that_nothing_is_lost() -> None:
    found = made_up(LIVE_SQLITE, COMPILED, 30)
    assert (str(Target()), Target().holds(found)) == ("no loss", True)
    assert not Target().holds(replace(found, lost=1))


def test_what_went_missing_is_that_of_the_worst_run() -> None:
    runs = [Sample(AGENT.key, 1, 1, 1, dropped=dropped, lost=lost) for dropped, lost in ((0, 2), (7, 0))]
    (one,) = figures([AGENT], [Sample("hep-tcp/compiled/1", 1, 1, 1), *runs])
    assert (one.dropped, one.lost) == (7, 2)
    assert report.cost_row(one).remark == "500,000 messages, 7 dropped at the sink, 2 lost"


def test_other_sizes_only_show_growth() -> None:
    assert [one.messages for one in main_sized(some_figures())] == [500_000, 500_000]
    assert [one.messages for one in growth(some_figures())] == [250_000, 500_000]
    (row,) = report.growth_row(some_figures())
    assert (row.value, row.holds) == ("1.33", False)


@pytest.mark.parametrize(
    ("figure", "holds"),
    [
        pytest.param(made_up(HEP_TCP, COMPILED, 1.3, 3.5), True, id="just"),
        pytest.param(made_up(HEP_TCP, COMPILED, 1.31, 1), False, id="too dear"),
        pytest.param(made_up(HEP_TCP, COMPILED, 1, 3.6), False, id="too far from the limit"),
        pytest.param(made_up(HEP_TCP, PLAIN, 18), True, id="plain"),
    ],
)
def test_targets(figure: Figure, holds: bool) -> None:
    assert TARGETS[figure.work, figure.who].holds(figure) is holds
    row = report.cost_row(figure)
    assert row.holds is holds
    assert row.target.startswith("≤ ")


def test_start_up_and_memory_have_rows() -> None:
    rows = {row.work: row for row in report.rows([made_up(HEP_TCP, COMPILED, 1, 2)])}
    assert (rows["start-up"].value, rows["start-up"].holds) == ("0.50 s", False)
    assert (rows["resident memory"].value, rows["resident memory"].holds) == ("70.0 MB", False)


def test_the_table_says_who_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    report.show(some_figures(), ["tshark"])
    shown = capsys.readouterr().out
    assert "Not installed, so not measured: sngrep, sipgrep." in shown
    assert "≤ 1.3, ≤ 3.5 x limit" in shown
    assert report.missing_line(["sngrep", "sipgrep", "tshark"]) == "All peers of Debian were installed."


def test_markdown_has_as_many_cells_in_each_line() -> None:
    lines = report.markdown_table(some_figures()).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + len(report.rows(some_figures()))


@pytest.mark.parametrize(
    ("largest", "marks"),
    [(4.4, [0, 1, 2, 3, 4, 5]), (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (60.0, [0, 20, 40, 60])],
)
def test_ticks_are_round(largest: float, marks: list[float]) -> None:
    assert ticks(largest) == pytest.approx(marks)


def test_the_picture_is_well_formed_and_labelled() -> None:
    found = [*some_figures(), made_up(HEP_UDP, COMPILED, 2), made_up(HEP_UDP, "sngrep", 50)]
    picture = ElementTree.fromstring(svg(found, "here & <now>"))
    assert picture.tag.endswith("svg")
    texts = {element.text or "" for element in picture.iter() if element.tag.endswith("text")}
    assert {"capture-agent", "the limit (C)", "sngrep", "heplify 2.0.25 *", "here & <now>", "50.0"} <= texts
    assert any("CPU seconds per million" in text for text in texts)
    assert any("measured elsewhere" in text for text in texts)
    style = next(element.text or "" for element in picture.iter() if element.tag.endswith("style"))
    assert "prefers-color-scheme: dark" in style


def test_a_result_is_kept_and_read_again(tmp_path: Path) -> None:
    result = Result("today", machine([]), "ours", 3, some_figures(), SAMPLES)
    assert results.load(results.save(result, tmp_path)) == result


def test_the_machine_is_described_without_its_name() -> None:
    told = machine([])
    assert {"when", "processor", "cores", "kernel", "python", "compiler", "cython", "load", "peers"} <= set(told)
    assert number_in("TShark (Wireshark) 4.0.17 (Git v4)") == "4.0.17"


def test_the_document_keeps_the_text_around_the_result() -> None:
    document = f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n"
    assert results.replaced(document, "new") == f"before\n{results.BEGIN}\nnew\n{results.END}\nafter\n"


def test_the_documents_show_a_kept_result() -> None:
    kept = [results.load(path) for path in results.FOLDER.glob("*.json")]
    document, picture = results.DOCUMENT.read_text(), results.PICTURE.read_text()
    shown = [result for result in kept if results.section(result) in document]
    assert len(shown) == 1, "make bench, or: make bench ARGS='--publish NAME'"
    assert picture == svg(shown[0].figures, results.caption(shown[0]))
