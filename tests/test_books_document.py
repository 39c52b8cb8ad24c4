"""docs/books.md compared with the accounts in the code: a name in only one of them fails."""

import ast
import importlib
import pkgutil
import re
from collections import defaultdict
from pathlib import Path

import pytest

import capture_agent
from capture_agent.books import IN_WORDS, SHARED, Account, Ledger, joined
from capture_agent.intake.payloads import PROBLEMS
from capture_agent.streams.streams import Streams

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "books.md"
COLUMNS = ("outcome", "rejected", "lost")

pytestmark = pytest.mark.once

Names = dict[tuple[str, str], set[str]]  # of each ledger, by what they name


def accounts() -> dict[str, Account]:
    """All accounts, by module and name."""
    found: dict[str, Account] = {}
    for module in pkgutil.walk_packages(capture_agent.__path__, "capture_agent."):
        if not module.name.endswith("__main__"):
            names = vars(importlib.import_module(module.name))
            found |= {f"{module.name}.{name}": one for name, one in names.items() if isinstance(one, Account)}
    return found


def in_code() -> Names:
    names: Names = defaultdict(set)
    for account in accounts().values():
        for column, of_column in zip(COLUMNS, (account.outcomes, account.rejected, account.lost), strict=True):
            if of_column:
                names[account.name, column] |= {str(name) for name in of_column}
    names["malformed", "problem"] = set(PROBLEMS.values())
    names["streams", "count"] = set(Streams().notes())
    return dict(names)


def in_document() -> Names:
    """The first column of each table, by the section and the title of the column; `a, b` is a section for both."""
    names: Names = defaultdict(set)
    sections: list[str] = []
    column = ""
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            sections, column = re.findall(r"`([a-z_]+)[^`]*`", line), ""
        elif row := re.match(r"\| (?:`([^`]+)`|([a-z]+)) \|", line):
            column = row[2] or column
            for section in sections if row[1] else ():
                assert row[1] not in names[section, column], f"{section}: {row[1]} is there twice"
                names[section, column].add(row[1])
    return dict(names)


def test_the_document_has_every_name_of_the_code_and_no_other() -> None:
    assert in_document() == in_code()


def test_a_name_is_a_metric_label() -> None:
    names = {name for (ledger, column), names in in_code().items() for name in (ledger, column, *names)}
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]*", name)] == []
    assert set(IN_WORDS) <= names


def test_a_name_means_one_thing_in_its_ledger() -> None:
    found = in_code()
    ledgers = {ledger for ledger, _ in found}
    columns = {ledger: [found.get((ledger, column), set()) for column in COLUMNS] for ledger in ledgers}
    twice = {(ledger, name) for ledger, (a, b, c) in columns.items() for name in (a & b) | (b & c) | (a & c)}
    # A database has refused a row, or nobody listens where a datagram went.
    assert twice == {("sink", "refused")}


def test_the_shared_ledgers_have_every_outcome_in_its_place() -> None:
    assert {name: set(of) for name, of in SHARED.items()} == {name: in_code()[name, "outcome"] for name in SHARED}


# Ledgers with names from elsewhere: exceptions of user code, reasons of packages' sinks and sources, and all that a
# running agent answers.
OPEN = (
    "books.py",
    "cli/stats.py",
    "delivery/direct.py",
    "delivery/sink_books.py",
    "hooks/guard.py",
    "sources/source.py",
)


def sources() -> list[tuple[str, ast.Module]]:
    folder = ROOT / "capture_agent"
    return [(str(path.relative_to(folder)), ast.parse(path.read_text())) for path in sorted(folder.rglob("*.py"))]


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_ledgers_are_made_from_accounts() -> None:
    made = {
        path
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node.func) == "Ledger"
    }
    assert made == set(OPEN)


def test_nothing_is_counted_under_a_name_that_only_the_counting_line_has() -> None:
    """`rejected["oversize"] += 1` would appear in a ledger that accepts the reasons of packages."""
    found = [
        f"{path}:{node.lineno}"
        for path, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and name_of(node.value).lstrip("_") in ("rejected", "lost")
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    ]
    assert found == []


def test_what_no_account_has_unbalances_the_ledger() -> None:
    account = Account("segments", ("delivered",), ("cut",))
    assert account.ledger(3, {"delivered": 2}, {"cut": 1}).difference == 0
    assert account.ledger(3, {"delivered": 1, "lent": 1}, {"cut": 1}).difference == 1
    assert account.ledger(3, {"delivered": 2}, {"torn": 1}).difference == 1


def test_parts_of_a_shared_ledger_become_one_and_others_stay() -> None:
    parts = [
        Ledger("frames", 2, lost={"kernel": 2}),
        Ledger("frames", 9, {"carried": 5, "waiting": 3}, {"cut": 1}),
        Ledger("hook a", 1, {"passed": 1}),
        Ledger("frames", 0, {"carried": -2, "own": 2}),
        Ledger("hook a", 2, {"passed": 2}),
    ]
    assert [str(ledger) for ledger in joined(parts)] == [
        "frames: 11 seen, 3 carried, 2 own, 3 waiting, 1 rejected (cut 1), 2 lost (kernel 2)",
        "hook a: 1 seen, 1 passed",
        "hook a: 2 seen, 2 passed",
    ]
