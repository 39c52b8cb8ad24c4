"""The API's description: OpenAPI 3.1, served as /api/openapi.json."""

from __future__ import annotations

from typing import Any

from capture_agent import __version__
from capture_agent.page.call_query import LIMIT, MODES, SHOWN, SORTED
from capture_agent.page.call_source import MOST_AT_ONCE, MOST_BEFORE
from capture_agent.view.call_state import STATES

Schema = dict[str, Any]
FORMATS = ["pcapng", "json", "mermaid", "svg", "html"]


def text(meaning: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": meaning} if meaning else {}), **more}


def number(meaning: str = "", **more: Any) -> Schema:
    return {"type": "integer", **({"description": meaning} if meaning else {}), **more}


def maybe(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def many(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def record(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


COUNTS: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
SECONDS: Schema = {"type": "number", "description": "seconds"}
NANOSECONDS = "nanoseconds since the epoch"

CALL = record(
    call_id=text(),
    correlation_id=maybe(text("what its legs share")),
    legs=many(text("Call-IDs of its other legs, as far as they are in the same answer")),
    method=text("of its first message; INVITE for anything in a call"),
    state=text(enum=list(STATES)),
    failed={"type": "boolean", "description": "refused with 400 to 699, other than 487"},
    status=maybe(number("of its answer")),
    reason=maybe(text("the words of its answer")),
    causes=many(text("headers Reason")),
    from_user=text(),
    from_host=text(),
    to_user=text(),
    to_host=text(),
    request_uri=text(),
    first_ns=maybe(number(NANOSECONDS)),
    last_ns=maybe(number(NANOSECONDS)),
    answered_ns=maybe(number(NANOSECONDS)),
    ended_ns=maybe(number(NANOSECONDS)),
    setup_seconds=maybe(SECONDS),
    duration_seconds=maybe(SECONDS),
    messages=number(),
    retransmissions=number(),
    challenges=number(),
    codecs=many(text()),
    media=many(text()),
    hosts=many(text("aliases, or addresses")),
    transports=many(text()),
)
MEDIA = record(
    kind=text(), host=text(), port=number("0: refused"), protocol=text(), codecs=many(text()), direction=text()
)
ARROW: dict[str, Schema] = {
    "number": number("from 1, in the order of time"),
    "time": text("UTC"),
    "time_ns": number(NANOSECONDS),
    "since_ns": number("since the first message"),
    "delay_ns": number("since the message before"),
    "source": number("index of a participant"),
    "destination": number("index of a participant"),
    "source_port": number(),
    "destination_port": number(),
    "transport": text(),
    "call": number("index of a Call-ID"),
    "label": text("INVITE, 200 OK"),
    "method": text("of the request, or of the request that is answered"),
    "status": maybe(number()),
    "cseq": maybe(number()),
    "retransmission": {"type": "boolean"},
    "challenge": {"type": "boolean", "description": "401 or 407"},
    "media": maybe(many(ref("Media"))),
}
MESSAGE = record(
    **ARROW,
    text=text("as it was received; bytes that are not UTF-8 are escaped"),
    parts=many(record(kind=text(enum=["start", "name", "value", "body"]), text=text())),
    sdp=many(record(line=text(), meaning=text())),
)
LADDER = record(
    calls=many(ref("Call")),
    other_legs=many(text("Call-IDs of legs that are not in this ladder")),
    left_out=number("messages beyond those of the ladder"),
    call_ids=many(text()),
    participants=many(record(place=text("its address"), name=text("its alias, or nothing"))),
    messages=many(ref("Arrow")),
    media=many(
        record(call=number(), kind=text(), offered=text("HOST:PORT"), answered=text(), codecs=many(text())),
    ),
    streams=many(ref("Stream")),
)
MEASURE: Schema = {"type": "number"}
STREAM = record(
    call_id=text(),
    source=text("address"),
    source_port=number(),
    destination=text("address"),
    destination_port=number(),
    ssrc=text("hexadecimal"),
    payload_type=number("of most packets"),
    codec=text("its encoding name, or nothing"),
    clock_rate=number("Hz; 0: unknown"),
    begin_ns=number(NANOSECONDS),
    end_ns=number(NANOSECONDS),
    packets=number("without duplicates"),
    octets=number("of payload"),
    expected=number("packets, by sequence numbers"),
    lost=number("packets"),
    out_of_order=number("packets"),
    duplicates=number("packets"),
    jitter_ms=MEASURE | {"description": "RFC 3550 A.8, at the end"},
    max_jitter_ms=MEASURE,
    mean_jitter_ms=MEASURE,
    mean_delta_ms=MEASURE | {"description": "between packets"},
    max_delta_ms=MEASURE,
    max_skew_ms=MEASURE | {"description": "from the sender's clock"},
    longest_gap_ms=MEASURE,
    gap_at_ns=number("where the longest gap begins: nanoseconds since the epoch"),
    ssrc_changes=number(),
    dtmf_events=number("RFC 4733"),
    dscp=number("of the first packet"),
    r_factor=maybe(MEASURE | {"description": "of the E-model; null: its codec has none"}),
    mos=maybe(MEASURE | {"description": "likewise"}),
    secure={"type": "boolean", "description": "SRTP"},
    final={"type": "boolean", "description": "false: it goes on"},
)
STATISTICS = record(
    calls=number(),
    complete={"type": "boolean", "description": "false: earlier calls are left out"},
    states=COUNTS | {"description": "by method and state"},
    failures=COUNTS | {"description": "by status and reason"},
    failing_peers=COUNTS | {"description": "by the host that was called"},
    retransmissions=COUNTS | {"description": "by method"},
    setup_delays=COUNTS | {"description": "calls by set-up delay"},
    setup_percentiles={"type": "object", "additionalProperties": SECONDS},
)

SOURCE = record(
    name=text(),
    live={"type": "boolean", "description": "there can always be news; false: capture files"},
    reading={"type": "boolean", "description": "it answers now; of capture files: not all is read yet"},
    problems=many(text("for people")),
)


def query(name: str, schema: Schema, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


WHICH_CALLS = [
    query("search", text("words that are in numbers, users, hosts, states or Call-IDs", maxLength=1000)),
    query("where", text("a filter of calls", maxLength=1000)),
    query("show", text(enum=list(SHOWN), default=SHOWN[0])),
    query("since", text("2026-11-25T21:09, in `zone` if it has no offset")),
    query("until", text("as `since`")),
    query("last", text("90s, 10m, 2h, 3d: instead of `since`")),
    query("zone", text("utc, local or a name such as Europe/Berlin", default="utc")),
]
SOME = [
    query("sort", text("a column, with - before it for the greatest first", enum=list(SORTED), default=SORTED[0])),
    query("limit", number(minimum=1, maximum=MOST_AT_ONCE, default=LIMIT)),
    query("after", number("the `after` of the answer before", minimum=0, maximum=MOST_BEFORE, default=0)),
]
WHICH_LADDER = [
    query("id", many(text("a Call-ID")), required=True),
    query("legs", number("1: with all other legs", enum=[0, 1], default=0)),
]
IN_TIME = [query("time", text("for pictures", enum=list(MODES), default=MODES[0])), WHICH_CALLS[-1]]


def operation(meaning: str, parameters: list[Schema], answer: Schema, kind: str = "application/json") -> Schema:
    content = {"description": meaning, "content": {kind: {"schema": answer}}}
    failures = {
        str(status): {"description": says, "content": {"application/json": {"schema": ref("Error")}}}
        for status, says in ((400, "the question is wrong"), (404, "there is none"), (503, "the source cannot be read"))
    }
    name = meaning.partition(",")[0].partition(":")[0].replace(" ", "-").lower()
    return {"get": {"operationId": name, "summary": meaning, "parameters": parameters,
                    "responses": {"200": content, **failures}}}  # fmt: skip


def description() -> dict[str, Any]:
    message, other = query("n", number("a message of the ladder", minimum=1)), query("m", number(minimum=1))
    found = record(
        calls=many(ref("Call")),
        after=maybe(number("null: no more")),
        examined=number("calls among which these were searched and sorted"),
        complete={"type": "boolean", "description": "these were all calls of that time"},
        mark=number("for events"),
    )
    lines = record(lines=many(record(sign=text(enum=[" ", "-", "+"]), line=text())))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "capture-agent web",
            "version": __version__,
            "description": "Calls of capture files, of a sip_trace table or of live capture. Read-only.",
        },
        "paths": {
            "/api/calls": operation("Calls, sorted", [*WHICH_CALLS, *SOME], found),
            "/api/call": operation("Ladder of calls", [*WHICH_LADDER], ref("Ladder")),
            "/api/message": operation("One message", [*WHICH_LADDER, message], ref("Message")),
            "/api/difference": operation("Difference of two messages", [*WHICH_LADDER, message, other], lines),
            "/api/statistics": operation("Figures of calls", WHICH_CALLS, ref("Statistics")),
            "/api/source": operation("Source of the calls", [], SOURCE),
            "/api/events": operation(
                "Events: `state` with `live`, `reading` and `problems` of the source, at first and when they change;"
                " `calls` with `calls` and `complete` when calls are new or have changed",
                [*WHICH_CALLS, query("mark", number("the `mark` of the list: from then on"))],
                text(),
                "text/event-stream",
            ),
            "/export": operation(
                "Ladder as a file",
                [
                    *WHICH_LADDER,
                    *IN_TIME,
                    query("format", text(enum=["pcapng", "json", "mermaid", "svg", "html"]), True),
                ],
                {},
                "*/*",
            ),
        },
        "components": {
            "schemas": {
                "Arrow": record(**ARROW),
                "Call": CALL,
                "Error": record(error=text()),
                "Ladder": LADDER,
                "Media": MEDIA,
                "Stream": STREAM,
                "Message": MESSAGE,
                "Statistics": STATISTICS,
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic", "description": "any user; the token is the password"},
            },
        },
        "security": [{}, {"token": []}, {"password": []}],
    }
