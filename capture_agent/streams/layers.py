"""The layers of one direction of a connection, put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from capture_agent.books import Ledger
from capture_agent.streams.content import Content
from capture_agent.streams.hep_framing import HepFraming
from capture_agent.streams.layer import Layer
from capture_agent.streams.outlet import Emitter

MakeLayers = Callable[[Emitter, bool], Layer]
PutBelow = Callable[[Emitter, Layer], Layer]  # a new layer, which hands on to this one


class Attendant(Protocol):
    """Looks after layers that wait for something else than packets, such as keys."""

    room: int  # bytes that its layers may take, in addition to those of all streams

    def look_after(self, now_ns: int) -> None:
        """After each batch, with the time of its packets: what waited may come out now."""

    def close(self) -> None:
        """The capture has ended."""

    def ledgers(self) -> Iterable[Ledger]: ...


def layers_of(emitter: Emitter, joined: bool) -> Layer:
    """The lowest one, which has the others. `joined`: the start of the stream was not captured."""
    return Content(emitter, joined)


def with_below(upper: MakeLayers, put_below: PutBelow) -> MakeLayers:
    """These layers, with one more as the lowest."""

    def make(emitter: Emitter, joined: bool) -> Layer:
        return put_below(emitter, upper(emitter, joined))

    return make


# Where connections may carry HEP instead of SIP.
layers_with_hep = with_below(layers_of, HepFraming)
