"""What a layer of a connection is asked. Hot: compiled with layer.pxd, or plain Python.

`Reassembly` gives the lowest layer the bytes of one direction. Layers are put together in layers.py.
"""

from __future__ import annotations

import cython

from capture_agent.records.datagram import Datagram
from capture_agent.streams.outlet import Emitter


@cython.cclass
class Layer:
    """Takes the bytes of one direction, in order. This one reads nothing: whatever it gets is foreign.

    While a layer is called, `outlet.carrier` is the segment that completed what it gets: its time, ports, frame.
    """

    __slots__ = ("emitter", "outlet")

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.outlet = emitter.outlet

    def deliver(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """The next bytes: data[start:end], in the carrier's buffer or in one that begins with the addresses."""
        self.outlet.counts.not_sip_bytes += end - start
        return True

    def lose(self, size: cython.Py_ssize_t, cut: cython.bint) -> cython.bint:
        """The next `size` bytes were not captured: they are in a gap, or the snap length cut them off."""
        return True

    def finish(self) -> cython.bint:
        """The stream has ended, or is given up. There may be no carrier: it is too late to emit anything."""
        return True

    def buffered(self) -> int:
        """Bytes that are kept. Only a layer that keeps some is asked for what it has learned."""
        return 0

    def is_foreign(self) -> cython.bint:
        """Whether nothing that came last was of use: its segments count as not SIP."""
        return True

    def needs_order(self) -> cython.bint:
        """Whether bytes after a gap should wait for those before them."""
        return False

    def is_seeking(self) -> cython.bint:
        """Whether a message that comes out later may have begun in the bytes that were passed by, or before them."""
        return False

    def passed(self) -> int:
        """How many bytes were passed by, in all, while it was seeking."""
        return 0

    def learned(self) -> object:
        """What the other direction must know, once; or None."""
        return None

    def learn(self, news: object) -> cython.bint:
        """What a layer of the other direction has learned."""
        return True


@cython.cclass
class Between(Layer):
    """A layer that makes other bytes of what it gets, for the next layer. This one changes nothing.

    A layer of this kind overrides `deliver`, and calls `hand_on`. One that keeps bytes adds them to `buffered`; one
    that must not miss any overrides `lose`.
    """

    __slots__ = ("upper",)

    def __init__(self, emitter: Emitter, upper: Layer) -> None:
        Layer.__init__(self, emitter)
        self.upper = upper

    def hand_on(self, payload: bytes, transport: str | None = None) -> cython.bint:
        """These bytes to the next layer. Their carrier has them in its own buffer, and this transport if given."""
        carrier: Datagram | None = self.outlet.carrier
        assert carrier is not None
        data: bytes = self.emitter.addresses + payload
        own: Datagram = carrier.carrying(data, len(self.emitter.addresses), len(data))
        if transport is not None:
            own.transport = transport
        self.outlet.carrier = own
        self.upper.deliver(data, own.start, own.end)
        self.outlet.carrier = carrier
        return True

    def deliver(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        return self.upper.deliver(data, start, end)

    def lose(self, size: cython.Py_ssize_t, cut: cython.bint) -> cython.bint:
        return self.upper.lose(size, cut)

    def finish(self) -> cython.bint:
        return self.upper.finish()

    def buffered(self) -> int:
        return self.upper.buffered()

    def is_foreign(self) -> cython.bint:
        return self.upper.is_foreign()

    def needs_order(self) -> cython.bint:
        return self.upper.needs_order()

    def learned(self) -> object:
        return self.upper.learned()

    def learn(self, news: object) -> cython.bint:
        return self.upper.learn(news)
