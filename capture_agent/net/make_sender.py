"""Makes the sender for a target."""

from __future__ import annotations

import socket
import ssl
from functools import partial

from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.net.connecting import Secure
from capture_agent.net.sender import PacketTally, Sender
from capture_agent.net.tcp_sender import KeepAlive, TcpSender, Terms
from capture_agent.net.udp_sender import UdpSender


def make_sender(target: HepTarget | SipTarget, tally: PacketTally, keep_alive: KeepAlive | None = None) -> Sender:
    """`keep_alive`: the packets that keep an idle connection open. Raises SinkError: a certificate file."""
    name, host, port = str(target), target.host, target.port
    if target.transport == "udp":
        return UdpSender(name, host, port, tally, target.source, answers=isinstance(target, SipTarget))
    window = target.dead_after_seconds if target.duplicates_on_reconnect == "prefer" else 0.0
    terms = Terms(target.source, target.dead_after_seconds, window, keep_alive)
    return TcpSender(name, host, port, tally, tls_of(target), terms)


def tls_of(target: HepTarget | SipTarget) -> Secure | None:
    if target.transport != "tls":
        return None
    from capture_agent.net.tls import server_name, tls_context

    return partial(wrapped, tls_context(target), server_name(target))


def wrapped(context: ssl.SSLContext, name: str, connection: socket.socket) -> socket.socket:
    return context.wrap_socket(connection, server_hostname=name)
