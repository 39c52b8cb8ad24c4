"""Every ledger reaches a metric; labels are bounded; both texts are what Prometheus takes; docs/metrics.md has them all."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from figure_samples import LEDGERS, figures, sink
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from test_books_document import accounts, in_code

from capture_agent.books import Ledger
from capture_agent.histogram import Histogram
from capture_agent.metrics.exposition import Exposition
from capture_agent.metrics.families import FAMILIES
from capture_agent.metrics.figures import AgentFigures, SinkFigures
from capture_agent.metrics.metric_family import COUNTER, HISTOGRAM
from capture_agent.metrics.samples import MOST_REASONS, NOW, apart, bounded
from capture_agent.streams.streams import Streams

pytestmark = pytest.mark.once

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(of: AgentFigures) -> dict[str, list[tuple[tuple[str, ...], Any]]]:
    return {family.name: list(family.read(of)) for family in FAMILIES}


def scraped(of: AgentFigures, accept: str = "text/plain") -> str:
    return Exposition(lambda: of).text(accept)[0].decode()


def filled() -> AgentFigures:
    """One ledger of each account, in which every name has its own number."""
    ledgers: dict[str, Ledger] = {}
    for (name, column), names in in_code().items():
        if column in ("outcome", "rejected", "lost"):
            ledger = ledgers.setdefault(name, Ledger(name if name not in ("hook", "condition") else f"{name} x"))
            counts = {text: 1000 + len(text) for text in names}
            attribute = {"outcome": "outcomes"}.get(column, column)
            setattr(ledger, attribute, counts)
    of_sink = ledgers.pop("sink")
    one = sink()
    return figures(ledgers.values(), [SinkFigures(one.name, one.kind, of_sink, one.standing)])


def test_every_name_of_every_ledger_reaches_a_metric() -> None:
    found = Counter(
        (labels, value) for of_family in samples(filled()).values() for labels, value in of_family if value != 0
    )
    ends = {(labels[-2:], value) for labels, value in found if len(labels) >= 2}
    wanted = set()
    for (_, column), names in in_code().items():
        for name in names:
            if column == "outcome" and name not in NOW:
                wanted.add(((name, ""), 1000 + len(name)))
            elif column in ("rejected", "lost"):
                wanted.add(((column, name), 1000 + len(name)))
    assert wanted - ends == set()
    assert len(wanted) > 60


@pytest.mark.parametrize("name", sorted({account.name for account in accounts().values()}))
def test_each_ledger_has_a_metric_of_its_own(name: str) -> None:
    """Without that ledger, something is missing."""
    whole = filled()
    without = figures([ledger for ledger in whole.ledgers if ledger.name.split()[0] != name], [] if name == "sink" else whole.sinks)  # fmt: skip
    assert samples(without) != samples(whole)


def test_what_goes_down_again_is_a_gauge() -> None:
    for family in FAMILIES:
        if family.kind == COUNTER:
            values = [labels for labels, _ in family.read(filled()) if set(labels) & set(NOW)]
            assert values == [], family.name


def test_the_notes_of_streams_are_there() -> None:
    found = samples(figures())
    assert found["capture_agent_stream_events_total"] == [(("gaps",), 1)]
    assert found["capture_agent_stream_bytes_total"] == [(("lost",), 30)]
    names = set(Streams().notes())
    assert any(name.endswith("_bytes") for name in names)


def test_every_family_has_a_sample_here() -> None:
    assert [name for name, found in samples(figures()).items() if not found] == []


def test_labels_and_names_are_those_of_the_family() -> None:
    for family in FAMILIES:
        for labels, _ in family.read(figures()):
            assert len(labels) == len(family.labels), family.name
        assert re.fullmatch(r"capture_agent_[a-z_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == COUNTER)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)


def test_values() -> None:
    text = scraped(figures())
    for line in (
        'capture_agent_build_info{build="compiled",python="3.11.7",version="1.2"} 1.0',
        "capture_agent_start_time_seconds 1000.0",
        'capture_agent_frames_total{outcome="carried",reason=""} 9.0',
        'capture_agent_frames_total{outcome="lost",reason="kernel"} 2.0',
        'capture_agent_held{what="fragments"} 1.0',
        'capture_agent_evicted_total{what="fragments"} 4.0',
        'capture_agent_interface_dropped_total{interface="eth0",where="kernel"} 2.0',
        'capture_agent_rule_decisions_total{mode="dialog",rule="rule 1"} 2.0',
        'capture_agent_hook_calls_total{hook="h.py",outcome="rejected",reason="KeyError"} 1.0',
        'capture_agent_hook_calls_total{hook="h.py #2",outcome="passed",reason=""} 1.0',
        'capture_agent_hook_off{hook="h.py"} 1.0',
        'capture_agent_hook_off{hook="h.py #2"} 0.0',
        'capture_agent_sink_messages_total{outcome="sent",reason="",sink="hep:h:9060"} 7.0',
        'capture_agent_sink_messages_total{outcome="lost",reason="queue_full",sink="hep:h:9060"} 0.0',
        'capture_agent_sink_lag_seconds_bucket{le="0.005",sink="hep:h:9060"} 3.0',
        'capture_agent_sink_lag_seconds_bucket{le="+Inf",sink="hep:h:9060"} 3.0',
        'capture_agent_sink_batch_seconds_bucket{le="0.25",sink="hep:h:9060"} 0.0',
        'capture_agent_sink_batch_seconds_bucket{le="0.5",sink="hep:h:9060"} 1.0',
        'capture_agent_sink_batch_seconds_sum{sink="hep:h:9060"} 0.5',
    ):
        assert line in text.splitlines()


def test_sinks_with_one_name_are_kept_apart() -> None:
    text = scraped(figures(sinks=[sink(), sink(), sink()]))
    assert [text.count(f'_up{{sink="hep:h:9060{number}"}}') for number in ("", " #2", " #3")] == [1, 1, 1]
    list(parse_openmetrics(scraped(figures(sinks=[sink(), sink()]), OPENMETRICS)))


def test_promtool_takes_it() -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=scraped(figures()), capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_both_formats_say_the_same() -> None:
    plain = {sample.name: sample.value for family in parse_text(scraped(figures())) for sample in family.samples}
    strict = {
        sample.name: sample.value
        for family in parse_openmetrics(scraped(figures(), OPENMETRICS))
        for sample in family.samples
    }
    ours = {name for name in plain if name.startswith("capture_agent_")}
    assert ours and {name: plain[name] for name in ours} == {name: strict[name] for name in ours}


def test_a_counter_never_goes_down() -> None:
    counts = iter([5, 3, 6])
    exposition = Exposition(lambda: figures([Ledger("messages", outcomes={"traced": next(counts)})]))
    line = re.compile(r'^capture_agent_messages_total\{outcome="traced",reason=""\} (.*)$', re.MULTILINE)
    assert [line.findall(exposition.text()[0].decode()) for _ in range(3)] == [["5.0"], ["5.0"], ["6.0"]]


@given(st.dictionaries(st.text(), st.integers(0, 5), max_size=3 * MOST_REASONS))
def test_reasons_are_bounded_and_none_is_lost(counts: dict[str, int]) -> None:
    found = bounded(counts)
    assert len(found) <= MOST_REASONS + 1
    assert sum(found.values()) == sum(counts.values())


@given(st.text(max_size=20))
def test_any_name_can_be_a_label(name: str) -> None:
    text = scraped(figures([*LEDGERS, Ledger(f"hook {name}", 1, {"passed": 1})], [sink(name)]), OPENMETRICS)
    if name.isprintable():  # the parser takes lines apart by str.splitlines
        assert any(name in sample.labels.values() for family in parse_openmetrics(text) for sample in family.samples)


def test_names_apart() -> None:
    assert apart(["a", "b", "a", "a"]) == ["a", "b", "a #2", "a #3"]


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    rows = re.findall(r"^\| `(capture_agent_\w+)` \| (\w+) \| (.*?) \| .+ \|$", DOCUMENT.read_text(), re.MULTILINE)
    found = {name: (kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(found) == len(rows)
    return found


def test_the_document_has_every_metric_and_no_other() -> None:
    assert documented() == {family.name: (family.kind, family.labels) for family in FAMILIES}


def test_a_scrape_has_what_the_document_has() -> None:
    found = {}
    for family in parse_openmetrics(scraped(figures(), OPENMETRICS)):
        labels = {name for sample in family.samples for name in sample.labels} - {"le"}
        found[family.name] = (family.type, labels)
    for name, (kind, labels) in documented().items():
        scraped_as = name.removesuffix("_total") if kind == COUNTER else name
        assert found.pop(scraped_as) == (kind, set(labels)), name
    text = DOCUMENT.read_text()
    assert [name for name in found if name not in text] == []
    assert all(name.startswith("process_") for name in found)
    assert HISTOGRAM in {kind for kind, _ in documented().values()}


def test_the_document_names_every_table() -> None:
    from capture_agent.correlate.correlator import Correlator
    from capture_agent.pipeline import Pipeline

    tables = {table.name for table in Pipeline(correlator=Correlator()).tables()}
    text = DOCUMENT.read_text()
    assert {name for name in tables if f"`{name}`" not in text} == set()


def test_what_begins_again_after_a_reload_goes_on() -> None:
    lags = [3, 5, 2, 4]
    exposition = Exposition(lambda: with_lag(lags.pop(0)))
    texts = [exposition.text()[0].decode() for _ in range(4)]
    for name in ("capture_agent_sink_lag_seconds_count", "capture_agent_sink_reconnects_total"):
        found = [re.findall(rf'^{name}{{sink="hep:h:9060"}} (.*)$', text, re.MULTILINE) for text in texts]
        assert found == [["3.0"], ["5.0"], ["7.0"], ["9.0"]]
    sums = [re.findall(r"^capture_agent_sink_lag_seconds_sum.* (.*)$", text, re.MULTILINE) for text in texts]
    assert sums == [["3.0"], ["5.0"], ["7.0"], ["9.0"]]


def with_lag(count: int) -> AgentFigures:
    lag = Histogram((0.5, 2.0))
    lag.observe(1.0, count)
    one = sink()
    assert one.standing is not None
    return figures(sinks=[replace(one, standing=replace(one.standing, lag=lag.now(), reconnects=count))])


def test_a_sink_that_is_not_configured_any_more_keeps_its_counts() -> None:
    gone = replace(sink("hep:gone"), standing=None)
    text = scraped(figures(sinks=[sink(), gone]))
    assert 'capture_agent_sink_messages_total{outcome="sent",reason="",sink="hep:gone"} 7.0' in text.splitlines()
    assert 'sink_up{sink="hep:gone"}' not in text


def test_an_interface_that_nobody_wants_any_more_is_neither_up_nor_down() -> None:
    gone = replace(figures().sources[0], name="gone", up=None)
    text = scraped(replace(figures(), sources=[gone]))
    assert 'capture_agent_interface_packets_total{interface="gone"} 10.0' in text.splitlines()
    assert 'interface_up{interface="gone"}' not in text
