"""The state tables, and the flat tables that compiled code uses."""

from __future__ import annotations

import pytest

from capture_agent.correlate import transitions as changes
from capture_agent.correlate.transitions import DialogEvent, TransactionEvent
from capture_agent.records.dialog import DialogState, TransactionState
from capture_agent.sip.methods import NAMES, Method

TABLES = [
    pytest.param(changes.TRANSACTION, TransactionState, TransactionEvent, id="transaction"),
    pytest.param(changes.DIALOG, DialogState, DialogEvent, id="dialog"),
]


@pytest.mark.parametrize(("table", "states", "events"), TABLES)
def test_flat_tables(table: dict, states: type, events: type) -> None:  # type: ignore[type-arg]
    flat = changes.flat(table)
    for state in states:  # type: ignore[attr-defined]
        for event in events:  # type: ignore[attr-defined]
            assert flat[event * changes.STATES + state] == table.get((state, event), state)
    assert len(states) <= changes.STATES  # type: ignore[arg-type]


def test_the_states_that_calls_table_knows_by_number() -> None:
    assert (TransactionState.CALLING, TransactionState.PROCEEDING) == (0, 1)
    assert (DialogState.EARLY, DialogState.CONFIRMED) == (0, 1)


def test_every_method_has_its_role() -> None:
    assert set(changes.DIALOGS) == set(Method)
    assert list(Method) == sorted(Method)


def test_no_two_methods_look_alike() -> None:
    """The table in sip/methods.py requires that lengths or first letters differ."""
    assert len({(name[0] & 31, len(name)) for name in NAMES[1:]}) == len(Method) - 1
    assert max(map(len, NAMES)) < 16
