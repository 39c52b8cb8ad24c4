"""The pages' content as JSON: openapi.py describes it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from capture_agent.page.call_answers import LookedAt, ladder_query, looked_at, message_number
from capture_agent.page.call_query import call_query, wanted_calls
from capture_agent.page.call_source import FoundNews
from capture_agent.page.openapi import description
from capture_agent.page.page_setting import PageSetting
from capture_agent.page.web_pages import MOST_IN_FIGURES
from capture_agent.sip.headers import text
from capture_agent.sip.session_description import sdp_of
from capture_agent.view.call_object import call_object
from capture_agent.view.details import difference, parts_of
from capture_agent.view.ladder_exports import arrow_object, as_object
from capture_agent.view.sdp import explained
from capture_agent.view.text import printable
from capture_agent.view.traffic_figures import TrafficFigures


class WebApi:
    def __init__(self, shared: PageSetting) -> None:
        self._shared = shared

    def failed(self, status: int, reason: str) -> Response:
        return JSONResponse({"error": reason}, status)

    def calls(self, request: Request) -> Response:
        query, shared = call_query(request.query_params), self._shared
        wanted = wanted_calls(query, shared.aliases, datetime.now(UTC))
        found = shared.source.find(wanted, query.after, query.limit, query.order)
        calls = [call_object(call, shared.aliases, found.legs[call.call_id]) for call in found.calls]
        answer = {"calls": calls, "after": found.after, "examined": found.examined}
        return JSONResponse(answer | {"complete": found.complete, "mark": found.mark})

    def call(self, request: Request) -> Response:
        looked = self._looked_at(request)
        calls = [call_object(call, self._shared.aliases) for call in looked.calls]
        return JSONResponse(
            {"calls": calls, "other_legs": looked.other_legs, "left_out": looked.left_out, **as_object(looked.ladder)}
        )

    def message(self, request: Request) -> Response:
        looked = self._looked_at(request)
        one = looked.message(message_number(request.query_params))
        sip = one.message.sip
        parts = [asdict(part) for part in parts_of(sip)]
        sdp = [{"line": line, "meaning": meaning} for line, meaning in explained(sdp_of(sip))]
        return JSONResponse({**arrow_object(one), "text": text(sip.raw), "parts": parts, "sdp": sdp})

    def difference(self, request: Request) -> Response:
        looked = self._looked_at(request)
        one, other = (looked.message(message_number(request.query_params, name)) for name in ("n", "m"))
        lines = difference(one.message.sip, other.message.sip)
        return JSONResponse({"lines": [asdict(line) for line in lines]})

    def statistics(self, request: Request) -> Response:
        query, shared = call_query(request.query_params), self._shared
        wanted = wanted_calls(query, shared.aliases, datetime.now(UTC))
        found = shared.source.find(wanted, 0, MOST_IN_FIGURES)
        figures = TrafficFigures()
        figures.finish(found.calls, shared.aliases)
        return JSONResponse(
            {
                "calls": len(found.calls),
                "complete": found.after is None,
                "states": figures.states,
                "failures": figures.failures,
                "failing_peers": figures.failing_peers,
                "retransmissions": figures.retransmissions,
                "setup_delays": figures.delays(),
                "setup_percentiles": {str(one): seconds for one, seconds in figures.percentiles().items()},
            }
        )

    def source(self, request: Request) -> Response:
        source = self._shared.source
        return JSONResponse({"name": printable(source.name), **asdict(source.state())})

    def openapi(self, request: Request) -> Response:
        return JSONResponse(description())

    def news_objects(self, news: FoundNews) -> list[dict[str, Any]]:
        return [call_object(call, self._shared.aliases) for call in news.calls]

    def _looked_at(self, request: Request) -> LookedAt:
        shared = self._shared
        return looked_at(shared.source, ladder_query(request.query_params), shared.aliases, shared.legs)
