"""The layers of one direction of a connection, put together."""

from __future__ import annotations

from collections.abc import Callable

from capture_agent.streams.content import Content
from capture_agent.streams.layer import Layer
from capture_agent.streams.outlet import Emitter

MakeLayers = Callable[[Emitter, bool], Layer]


def layers_of(emitter: Emitter, joined: bool) -> Layer:
    """The lowest one, which has the others. `joined`: the start of the stream was not captured."""
    return Content(emitter, joined)
