"""JSON-RPC 2.0: the examples of its specification, every kind of invalid request, and arbitrary input."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.control.commands import Fault
from capture_agent.control.jsonrpc import LONGEST_BATCH, MOST_IN_BATCH, TOO_LONG, answer

pytestmark = pytest.mark.once

called: list[object] = []


def subtract(parameters: Sequence[object]) -> object:
    minuend, subtrahend = parameters
    called.append("subtract")
    return minuend - subtrahend  # type: ignore[operator]


def refuse(parameters: Sequence[object]) -> object:
    raise Fault("no")


def methods(name: str) -> Callable[[Sequence[object]], object] | None:
    return {"subtract": subtract, "refuse": refuse}.get(name)


def ok(result: object, identity: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "result": result, "id": identity}


def fail(code: int, message: str, identity: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message}, "id": identity}


PARSE = fail(-32700, "Parse error")
INVALID = fail(-32600, "Invalid Request")


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', ok(19, 1)),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": "x"}', ok(-19, "x")),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 3}', ok(19, 3)),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [2, 1], "id": null}', ok(1, None)),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [1, 2]}', None),
        ('{"jsonrpc": "2.0", "method": "foobar"}', None),
        ('{"jsonrpc": "2.0", "method": "refuse"}', None),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', fail(-32601, "Method not found", "1")),
        ('{"jsonrpc": "2.0", "method": "refuse", "id": 4}', fail(500, "no", 4)),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [1], "id": 5}', fail(-32603, "Internal error: ValueError", 5)),
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', PARSE),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": 7, "id": 1}', INVALID),
        ('{"jsonrpc": "1.0", "method": "subtract", "id": 1}', INVALID),
        ('{"method": "subtract", "id": 1}', INVALID),
        ('{"jsonrpc": "2.0", "method": "subtract", "id": true}', INVALID),
        ('{"jsonrpc": "2.0", "method": "subtract", "id": {}}', INVALID),
        ("[]", INVALID),
        ("1", INVALID),
        ('"on"', INVALID),
        ("", PARSE),
        ("{", PARSE),
        ("[" * 60000, PARSE),
        ("9" * 60000, PARSE),
        ("NaN", PARSE),
        ('{"a": Infinity}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": 1e999}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": -1e999}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "params": [[{"a": 1e999}]], "id": 1}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": 1e308}', fail(-32601, "Method not found", 1e308)),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": 1e-999}', fail(-32601, "Method not found", 0.0)),
        (f'{{"jsonrpc": "2.0", "method": "foobar", "id": {"9" * 4000}}}', fail(-32601, "Method not found", int("9" * 4000))),
        (f'{{"jsonrpc": "2.0", "method": "foobar", "id": {"9" * 5000}}}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": 1, "id": 2}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "params": {"a": 1, "\\u0061": 2}, "id": 2}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": "\\ud800"}', PARSE),
        ('{"jsonrpc": "2.0", "method": "foobar", "params": {"\\udc00\\ud800": 1}}', PARSE),
        (
            '{"jsonrpc": "2.0", "method": "foobar", "id": "\\ud83d\\ude00 \\u0000"}',
            fail(-32601, "Method not found", "\U0001f600 \0"),
        ),
        ("[1,2,3]", [INVALID, INVALID, INVALID]),
        ("[1]", [INVALID]),
        (f"[{','.join('1' * (MOST_IN_BATCH + 1))}]", INVALID),
        (
            '[{"jsonrpc": "2.0", "method": "subtract", "params": [4, 2], "id": "1"}, {"jsonrpc": "2.0", "method":'
            ' "subtract", "params": [7, 7]}, {"foo": "boo"}, {"jsonrpc": "2.0", "method": "get", "id": "5"}]',
            [ok(2, "1"), INVALID, fail(-32601, "Method not found", "5")],
        ),
        ('[{"jsonrpc": "2.0", "method": "subtract", "params": [1, 2]}]', None),
    ],
)  # fmt: skip
def test_documents(document: str, wanted: object) -> None:
    got = answer(document.encode(), methods)
    assert (json.loads(got) if got else None) == wanted


@pytest.mark.parametrize("depth", [*range(50, 1200, 50), 10_000, 30_000])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_is_done_or_no_json(depth: int, before: str, after: str) -> None:
    parameters = f"[{before * depth}1{after * depth}]"
    got = answer(b'{"jsonrpc": "2.0", "method": "length", "params": %s, "id": 1}' % parameters.encode(), nested)
    assert json.loads(got) in (ok(True, 1), PARSE, fail(-32603, "Internal error: RecursionError", 1))


def nested(name: str) -> Callable[[Sequence[object]], object]:
    """As commands do: `str(parameters[0])`."""
    return lambda parameters: len(str(parameters[0])) > 50


@pytest.mark.parametrize("document", [b"\xff\xfe", b'"\xc3"', '{"a":1}'.encode("utf-16")])
def test_text_that_is_not_utf8(document: bytes) -> None:
    assert json.loads(answer(document, methods)) == PARSE


def test_notifications_are_done() -> None:
    called.clear()
    assert answer(b'{"jsonrpc": "2.0", "method": "subtract", "params": [1, 2]}', methods) == b""
    assert called == ["subtract"]


def never(constant: str) -> float:
    raise AssertionError(constant)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["jsonrpc", "method", "params", "id", "x"]), inner | st.sampled_from(["2.0", "subtract"]), max_size=5
    ),
)  # fmt: skip


@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_anything_gives_one_line_of_json_or_nothing(document: bytes) -> None:
    got = answer(document, methods)
    assert b"\n" not in got
    for each in json.loads(b"[" + got + b"]", parse_constant=never):
        for one in each if isinstance(each, list) else [each]:
            assert one["jsonrpc"] == "2.0"
            assert ("result" in one) != ("error" in one)
            assert "id" in one


def test_the_answers_of_a_batch_are_bounded() -> None:
    done: list[int] = []

    def long(parameters: Sequence[object]) -> object:
        done.append(1)
        return "x" * (LONGEST_BATCH // 3)

    batch = [{"jsonrpc": "2.0", "method": "long", "id": n} for n in range(MOST_IN_BATCH)]
    text = answer(json.dumps(batch).encode(), lambda name: long)
    answers = json.loads(text)
    assert len(text) < 2 * LONGEST_BATCH
    assert len(answers) == MOST_IN_BATCH
    assert len(done) == sum("result" in one for one in answers) == 3
    assert {one["error"]["code"] for one in answers[3:]} == {TOO_LONG}
