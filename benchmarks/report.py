"""The table: the same rows in the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.cases import (
    AEAD,
    COMPILED,
    DISK,
    DRAINED,
    DRIVER,
    HEP_TCP,
    LIMIT,
    LIMITS,
    LISTING,
    PEERS,
    PLAIN,
    SPOOL,
    STORED,
    WORKS,
    WRITTEN,
)
from benchmarks.figures import Figure, growth, main_sized
from benchmarks.targets import GROWTH, MEMORY_MB, PUBLISHED, START_UP_SECONDS, TARGETS

NAMES = {
    COMPILED: "capture-agent",
    PLAIN: "capture-agent, plain build",
    LIMIT: "the limit (C)",
    DRIVER: "the driver alone",
    AEAD: "the library's AEAD alone",
    DISK: "the disk: the same packets in a file, synced",
    WRITTEN: "written",
    DRAINED: "drained",
}
HEAD = ("work", "by", "CPU s per million", "lowest - highest", "x limit", "memory, MB", "target", "holds", "remark")
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    work: str
    by: str
    value: str
    spread: str = ""
    times_limit: str = ""
    memory: str = ""
    target: str = ""
    holds: bool | None = None  # None: no target
    remark: str = ""

    def cells(self) -> tuple[str, ...]:
        verdict = {None: "", True: "yes", False: "NO"}[self.holds]
        parts = (self.work, self.by, self.value, self.spread, self.times_limit, self.memory, self.target)
        return (*parts, verdict, self.remark)


def rows(figures: Sequence[Figure]) -> list[Row]:
    chosen = sorted(main_sized(figures), key=lambda one: list(WORKS).index(one.work))
    found = [cost_row(one) for one in chosen]
    first = [one for one in chosen if one.work == HEP_TCP]
    found += [
        Row(
            "start-up",
            NAMES[one.who],
            f"{one.start_up:.2f} s",
            target=f"≤ {START_UP_SECONDS} s",
            holds=one.start_up <= START_UP_SECONDS,
            remark="CPU, whole process",
        )
        for one in first
        if one.who in (COMPILED, PLAIN)
    ]
    found += [memory_row(one) for one in first if one.who == COMPILED]
    return [*found, *growth_row(figures)]


def cost_row(one: Figure) -> Row:
    target = TARGETS.get((one.work, one.who))
    if one.work in STORED and one.rate_share is None:
        target = None  # a result from before the driver was measured
    remarks = [f"{one.messages:,} messages"]
    remarks += [f"{one.times_base:.2f} x the row before"] if one.times_base else []
    remarks += [f"{one.rate:,.0f} rows/s"] if one.rate and one.work in STORED else []
    remarks += [f"{one.rate:,.0f} messages/s"] if one.work == SPOOL else []
    remarks += [f"{one.rate_share:.2f} x the driver's"] if one.rate_share and target and target.rate_share else []
    remarks += [f"{one.rate_share:.2f} x the disk's"] if one.rate_share and one.who in (WRITTEN, DRAINED) else []
    remarks += [f"{one.dropped:,} dropped at the sink"] if one.dropped else []
    remarks += [f"{one.lost:,} lost"] if one.lost else []
    return Row(
        WORKS[one.work],
        NAMES.get(one.who, one.who),
        f"{one.cost:.2f}",
        f"{one.lowest:.2f} - {one.highest:.2f}",
        f"{one.times_limit:.2f}" if one.times_limit and one.who not in LIMITS else "",
        # The limit's memory is the mapped file, and the spool's program has all messages in memory.
        "" if one.who in (LIMIT, AEAD) or one.work == SPOOL else f"{one.memory / MEGABYTE:.0f}",
        str(target or ""),
        target.holds(one) if target else None,
        ", ".join(remarks),
    )


def memory_row(one: Figure) -> Row:
    memory = one.memory / MEGABYTE
    return Row(
        "resident memory",
        NAMES[one.who],
        f"{memory:.1f} MB",
        target=f"≤ {MEMORY_MB:g} MB",
        holds=memory <= MEMORY_MB,
        remark="the first row",
    )


def growth_row(figures: Sequence[Figure]) -> list[Row]:
    sizes = growth(figures)
    if len(sizes) < 2:
        return []
    # A small capture takes only as long as its start-up: a disturbed run would measure the machine.
    ratio = max(one.quickest for one in sizes) / min(one.quickest for one in sizes)
    costs = ", ".join(f"{one.messages:,}: {one.quickest:.2f}" for one in sizes)
    target = f"≤ {GROWTH:g}"
    return [
        Row(
            "most / least expensive size",
            NAMES[COMPILED],
            f"{ratio:.2f}",
            target=target,
            holds=ratio <= GROWTH,
            remark=costs,
        )
    ]


def not_installed(peers: Iterable[str]) -> list[str]:
    here = set(peers)
    return [peer for peer in PEERS if peer not in here]


def missing_line(peers: Iterable[str]) -> str:
    absent = not_installed(peers)
    return f"Not installed, so not measured: {', '.join(absent)}." if absent else "All peers of Debian were installed."


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    table = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table)


def markdown_table(figures: Sequence[Figure]) -> str:
    return markdown(HEAD, [row.cells() for row in rows(figures)])


def published_table() -> str:
    lines = [(WORKS[one.work], one.who, f"{one.cost:g}", one.remark) for one in PUBLISHED]
    return markdown(("work", "by", "CPU s per million", "remark"), lines)


def show(figures: Sequence[Figure], peers: Iterable[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*HEAD, title="CPU seconds per million SIP messages, whole process less its start-up")
    before = ""
    for row in rows(figures):
        if before not in ("", row.work):
            table.add_section()
        before = row.work
        style = {None: None, True: "green", False: "red"}[row.holds]
        table.add_row(*row.cells(), style=style)
    console = Console(width=None if Console().is_terminal else 180)
    console.print(table)
    console.print(missing_line(peers))
    if LISTING in {one.work for one in figures}:
        console.print("A list: sends nothing; `decode --format jsonl` and tshark's fields.")
