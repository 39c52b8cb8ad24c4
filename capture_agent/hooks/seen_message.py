"""A message as hooks and conditions of rules see it. Hot: compiled with seen_message.pxd, or plain Python.

It reads from the records on request, so values that nobody reads cost nothing.
"""

from __future__ import annotations

import cython

from capture_agent.addresses import address_text
from capture_agent.hooks.dialog_view import Dialog, Transaction
from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.sip.headers import canonical, text, uri_user
from capture_agent.sip.message import SipMessage


@cython.no_gc  # nothing in it can form a cycle
@cython.freelist(8)
@cython.annotation_typing(False)  # user code may pass anything
@cython.cclass
class SeenMessage:
    """A message, its transaction and its dialog.

    Text is str; bytes that are not valid UTF-8 appear as escapes (`\\xff`). A missing value is '' or None.
    A message that you keep stays readable, but keeps in memory the packets that were read together with it.
    """

    __slots__ = ("_captured", "_datagram", "_direction", "_sip")

    def __init__(self, captured: CapturedMessage, direction: Direction) -> None:
        self._captured = captured
        self._sip: SipMessage = captured.sip
        self._datagram: Datagram = captured.datagram
        self._direction = direction

    # Content

    @property
    def raw(self) -> bytes:
        """The exact bytes of the message."""
        return self._sip.raw

    @property
    def body(self) -> bytes:
        return self._sip.body

    @property
    def is_request(self) -> bool:
        return self._sip.is_request

    @property
    def method(self) -> str:
        """In a response, the method of its CSeq: REGISTER also matches responses to REGISTER."""
        return text(self._sip.method if self._sip.is_request else self._sip.cseq_method)

    @property
    def uri(self) -> str:
        """The Request-URI; '' in a response."""
        return text(self._sip.uri)

    @property
    def status(self) -> int:
        """0 in a request."""
        return self._sip.status

    @property
    def reason(self) -> str:
        """The reason phrase of a response; '' in a request."""
        return "" if self._sip.is_request else text(self._sip.start_line).partition(" ")[2].partition(" ")[2]

    @property
    def call_id(self) -> str:
        return text(self._sip.call_id)

    @property
    def cseq(self) -> int | None:
        """The number in CSeq; None if there is none."""
        return None if self._sip.cseq < 0 else self._sip.cseq

    @property
    def from_tag(self) -> str:
        return text(self._sip.from_tag)

    @property
    def to_tag(self) -> str:
        return text(self._sip.to_tag)

    @property
    def from_user(self) -> str:
        """The user part of the URI in From."""
        return uri_user(self._sip.from_value)

    @property
    def to_user(self) -> str:
        """The user part of the URI in To."""
        return uri_user(self._sip.to_value)

    @property
    def uri_user(self) -> str:
        """The user part of the Request-URI."""
        return uri_user(self._sip.uri)

    @property
    def headers(self) -> list[tuple[str, str]]:
        """All headers in order: long name in lower case, value unfolded."""
        return [(name, text(value)) for name, value in self._sip.headers]

    def header(self, name: str) -> str | None:
        """The first value of a header, by its long or compact name, in any case. None if the message has none."""
        value = self._sip.header(name)
        return None if value is None else text(value)

    def header_values(self, name: str) -> list[str]:
        """Every line of a header, in order."""
        wanted = canonical(name)
        return [text(value) for header, value in self._sip.headers if header == wanted]

    # Transport

    @property
    def time(self) -> float:
        """Capture time: seconds since the epoch."""
        return self._datagram.time_ns / 1e9

    @property
    def time_ns(self) -> int:
        return self._datagram.time_ns

    @property
    def source(self) -> str:
        """The address, as text, without brackets."""
        return address_text(self._datagram.source)

    @property
    def source_port(self) -> int:
        return self._datagram.source_port

    @property
    def destination(self) -> str:
        return address_text(self._datagram.destination)

    @property
    def destination_port(self) -> int:
        return self._datagram.destination_port

    @property
    def transport(self) -> str:
        """udp, tcp, tls, sctp, ws or wss."""
        return self._datagram.transport

    @property
    def vlan(self) -> int | None:
        return None if self._datagram.vlan < 0 else self._datagram.vlan

    @property
    def interface(self) -> str:
        """Where it was captured; '' if the capture does not say."""
        interface = self._datagram.interface
        return "" if interface is None else interface.name

    @property
    def direction(self) -> Direction:
        """The text "in" or "out": towards the server that `capture.local` names, or from it."""
        return self._direction

    # Transaction and dialog

    @property
    def retransmission(self) -> bool:
        return self._captured.retransmission

    @property
    def transaction(self) -> Transaction | None:
        return None if self._captured.transaction is None else Transaction(self._captured.transaction)

    @property
    def dialog(self) -> Dialog | None:
        return None if self._captured.dialog is None else Dialog(self._captured.dialog)

    def __repr__(self) -> str:
        what = f"{self.status} " if self.status else ""
        way = f"{self.transport} {self.source}:{self.source_port} > {self.destination}:{self.destination_port}"
        return f"<Message {what}{self.method} {self.call_id!r} {way}>"
