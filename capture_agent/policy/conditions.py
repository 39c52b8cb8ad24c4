"""What a rule can match in a message. Hot: compiled with conditions.pxd, or plain Python.

No condition can take long, whatever a peer sends: Facts bounds the values, `*` never backtracks, and RE2's regular
expressions take linear time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zlib import crc32

import cython

from capture_agent.config.endpoints import LocalAddress
from capture_agent.policy.facts import Facts
from capture_agent.records.datagram import Datagram
from capture_agent.records.origin import Origin

SOURCE_PORT = cython.declare(cython.int, 0)
DESTINATION_PORT = cython.declare(cython.int, 1)
EITHER_PORT = cython.declare(cython.int, 2)
VLAN = cython.declare(cython.int, 3)
NUMBERS = {"source_port": 0, "destination_port": 1, "port": 2, "vlan": 3}

FEW = 8  # exact texts
Parts = tuple[bytes, ...]  # the text between the `*`s


@cython.cclass
class Condition:
    __slots__ = ()

    def holds(self, facts: Facts) -> cython.bint:
        raise NotImplementedError


@cython.cclass
class OneOf(Condition):
    """Matches the transport, or the interface's name."""

    __slots__ = ("_field", "_values")

    def __init__(self, field: str, values: Iterable[str]) -> None:
        self._field = field
        self._values = frozenset(values)

    def holds(self, facts: Facts) -> cython.bint:
        datagram: Datagram = facts.message.datagram
        if self._field == "transport":
            return datagram.transport in self._values
        return datagram.interface is not None and datagram.interface.name in self._values


@cython.cclass
class DirectionIs(Condition):
    __slots__ = ("_direction",)

    def __init__(self, direction: object) -> None:
        self._direction = direction

    def holds(self, facts: Facts) -> cython.bint:
        return facts.direction is self._direction


@cython.cclass
class NumberIn(Condition):
    """Matches if a port or the VLAN is in one of these ranges."""

    __slots__ = ("_ranges", "_which")

    def __init__(self, which: str, ranges: Iterable[tuple[int, int]]) -> None:
        self._which = NUMBERS[which]
        self._ranges = tuple(ranges)

    def holds(self, facts: Facts) -> cython.bint:
        datagram: Datagram = facts.message.datagram
        low: cython.int
        high: cython.int
        one: cython.int
        other: cython.int
        if self._which == VLAN:
            one = other = datagram.vlan
        elif self._which == SOURCE_PORT:
            one = other = datagram.source_port
        elif self._which == DESTINATION_PORT:
            one = other = datagram.destination_port
        else:
            one, other = datagram.source_port, datagram.destination_port
        for low, high in self._ranges:  # noqa: SIM110 - a generator would be an object
            if low <= one <= high or low <= other <= high:
                return True
        return False


@cython.cclass
class CaptureIdIn(Condition):
    """Matches if another agent has sent the message, with a number in one of these ranges."""

    __slots__ = ("_ranges",)

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges = tuple(ranges)

    def holds(self, facts: Facts) -> cython.bint:
        origin: Origin | None = facts.message.origin
        low: cython.longlong
        high: cython.longlong
        number: cython.longlong
        if origin is None or origin.capture_id is None:
            return False
        number = origin.capture_id
        for low, high in self._ranges:  # noqa: SIM110 - a generator would be an object
            if low <= number <= high:
                return True
        return False


@cython.cclass
class AddressIn(Condition):
    """Matches if the source, the destination, or either, is one of these hosts or networks."""

    __slots__ = ("_destination", "_hosts", "_networks", "_source", "_with_ports")

    def __init__(self, source: bool, destination: bool, places: Iterable[LocalAddress]) -> None:
        self._source = source
        self._destination = destination
        places = tuple(places)
        single = [place.network.network_address.packed for place in places if is_host(place) and place.port is None]
        self._hosts = frozenset(single)
        self._with_ports = frozenset(
            (place.network.network_address.packed, place.port) for place in places if place.port is not None
        )
        self._networks = tuple(Network(place) for place in places if not is_host(place))

    def holds(self, facts: Facts) -> cython.bint:
        datagram: Datagram = facts.message.datagram
        at: cython.Py_ssize_t = datagram.address_at
        if self._source and self._has(datagram, at, datagram.source_port):
            return True
        return self._destination and self._has(datagram, at + datagram.address_size, datagram.destination_port)

    def _has(self, datagram: Datagram, at: cython.Py_ssize_t, port: cython.int) -> cython.bint:
        network: Network
        if self._hosts or self._with_ports:
            address = datagram.cut(at, at + datagram.address_size)
            if address in self._hosts or (self._with_ports and (address, port) in self._with_ports):
                return True
        for network in self._networks:  # noqa: SIM110 - a generator would be an object
            if network.has(datagram.data, at, datagram.address_size):
                return True
        return False


