"""What the HTTP door answers: GET /metrics, /health, /ready and /api/stats, and POST /rpc."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from capture_agent.control.commands import SPOKEN, Controlled, methods_of
from capture_agent.control.jsonrpc import answer
from capture_agent.metrics.agent_stats import agent_health, agent_stats
from capture_agent.web.access import LONGEST_BODY, Access

WORKERS = 2  # requests that are answered at once: the others wait, and capture does not
QUIET = 60.0  # seconds between two lines in the log

_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Answers:
    """The answers of one agent. What they need is read in threads: it may have to wait for a batch to end."""

    def __init__(self, agent: Controlled, messages: bool = False) -> None:
        """`messages`: may clients ask for what is traced?"""
        self._agent = agent
        agent.exposition.load()
        self._methods = methods_of(agent, frozenset() if messages else SPOKEN)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="http answer")

    def close(self) -> None:
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _of(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work)

    async def metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        body, kind = await self._of(lambda: self._agent.exposition.text(accept))
        return Response(body, headers={"Content-Type": kind})

    async def health(self, request: Request) -> Response:
        sinks, reasons = await self._of(self._agent.health)
        return JSONResponse(agent_health(sinks, reasons), 503 if reasons else 200)

    async def ready(self, request: Request) -> Response:
        ready = self._agent.ready
        return JSONResponse({"status": "ready" if ready else "not ready"}, 200 if ready else 503)

    async def stats(self, request: Request) -> Response:
        return JSONResponse(agent_stats(await self._of(self._agent.figures)))

    async def rpc(self, request: Request) -> Response:
        # A page of another site cannot send this type without asking first, and nobody answers that question.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return PlainTextResponse("expected Content-Type: application/json\n", 415)
        document = bytearray()
        async for piece in request.stream():
            document += piece
            if len(document) > LONGEST_BODY:
                return PlainTextResponse(f"more than {LONGEST_BODY} bytes\n", 413)
        text = await self._of(lambda: answer(bytes(document), self._methods))
        return Response(text, 200 if text else 204, media_type="application/json")


class Contained:
    """Around the application: a bug in an answer is a line in the log, and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._said_at = -QUIET

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except ClientDisconnect:  # within its body: nobody waits for an answer
            pass
        except Exception as error:
            if time.monotonic() - self._said_at >= QUIET:
                self._said_at = time.monotonic()
                _log.error("http: internal error: %s", type(error).__name__)


def application(answers: Answers, token: str) -> ASGIApp:
    """`token`: empty: everybody may ask."""
    routes = [
        Route("/metrics", answers.metrics),
        Route("/health", answers.health),
        Route("/ready", answers.ready),
        Route("/api/stats", answers.stats),
        Route("/rpc", answers.rpc, methods=["POST"]),
    ]
    return Contained(Access(Starlette(routes=routes), token))
