"""Makes the sender for a target."""

from __future__ import annotations

import ssl

from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.net.sender import PacketTally, Sender
from capture_agent.net.sink_errors import SinkError
from capture_agent.net.tcp_sender import TcpSender
from capture_agent.net.udp_sender import UdpSender


def make_sender(target: HepTarget | SipTarget, tally: PacketTally) -> Sender:
    name, host, port = str(target), target.host, target.port
    if target.transport == "udp":
        return UdpSender(name, host, port, tally, target.source)
    tls = tls_context(target) if target.transport == "tls" else None
    return TcpSender(name, host, port, tally, tls, target.source)


def tls_context(target: HepTarget | SipTarget) -> ssl.SSLContext:
    """Certificate and host name are checked unless the target disables that. Raises SinkError: no such file."""
    try:
        context = ssl.create_default_context(cafile=target.tls_ca or None)
    except OSError as error:
        raise SinkError(f"{target}: tls_ca: {target.tls_ca}: not a file of certificates") from error
    if not target.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