@cython.cclass
class AddressLike(Condition):
    """Matches if one of these expressions occurs in the source's address, the destination's, or either."""

    __slots__ = ("_destination", "_regexes", "_source")

    def __init__(self, source: bool, destination: bool, regexes: Iterable[Any]) -> None:
        self._source = source
        self._destination = destination
        self._regexes = tuple(regex.search for regex in regexes)

    def holds(self, facts: Facts) -> cython.bint:
        datagram: Datagram = facts.message.datagram
        if self._source and self._fits(datagram.source_text):
            return True
        return self._destination and self._fits(datagram.destination_text)

    def _fits(self, address: str) -> cython.bint:
        text: bytes = address.encode()
        for search in self._regexes:  # noqa: SIM110 - a generator would be an object
            if search(text) is not None:
                return True
        return False


def is_host(place: LocalAddress) -> bool:
    return place.network.prefixlen == place.network.max_prefixlen


@cython.final
@cython.cclass
class Network:
    """A network's prefix as whole bytes, and the first bits of the next byte."""

    __slots__ = ("_last", "_mask", "_size", "_whole")

    def __init__(self, place: LocalAddress) -> None:
        network = place.network
        packed = network.network_address.packed
        whole, rest = divmod(network.prefixlen, 8)
        self._size = len(packed)
        self._whole = packed[:whole]
        self._mask = 0xFF << (8 - rest) & 0xFF
        self._last = packed[whole]

    def has(self, data: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.bint:
        """Whether the address of this many bytes in data[at:] is in this network."""
        i: cython.Py_ssize_t
        if size != self._size or at < 0 or at + size > len(data):
            return False
        if not cython.compiled:
            return data.startswith(self._whole, at) and data[at + len(self._whole)] & self._mask == self._last
        for i in range(len(self._whole)):
            if data[at + i] != self._whole[i]:
                return False
        return data[at + len(self._whole)] & self._mask == self._last


@cython.cclass
class TextIs(Condition):
    """Matches if a value in the slot equals, or matches, one of these texts.

    Exact texts and those with `*` are compared with the values of `slot`, regular expressions with those of `raw`. The
    two differ if case is ignored: then `slot` has the values in lower case.
    """

    __slots__ = ("_exact", "_globs", "_many", "_raw", "_regexes", "_slot")

    def __init__(
        self, slot: int, raw: int, exact: Iterable[bytes], globs: Iterable[tuple[bytes, ...]], regexes: Iterable[Any]
    ) -> None:
        self._slot = slot
        self._raw = raw
        self._exact = tuple(exact)
        # Comparing with a few texts takes less time than hashing the value.
        self._many = frozenset(exact if len(self._exact) > FEW else ())
        self._globs = tuple(globs)
        self._regexes = tuple(regex.search for regex in regexes)

    def holds(self, facts: Facts) -> cython.bint:
        value: bytes
        parts: tuple[bytes, ...]
        if self._exact or self._globs:
            for value in facts.values(self._slot):
                if self._has(value):
                    return True
                for parts in self._globs:
                    if fits(value, parts):
                        return True
        for search in self._regexes:
            for value in facts.values(self._raw):
                if search(value) is not None:
                    return True
        return False

    def _has(self, value: bytes) -> cython.bint:
        one: bytes
        if self._many:
            return value in self._many
        for one in self._exact:  # noqa: SIM110 - a generator would be an object
            if one == value:
                return True
        return False


def fits(value: bytes, parts: Parts) -> cython.bint:
    """Whether the value contains the parts in order, the first at its start and the last at its end."""
    first: bytes = parts[0]
    last: bytes = parts[len(parts) - 1]
    part: bytes
    at: cython.Py_ssize_t = len(first)
    end: cython.Py_ssize_t = len(value) - len(last)
    i: cython.Py_ssize_t
    if at > end or not value.startswith(first) or not value.endswith(last):
        return False
    for i in range(1, len(parts) - 1):
        part = parts[i]
        at = value.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


@cython.cclass
class Present(Condition):
    """Matches if there is such a header."""

    __slots__ = ("_slot",)

    def __init__(self, slot: int) -> None:
        self._slot = slot

    def holds(self, facts: Facts) -> cython.bint:
        return len(facts.values(self._slot)) > 0


@cython.cclass
class AnyOf(Condition):
    __slots__ = ("_conditions",)

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self._conditions = tuple(conditions)

    def holds(self, facts: Facts) -> cython.bint:
        condition: Condition
        for condition in self._conditions:  # noqa: SIM110 - a generator would be an object
            if condition.holds(facts):
                return True
        return False


@cython.cclass
class Sampled(Condition):
    """Matches a share of the calls: those whose Call-ID has a low number, on every host and after a restart."""

    __slots__ = ("_below",)

    def __init__(self, part: float) -> None:
        self._below = round(part * (1 << 32))

    def holds(self, facts: Facts) -> cython.bint:
        call_id = facts.message.sip.call_id
        return place_of(b"" if call_id is None else call_id) < self._below


def place_of(call_id: bytes) -> cython.ulonglong:
    """A number below 2**32 for a Call-ID. CRC-32 alone is linear, so MurmurHash3's finalizer mixes it."""
    number: cython.ulonglong = crc32(call_id)
    number ^= number >> 16
    number = number * 0x85EBCA6B & 0xFFFFFFFF
    number ^= number >> 13
    number = number * 0xC2B2AE35 & 0xFFFFFFFF
    return number ^ (number >> 16)
