"""Values that verbs accept and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.hooks import verb_values as values
from capture_agent.hooks.verb_values import (
    HookError,
    SinkNames,
    correlation_id_of,
    event_of,
    mode_of,
    table_of,
    users_of,
)

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("check", "value", "want"),
    [
        (users_of, "alice", ("alice",)),
        (users_of, (), ()),
        (users_of, ["b", "a", "b"], ("b", "a")),
        (users_of, (user for user in "ab"), ("a", "b")),
        (users_of, ["x" * 255], ("x" * 255,)),
        (users_of, ["x" * 256], "user: 256 characters, expected 1 to 255"),
        (users_of, [""], "user: 0 characters, expected 1 to 255"),
        (users_of, map(str, range(33)), "users: expected at most 32"),
        (users_of, ["a\0b"], "user 'a\\x00b': NUL and lone surrogates cannot be stored"),
        (users_of, ["\ud800"], "user '\\ud800': NUL and lone surrogates cannot be stored"),
        (users_of, None, "users None: expected text, or several texts"),
        (table_of, "", ""),
        (table_of, "t_1", "t_1"),
        (table_of, "1t", "table '1t': expected letters, digits and underscores, at most 32"),
        (table_of, "t\n", "table 't\\n': expected letters, digits and underscores, at most 32"),
        (table_of, "t" * 33, f"table '{'t' * 33}': expected letters, digits and underscores, at most 32"),
        (table_of, None, "table None: expected letters, digits and underscores, at most 32"),
        (correlation_id_of, "", b""),
        (correlation_id_of, "\u20ac" * 341, "\u20ac".encode() * 341),
        (correlation_id_of, "\u20ac" * 342, "correlation_id: 1026 bytes, expected at most 1024"),
        (event_of, "up", b"up"),
        (event_of, "x" * 16385, "text: 16385 bytes, expected at most 16384"),
        (mode_of, "dialog", "dialog"),
        (mode_of, None, "mode None: expected 'message', 'transaction' or 'dialog'"),
    ],
)
def test_values(check: Any, value: Any, want: object) -> None:
    try:
        got = check(value)
    except HookError as error:
        got = str(error)
    assert got == want


def test_an_endless_list_of_users_is_refused() -> None:
    with pytest.raises(HookError, match="expected at most 32"):
        users_of(str(n) for n in range(10**12))


def test_sinks_of_one_name_are_meant_together() -> None:
    sinks = SinkNames(dict(enumerate(["a", "b", "a"])), defaults=0b010)
    assert (sinks.bits(["a"]), sinks.bits(["b", "a"]), sinks.bits([])) == (0b101, 0b111, 0b010)
    assert sinks.named(0b101) == ("a", "a")


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc"])))
def test_what_is_taken_can_be_sent_and_stored(text: str) -> None:
    try:
        (user,) = users_of(text)
        assert user.encode().decode() == text
        assert correlation_id_of(text) == text.encode()
        assert "\0" not in user
    except HookError:
        assert not text or "\0" in text or len(text) > values.LONGEST_USER or not text.isascii()
