"""`stats` of capture files or of the table: figures of their messages and calls, as tables with bars, or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from capture_agent.cli import looking
from capture_agent.view.call_book import CallBook
from capture_agent.view.text import padded, printable, shortened, width
from capture_agent.view.traffic_figures import TrafficFigures

WIDEST = 40  # columns of a bar, and of a name
MOST_ROWS = 20


def show_figures(source: looking.Inputs, as_json: bool) -> None:
    figures = TrafficFigures()
    if source.target is None:
        book, _ = looking.read_book(source, on_batch=figures.add)
    else:
        book = of_table(source, figures)
    figures.finish(book, source.aliases)
    if as_json:
        print(json.dumps(as_object(figures, len(book)), indent=2))
    else:
        for line in lines(figures, len(book)):
            print(line)
    source.finish()


def of_table(source: looking.Inputs, figures: TrafficFigures) -> CallBook:
    from capture_agent.history.stored_calls import MOST_SEARCHED, listing

    assert source.target is not None
    return listing(
        source.target, MOST_SEARCHED, legs=source.config.legs, on_message=lambda one: figures.add([one])
    ).book


def tables(figures: TrafficFigures) -> dict[str, Counter[str]]:
    return {
        "requests by method": figures.methods,
        "responses by status": figures.statuses,
        "transports": figures.transports,
        "calls by state": figures.states,
        "failures by answer": figures.failures,
        "failures by peer": figures.failing_peers,
        "retransmissions": figures.retransmissions,
    }


def lines(figures: TrafficFigures, calls: int) -> Iterator[str]:
    yield f"{figures.messages} messages, {calls} calls and other exchanges"
    for title, counter in tables(figures).items():
        if counter:
            rows = counter.most_common(MOST_ROWS)
            yield from bars(title, rows)
            if len(counter) > len(rows):
                yield f"  and {len(counter) - len(rows)} more"
    if figures.setup_seconds:
        yield from bars("set-up delay", list(figures.delays().items()))
        yield "  " + ", ".join(f"{one} %: {seconds:.3f} s" for one, seconds in figures.percentiles().items())


def bars(title: str, rows: list[tuple[str, int]]) -> Iterator[str]:
    yield ""
    yield title
    names = [shortened(printable(name), WIDEST) for name, _ in rows]
    widest = max(map(width, names))
    most = max(1, *(number for _, number in rows))
    for name, (_, number) in zip(names, rows, strict=True):
        bar = "#" * -(-number * WIDEST // most)
        yield f"  {padded(name, widest)}  {number:>9}  {bar}".rstrip()


def as_object(figures: TrafficFigures, calls: int) -> dict[str, object]:
    found: dict[str, object] = {"messages": figures.messages, "calls": calls}
    found |= {title.replace(" ", "_"): dict(counter.most_common()) for title, counter in tables(figures).items()}
    found["setup_delays"] = dict(figures.delays())
    found["setup_percentiles"] = {str(one): seconds for one, seconds in figures.percentiles().items()}
    return found
