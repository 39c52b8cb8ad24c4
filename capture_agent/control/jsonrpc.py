"""JSON-RPC 2.0 (https://www.jsonrpc.org/specification): a document in, a document out. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

from capture_agent.control.commands import Fault

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
TOO_LONG = -32000
TEXTS = {
    PARSE_ERROR: "Parse error",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INTERNAL_ERROR: "Internal error",
    TOO_LONG: "The answers are too long",
}
MOST_IN_BATCH = 100  # requests in one document
LONGEST_BATCH = 4 << 20  # bytes of their answers: what comes after them is not done

Methods = Callable[[str], Callable[[Sequence[object]], object] | None]


def answer(document: bytes, methods: Methods) -> bytes:
    """The answer to one document: a line of ASCII without its end; empty if none is due.

    `methods`: returns the function for a method's name, None if there is no such method.
    """
    try:
        asked = parse(document)
    except (ValueError, RecursionError):
        return encode(error(PARSE_ERROR))
    if not isinstance(asked, list):
        one = respond(asked, methods)
        return b"" if one is None else encode(one)
    if not 1 <= len(asked) <= MOST_IN_BATCH:
        return encode(error(INVALID_REQUEST))
    answers: list[bytes] = []
    left = LONGEST_BATCH
    for request in asked:
        one = respond(request, methods) if left > 0 else error(TOO_LONG)
        if one is not None:
            answers.append(encode(one))
            left -= len(answers[-1])
    return b"[" + b", ".join(answers) + b"]" if answers else b""


def parse(document: bytes) -> Any:
    """What every parser reads alike, and an answer can repeat. Raises ValueError or RecursionError."""
    text = document.decode("utf-8")
    asked = json.loads(text, parse_constant=finite, parse_float=finite, object_pairs_hook=each_once)
    if "\\u" in text:
        json.dumps(asked, ensure_ascii=False).encode("utf-8")  # half of a surrogate pair is no text
    return asked


def finite(text: str) -> float:
    """Not NaN and Infinity, which are not JSON; not 1e999, which would become Infinity in the answer."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(text)
    return number


def each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a name that is given twice, some parsers take the first value, some the last."""
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a name is given twice")
    return found


def encode(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")


def error(code: int, message: str | None = None, identity: object = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": message or TEXTS[code]}, "id": identity}


def respond(request: object, methods: Methods) -> dict[str, Any] | None:
    """One request's answer; None for a notification, which is a request without an id."""
    if not isinstance(request, dict) or not is_request(request):
        return error(INVALID_REQUEST)
    identity = request.get("id")
    reply = result_of(request, methods, identity)
    return reply if "id" in request else None


def is_request(request: dict[str, Any]) -> bool:
    identity = request.get("id")
    return (
        request.get("jsonrpc") == "2.0"
        and isinstance(request.get("method"), str)
        and isinstance(request.get("params", []), list | dict)
        and isinstance(identity, str | int | float | None)
        and not isinstance(identity, bool)
    )


def result_of(request: dict[str, Any], methods: Methods, identity: object) -> dict[str, Any]:
    method = methods(request["method"])
    if method is None:
        return error(METHOD_NOT_FOUND, identity=identity)
    parameters = request.get("params", [])
    try:
        # Parameters by name count in order, as in Kamailio's jsonrpcs.
        result = method(list(parameters.values()) if isinstance(parameters, dict) else parameters)
    except Fault as fault:
        return error(fault.code, fault.message, identity)
    except Exception as failure:  # a bug in a command must end neither the server nor the agent
        return error(INTERNAL_ERROR, f"Internal error: {type(failure).__name__}", identity)
    return {"jsonrpc": "2.0", "result": result, "id": identity}
