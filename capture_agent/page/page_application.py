"""Pages, API and events as one application. Everything that asks the source does so in a few threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capture_agent.page.call_answers import NotFound
from capture_agent.page.call_query import WrongQuery, call_query, mark_in, wanted_calls
from capture_agent.page.live_events import EVENTS, LiveEvents
from capture_agent.page.page_rendering import HERE
from capture_agent.page.page_setting import PageSetting
from capture_agent.page.web_api import WebApi
from capture_agent.page.web_pages import WebPages
from capture_agent.sinks.sink import SinkError
from capture_agent.web.access import BASIC, Access
from capture_agent.web.application import Contained

WORKERS = 4  # questions at once
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",  # a page's address has Call-IDs
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class Answering(Protocol):
    """Pages, or the API: who says how a failure looks."""

    def failed(self, status: int, reason: str) -> Response: ...


class Guarded:
    """Adds the headers that forbid a browser everything which the pages do not need."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, with_headers)


class PageServing:
    """One source's pages. `close`: ends its threads."""

    def __init__(self, shared: PageSetting, token: str = "") -> None:
        self._shared = shared
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="page answer")
        self._api = WebApi(shared)
        self._events = LiveEvents(shared.source, self._of)
        pages, api = WebPages(shared), self._api
        routes = [
            self._route("/", pages, pages.calls),
            self._route("/call", pages, pages.call),
            self._route("/message", pages, pages.message),
            self._route("/difference", pages, pages.difference),
            self._route("/statistics", pages, pages.statistics),
            self._route("/export", pages, pages.export),
            self._route("/api/calls", api, api.calls),
            self._route("/api/call", api, api.call),
            self._route("/api/message", api, api.message),
            self._route("/api/difference", api, api.difference),
            self._route("/api/statistics", api, api.statistics),
            self._route("/api/source", api, api.source),
            self._route("/api/openapi.json", api, api.openapi),
            Route("/api/events", self.events),
            Mount("/assets", StaticFiles(directory=HERE / "assets")),
        ]
        self.app: ASGIApp = Contained(Guarded(Access(Starlette(routes=routes), token, BASIC)))

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def events(self, request: Request) -> Response:
        try:
            query = call_query(request.query_params)
            wanted = wanted_calls(query, self._shared.aliases, datetime.now(UTC))
            mark = mark_in(request.headers.get("last-event-id") or request.query_params.get("mark", ""))
        except WrongQuery as error:
            return self._api.failed(400, str(error))
        if request.method == "HEAD":  # of what does not end
            return Response(media_type=EVENTS)
        stream = self._events.open(wanted, mark, self._api.news_objects)
        return stream or self._api.failed(503, "too many streams of events")

    def _route(self, path: str, answering: Answering, handler: Callable[[Request], Response]) -> Route:
        async def answer(request: Request) -> Response:
            response: Response = await self._of(lambda: answered(request, answering, handler))
            return response

        return Route(path, answer)

    def _of(self, work: Callable[[], Any]) -> Awaitable[Any]:
        return asyncio.get_running_loop().run_in_executor(self._workers, work)


def answered(request: Request, answering: Answering, handler: Callable[[Request], Response]) -> Response:
    try:
        return handler(request)
    except WrongQuery as error:
        return answering.failed(400, str(error))
    except NotFound as error:
        return answering.failed(404, str(error))
    except SinkError as error:
        return answering.failed(503, str(error))
