"""The pages: a list of calls, calls as a ladder, messages, differences, figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from capture_agent.page.call_answers import LookedAt, ladder_query, looked_at, message_number
from capture_agent.page.call_query import (
    CallQuery,
    call_query,
    wanted_calls,
    zone_named,
)
from capture_agent.page.call_source import FoundCalls
from capture_agent.page.exports import EXPORTS
from capture_agent.page.page_ladder import body_picture, head_picture
from capture_agent.page.page_rendering import Templates, call_url
from capture_agent.page.page_setting import PageSetting
from capture_agent.page.plots import bars
from capture_agent.sip.session_description import sdp_of
from capture_agent.view.details import difference, parts_of
from capture_agent.view.sdp import explained
from capture_agent.view.time_text import seconds_of_age
from capture_agent.view.traffic_figures import TrafficFigures

MOST_IN_FIGURES = 5000  # calls
MOST_ROWS = 12  # of a table of figures


class WebPages:
    def __init__(self, shared: PageSetting) -> None:
        self._shared = shared
        self._templates = Templates()

    def html(self, name: str, status: int = 200, **values: Any) -> Response:
        source = self._shared.source
        return HTMLResponse(self._templates.html(name, source=source, state=source.state(), **values), status)

    def failed(self, status: int, reason: str) -> Response:
        return self.html("failed.jinja", status, reason=reason, query=CallQuery(), where="")

    def calls(self, request: Request) -> Response:
        """The list; with `part=1` the table alone."""
        now = datetime.now(UTC)
        query = call_query(request.query_params)
        shared = self._shared
        found = shared.source.find(wanted_calls(query, shared.aliases, now), query.after, query.limit, query.order)
        name = "list.jinja" if request.query_params.get("part") else "calls.jinja"
        return self.html(
            name,
            query=query,
            where="calls",
            found=found,
            zone=zone_named(query.zone),
            aliases=shared.aliases,
            fixed=fixed(query, now),
            earliest=earliest(found),
        )

    def call(self, request: Request) -> Response:
        looked = self._looked_at(request)
        return self.html("call.jinja", selected=self._number(request, looked), **self._values(looked))

    def message(self, request: Request) -> Response:
        looked = self._looked_at(request)
        chosen = looked.message(message_number(request.query_params))
        sip = chosen.message.sip
        name = "message.jinja" if request.query_params.get("part") else "message_page.jinja"
        return self.html(
            name,
            one=chosen,
            parts=list(parts_of(sip)),
            sdp=list(explained(sdp_of(sip))),
            **self._values(looked),
        )

    def difference(self, request: Request) -> Response:
        looked = self._looked_at(request)
        one, other = (looked.message(message_number(request.query_params, name)) for name in ("n", "m"))
        name = "difference.jinja" if request.query_params.get("part") else "difference_page.jinja"
        lines = difference(one.message.sip, other.message.sip)
        return self.html(name, one=one, other=other, lines=lines, **self._values(looked))

    def statistics(self, request: Request) -> Response:
        now = datetime.now(UTC)
        query = call_query(request.query_params)
        shared = self._shared
        found = shared.source.find(wanted_calls(query, shared.aliases, now), 0, MOST_IN_FIGURES)
        figures = TrafficFigures()
        figures.finish(found.calls, shared.aliases)
        tables = {
            "Outcomes": (figures.states, "bar-good"),
            "Failures by answer": (figures.failures, "bar-bad"),
            "Failures by peer": (figures.failing_peers, "bar-bad"),
            "Retransmissions by method": (figures.retransmissions, "bar-wait"),
        }
        return self.html(
            "statistics.jinja",
            query=query,
            where="statistics",
            found=found,
            figures=figures,
            zone=zone_named(query.zone),
            tables={name: bars(rows.most_common(MOST_ROWS), style) for name, (rows, style) in tables.items() if rows},
            fixed=fixed(query, now),
            earliest=earliest(found),
        )

    def export(self, request: Request) -> Response:
        looked = self._looked_at(request)
        chosen = request.query_params.get("format", "")
        if chosen not in EXPORTS:
            return self.failed(400, f"format: expected {', '.join(EXPORTS)}")
        made = EXPORTS[chosen]
        content = made.make(looked.ladder, looked.query.mode, looked.query.zone)
        file = f'attachment; filename="call.{made.suffix}"'
        return Response(content, media_type=made.media_type, headers={"Content-Disposition": file})

    def _looked_at(self, request: Request) -> LookedAt:
        shared = self._shared
        return looked_at(shared.source, ladder_query(request.query_params), shared.aliases, shared.legs)

    def _number(self, request: Request, looked: LookedAt) -> int:
        return min(message_number(request.query_params), len(looked.ladder.arrows))

    def _values(self, looked: LookedAt) -> dict[str, Any]:
        asked = looked.query
        options: dict[str, object] = {
            "legs": int(asked.legs),
            "time": asked.mode if asked.mode != "start" else "",
            "zone": asked.zone_name if asked.zone_name != "utc" else "",
        }

        def link(path: str = "/call", **changes: object) -> str:
            return call_url(*asked.call_ids, path=path, **(options | changes))

        return {
            "asked": asked,
            "body": body_picture(looked.ladder, asked.mode, asked.zone, lambda n: link("/message", n=n)),
            "head": head_picture(looked.ladder),
            "link": link,
            "looked": looked,
            "query": CallQuery(zone=asked.zone_name),
            "where": "call",
            "zone": asked.zone,
        }


def fixed(query: CallQuery, now: datetime) -> str:
    """The same list with times that do not move, for a link."""
    since = query.since
    if query.last:
        since = (now - timedelta(seconds=seconds_of_age(query.last))).isoformat("T", "seconds")
    return query.as_url(last="", since=since, until=query.until or now.isoformat("T", "seconds"))


def earliest(found: FoundCalls) -> int:
    return min((call.last_ns for call in found.calls), default=0)
