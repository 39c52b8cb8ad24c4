"""Tries HEP collectors, SIP servers and other sinks: name, connection, certificate, and a HEP test message.

Nothing is sent to a SIP server: how it would handle a message is unknown.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from errno import ECONNREFUSED
from typing import Any, TypeVar

from capture_agent.config import HepTarget, SipTarget
from capture_agent.config.endpoints import split_source
from capture_agent.doctor import advice
from capture_agent.doctor.finding import Finding, Status, broken, ok, warning
from capture_agent.doctor.own_certificate import own_certificate
from capture_agent.events import log_event
from capture_agent.net.connecting import Lookup, candidates, first_connected
from capture_agent.net.sink_errors import SinkError, reason
from capture_agent.net.tls import TlsFileError, server_name, tls_context
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sink import Sink

STEP_SECONDS = 5.0
OBJECTION = 0.3  # seconds that a server has to object to our certificate
REFUSAL = 0.1  # seconds that a collector's host has to answer that the port is closed
SOON = 14 * 86_400  # seconds before the end of a certificate, or a tenth of its life if that is less
CORRELATION_ID = "capture-agent-doctor"
SHOWN = 3  # addresses

AnyTarget = TypeVar("AnyTarget", HepTarget, SipTarget)


def try_collector(target: HepTarget, test_message: bool) -> Iterator[Finding]:
    target = beside_an_agent(target)
    for finding in steps(target):
        yield finding
        if finding.status is Status.BROKEN:
            return
    if test_message:
        yield send_test_message(target)
    elif target.transport == "udp":
        yield ok("not sent: without it nobody can say whether a UDP port is open", check="test message")


def try_server(target: SipTarget) -> Iterator[Finding]:
    yield from steps(beside_an_agent(target))
    if target.transport == "udp":
        yield ok("UDP: whether a server listens there cannot be known without sending it SIP", check="connection")


def try_any(make: Callable[[], Sink], to_do: str = "") -> Iterator[Finding]:
    """Opens a sink as the agent does, and closes it. `to_do`: if that fails; by default it depends on the error."""
    sink: Sink | None = None
    try:
        with closing(make()) as sink:
            sink.open()
    except SinkError as error:
        yield broken(said(error, sink), to_do or advice.for_error(error), check="connection")
    else:
        yield ok("opened", check="connection")


def said(error: SinkError, sink: Sink | None) -> str:
    """Without the sink's name, with which its errors begin: a finding has a name beside its text."""
    return str(error) if sink is None else str(error).removeprefix(f"{sink.name}: ")


def beside_an_agent(target: AnyTarget) -> AnyTarget:
    """From any port: the configured one belongs to the running agent."""
    return replace(target, source=split_source(target.source)[0]) if target.source else target


def steps(target: HepTarget | SipTarget) -> Iterator[Finding]:
    if target.transport == "tls" and target.tls_cert:
        yield of_our_certificate(target)
    kind = socket.SOCK_DGRAM if target.transport == "udp" else socket.SOCK_STREAM
    lookup = Lookup(target.host, target.port, kind)
    try:
        found = lookup.answer(STEP_SECONDS)
    except OSError as error:
        yield broken(reason(error), advice.LOOKUP, check="lookup")
        return
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    if lookup.by_name:
        yield ok(f"{target.host} is {', '.join(addresses[:SHOWN])}", check="lookup")
    try:
        places = candidates(target.host, found, target.source)
        connection = first_connected(places, target.source, time.monotonic() + STEP_SECONDS)
    except OSError as error:
        yield broken(reason(error), advice.for_error(error), check="connection")
        return
    with closing(connection):
        if target.transport == "udp":
            return
        yield ok(f"connected to {connection.getpeername()[0]}", check="connection")
        if target.transport == "tls":
            yield of_certificate(target, connection)


def of_certificate(target: HepTarget | SipTarget, connection: socket.socket) -> Finding:
    try:
        connection.settimeout(STEP_SECONDS)
        with tls_context(target).wrap_socket(connection, server_hostname=server_name(target)) as secured:
            version, certificate = secured.version(), secured.getpeercert()
            wait_for_objection(secured)
    except OSError as error:
        return broken(reason(error), advice.for_error(error), check="tls")
    except TlsFileError as error:
        return broken(str(error), f"set {error.option} to {error.expected}", check="tls")
    if not target.tls_verify:
        return warning(f"{version}, but its certificate is not checked", "remove tls_verify = false", check="tls")
    return of_dates(certificate or {}, f"{version}, its certificate", time.time())


def wait_for_objection(secured: ssl.SSLSocket) -> None:
    """With TLS 1.3 a server says after the handshake that it does not accept our certificate. Raises OSError."""
    secured.settimeout(OBJECTION)
    with suppress(TimeoutError):
        secured.recv(1)


def of_our_certificate(target: HepTarget | SipTarget) -> Finding:
    try:
        tls_context(target)
    except TlsFileError as error:
        return broken(str(error), f"set {error.option} to {error.expected}", check="tls")
    return of_own_dates(target.tls_cert, target.tls_key)


def of_own_dates(cert: str, key: str, serves: bool = False) -> Finding:
    """Of a certificate of ours that can be used; `serves`: at a listener."""
    try:
        certificate = own_certificate(cert, key or cert, serves)
    except ssl.SSLCertVerificationError as error:
        return broken(f"{cert}: {error.verify_message}", "renew our certificate", check="tls")
    return of_dates(certificate, "our certificate", time.time())


def of_dates(certificate: dict[str, Any], what: str, now: float) -> Finding:
    """Of one that has been accepted, so it is valid now. `what`: how it is called."""
    begin, end = (ssl.cert_time_to_seconds(str(certificate[name])) for name in ("notBefore", "notAfter"))
    until = f"{datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M} UTC"
    if end - now < min(SOON, (end - begin) / 10):
        return warning(f"{what} is valid until {until} only", "renew it", check="tls")
    return ok(f"{what} is valid until {until}", check="tls")


def send_test_message(target: HepTarget) -> Finding:
    """A line for the collector's log (HEP3, type 100), which is not a call and says so."""
    here = socket.gethostname()
    text = f"test message of capture-agent doctor on {here}: not a call, nothing is wrong"
    event = log_event(text.encode(errors="replace"), time.time_ns(), CORRELATION_ID.encode())
    sink = HepSink(target)
    try:
        sink.send([event])
        if target.transport == "udp":
            time.sleep(REFUSAL)
        sink.flush()
    except SinkError as error:
        return broken(said(error, sink), advice.for_error(error), check="test message")
    finally:
        sink.close()
    if sink.lost:
        refused = ConnectionRefusedError(ECONNREFUSED, "")
        return broken("connection refused", advice.for_error(refused), check="test message")
    certain = "cannot be known over UDP" if target.transport == "udp" else "was acknowledged"
    to_do = f"Homer shows it as LOG (type 100) with the correlation id {CORRELATION_ID}"
    return ok(f"sent; its arrival {certain}", to_do=to_do, check="test message")
