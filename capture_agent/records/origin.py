"""What another agent says about a message that it has sent us. Hot: compiled with origin.pxd, or plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cython

if TYPE_CHECKING:
    from capture_agent.records.captured import Direction


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class Origin:
    """The agent that sent us a message, as it says itself; None or empty: nothing.

    direction       as seen by that agent
    correlation_id  HEP3 chunk 0x0011
    node            HEP3 chunk 0x0013, the agent's name
    capture_id      HEP3 chunk 0x000c, the agent's number
    chunks          whole HEP3 chunks without a meaning here: HEP sinks pass them on unchanged

    Raises ValueError for a capture id that does not fit its chunk.
    """

    __slots__ = ("capture_id", "chunks", "correlation_id", "direction", "node")

    def __init__(
        self,
        direction: Direction | None = None,
        correlation_id: bytes = b"",
        node: bytes = b"",
        capture_id: int | None = None,
        chunks: bytes = b"",
    ) -> None:
        if capture_id is not None and not 0 <= capture_id <= 0xFFFFFFFF:
            raise ValueError(f"capture id {capture_id}, expected 0 to 4294967295")
        self.direction = direction
        self.correlation_id = correlation_id
        self.node = node
        self.capture_id = capture_id
        self.chunks = chunks

    def _parts(self) -> tuple[object, ...]:
        return self.direction, self.correlation_id, self.node, self.capture_id, self.chunks

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def __repr__(self) -> str:
        return f"Origin{self._parts()!r}"


@cython.final
@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(1024)
@cython.cclass
class Envelope:
    """What carried a datagram that came as HEP: `kind` is HEP3 chunk 0x000b; `seen_ns`, when the packet came here."""

    __slots__ = ("kind", "origin", "seen_ns")

    def __init__(self, kind: int, seen_ns: int, origin: Origin) -> None:
        self.kind = kind
        self.seen_ns = seen_ns
        self.origin = origin


# Creating records here, next to their free lists, costs a third of what it costs elsewhere.


def envelope(
    kind: cython.int,
    seen_ns: cython.longlong,
    capture_id: object,
    node: bytes,
    correlation_id: bytes,
    chunks: bytes,
) -> Envelope:
    """With an origin of its own, whose numbers fit."""
    origin: Origin = Origin.__new__(Origin)
    one: Envelope = Envelope.__new__(Envelope)
    origin.direction = None
    origin.correlation_id = correlation_id
    origin.node = node
    origin.capture_id = capture_id  # type: ignore[assignment]
    origin.chunks = chunks
    one.kind = kind
    one.seen_ns = seen_ns
    one.origin = origin
    return one
