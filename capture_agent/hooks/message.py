"""A message as hooks see it. Hot: compiled with message.pxd, or plain Python.

It reads from the records when it is asked, so what a hook does not look at costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce
from ipaddress import ip_address

import cython

from capture_agent.config.masks import joined
from capture_agent.hooks.calls import Dialog, Transaction
from capture_agent.hooks.values import (
    Decision,
    HookError,
    SinkNames,
    correlation_id_of,
    event_of,
    mode_of,
    table_of,
    users_of,
)
from capture_agent.records import ALL_SINKS, CapturedMessage, Datagram, Direction, Trace, TracedMessage
from capture_agent.sip.headers import canonical, text, uri_user
from capture_agent.sip.message import SipMessage

# What a trace is written down in, the first that there is.
BELONGS_TO = {"message": (), "transaction": ("transaction",), "dialog": ("dialog", "transaction")}


@cython.final
@cython.no_gc  # nothing in it can refer back
@cython.freelist(8)
@cython.annotation_typing(False)  # what hooks hand over may be of any type: values.py says what is wrong with it
@cython.cclass
class Message:
    """What was seen, what has been decided about it so far, and verbs that decide otherwise.

    Text is str: what is no UTF-8 in it stands there as escapes (`\\xff`). What a message lacks is '' or None.
    A hook may keep a message: it stays readable, and keeps the packets alive that were read together with it.
    Verbs work until the hook returns. What they do counts when it has returned, and not at all if it raises.
    """

    __slots__ = (
        "_bare",
        "_by",
        "_captured",
        "_datagram",
        "_decided",
        "_direction",
        "_dropped",
        "_events",
        "_sinks",
        "_sip",
        "_started",
        "_traced",
    )

    def __init__(
        self,
        captured: CapturedMessage,
        direction: Direction,
        traced: tuple[TracedMessage, ...] = (),
        sinks: SinkNames | None = None,
        by: str = "",
    ) -> None:
        self._captured = captured
        self._sip: SipMessage = captured.sip
        self._datagram: Datagram = captured.datagram
        self._direction = direction
        self._sinks = SinkNames() if sinks is None else sinks
        self._by = by  # the name of the hook that is being called
        self._traced = traced
        self._started: tuple[tuple[str, Trace], ...] = ()  # to write down in the transaction or the dialog
        self._events: tuple[tuple[bytes, bytes], ...] = ()  # hlog: correlation id, text
        self._dropped = False
        self._bare = False  # it gets no correlation id where none was said
        self._decided = False  # too late for verbs

    # What it says

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
        """Of a response: that of its CSeq. So what is said about REGISTER holds for its responses as well."""
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
        """The number in CSeq; None where there is none."""
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
        """All of them in their order: long name in lower case, value in one line."""
        return [(name, text(value)) for name, value in self._sip.headers]

    def header(self, name: str) -> str | None:
        """The first value of a header: its name long or compact, in any case. None: it has none."""
        value = self._sip.header(name)
        return None if value is None else text(value)

    def header_values(self, name: str) -> list[str]:
        """Every line of a header, in their order."""
        wanted = canonical(name)
        return [text(value) for header, value in self._sip.headers if header == wanted]

    # How it travelled

    @property
    def time(self) -> float:
        """When it was captured: seconds since the epoch."""
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
        """Where it was captured; '' where the capture does not say."""
        interface = self._datagram.interface
        return "" if interface is None else interface.name

    @property
    def direction(self) -> Direction:
        """A str, "in" or "out": towards the server that `capture.local` names, or from it."""
        return self._direction

    # What it belongs to

    @property
    def retransmission(self) -> bool:
        return self._captured.retransmission

    @property
    def transaction(self) -> Transaction | None:
        return None if self._captured.transaction is None else Transaction(self._captured.transaction)

    @property
    def dialog(self) -> Dialog | None:
        return None if self._captured.dialog is None else Dialog(self._captured.dialog)

    # What has been decided

    @property
    def traced(self) -> bool:
        """Would it be traced, as things stand now?"""
        return bool(self._traced) and not self._dropped

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """How, by rules and by the verbs so far."""
        return tuple(
            Decision(
                self._sinks.named(traced.sinks),
                traced.trace.users,
                traced.trace.table,
                text(traced.trace.correlation_id),
                traced.trace.rule,
            )
            for traced in (() if self._dropped else self._traced)
        )

    # The verbs

    def drop(self) -> None:
        """This message is not traced, whatever else is said about it. What it belongs to is."""
        self._writable()
        self._dropped = True

    def trace(
        self,
        *sinks: str,
        mode: str = "message",
        users: str | Iterable[str] = (),
        table: str = "",
        correlation_id: str = "",
    ) -> bool:
        """Trace it to these sinks - to the default ones, if none is named - in this way instead of any other.

        Sinks that are not meant get it as before, and what rules hide in it stays hidden. `mode` "transaction" or
        "dialog": everything that belongs to it is traced so from now on. False: it belongs to no dialog, so its
        transaction is, or it belongs to none of either, so it is alone. Raises HookError.
        """
        self._writable()
        wanted = mode_of(mode)
        trace = Trace(
            self._sinks.bits(sinks),
            correlation_id_of(correlation_id),
            users_of(users),
            table_of(table),
            rule=self._by,
            masks=reduce(joined, (traced.trace.masks for traced in self._traced), ()),
        )
        self._traced = laid_over(self._traced, trace, self._captured, self._direction)
        for belongs_to in BELONGS_TO[wanted]:
            if getattr(self._captured, belongs_to) is not None:
                self._started = (*self._started, (belongs_to, trace))
                return belongs_to == wanted
        return wanted == "message"

    def set_users(self, users: str | Iterable[str]) -> None:
        """The traced users of this message, under every trace that it is under. Raises HookError."""
        self._writable()
        self._change(users_of(users), None, None)

    def set_table(self, table: str) -> None:
        """The table that gets it instead of the configured one. Raises HookError."""
        self._writable()
        self._change(None, table_of(table), None)

    def set_correlation_id(self, correlation_id: str) -> None:
        """Sent in HEP3; '' sends none, also where [legs] would find one. Raises HookError."""
        self._writable()
        self._change(None, None, correlation_id_of(correlation_id))
        self._bare = not correlation_id

    def hlog(self, text: str, correlation_id: str | None = None) -> None:
        """A line for the collectors (HEP3, payload type 100), also where the message is dropped.

        Without a correlation id it gets the Call-ID. Raises HookError.
        """
        self._writable()
        identity = (self._sip.call_id or b"") if correlation_id is None else correlation_id_of(correlation_id)
        self._events = (*self._events, (identity, event_of(text)))

    def __repr__(self) -> str:
        what = f"{self.status} " if self.status else ""
        way = f"{self.transport} {self.source}:{self.source_port} > {self.destination}:{self.destination_port}"
        return f"<Message {what}{self.method} {self.call_id!r} {way}>"

    def _writable(self) -> None:
        if self._decided:
            raise HookError("too late: what becomes of this message has been decided")

    def _change(self, users: tuple[str, ...] | None, table: str | None, correlation_id: bytes | None) -> None:
        """The same traces with something else in them. They are shared, so this message gets copies."""
        self._traced = tuple(
            again(traced, traced.trace.changed(correlation_id, users, table), traced.sinks) for traced in self._traced
        )


def laid_over(
    decided: tuple[TracedMessage, ...], trace: Trace, captured: CapturedMessage, direction: Direction
) -> tuple[TracedMessage, ...]:
    """This trace first; the others keep the sinks that it does not name."""
    left = [TracedMessage(captured, direction, trace)]
    for traced in decided:
        sinks = traced.sinks & ~trace.sinks & ALL_SINKS
        if sinks:
            left.append(traced if sinks == traced.sinks else again(traced, traced.trace, sinks))
    return tuple(left)


@lru_cache(maxsize=65536)
def address_text(packed: bytes) -> str:
    return str(ip_address(packed))


def again(traced: TracedMessage, trace: Trace, sinks: int) -> TracedMessage:
    return TracedMessage(traced.message, traced.direction, trace, sinks)
