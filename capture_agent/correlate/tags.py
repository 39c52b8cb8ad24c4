"""The tags of a message, as offsets in its buffer. Hot: compiled with tags.pxd, or plain Python."""

from __future__ import annotations

import cython

from capture_agent.correlate import timers as limits
from capture_agent.correlate.marks import cut, tag_key
from capture_agent.sip.message import SipMessage
from capture_agent.sip.parameters import tag_at, value_end

MOST_OF_TAG = cython.declare(cython.int, limits.MOST_OF_TAG)


@cython.final
@cython.cclass
class Tags:
    """The tags of the current message, as numbers; 0 for a missing one."""

    __slots__ = ("_data", "_from_at", "_from_end", "_to_at", "_to_end", "in_from", "in_to")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> cython.bint:
        """Release the buffer."""
        self._data = b""
        self._from_at = self._from_end = self._to_at = self._to_end = 0
        self.in_from = self.in_to = 0
        return True

    def read(self, sip: SipMessage) -> cython.bint:
        data: bytes = sip.data
        at: cython.Py_ssize_t = tag_at(data, sip.from_start, sip.from_end)
        self._data = data
        self._from_at = self._from_end = self._to_at = self._to_end = 0
        if at >= 0:
            self._from_at = at
            self._from_end = min(value_end(data, at, sip.from_end), at + MOST_OF_TAG)
        at = tag_at(data, sip.to_start, sip.to_end)
        if at >= 0:
            self._to_at = at
            self._to_end = min(value_end(data, at, sip.to_end), at + MOST_OF_TAG)
        self.in_from = tag_key(data, self._from_at, self._from_end)
        self.in_to = tag_key(data, self._to_at, self._to_end)
        return True

    def text_in_from(self) -> bytes:
        return cut(self._data, self._from_at, self._from_end)

    def text_in_to(self) -> bytes:
        return cut(self._data, self._to_at, self._to_end)
