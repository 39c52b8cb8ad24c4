"""Every traced message once more, byte for byte, to another SIP server (siptrace's duplicate_uri)."""

from __future__ import annotations

from itertools import accumulate

from capture_agent.config.targets import SipTarget
from capture_agent.records import TracedMessage
from capture_agent.sinks.packets import Packed, PacketSink, Sender, Tally
from capture_agent.sinks.tcp import TcpSender
from capture_agent.sinks.udp import UdpSender

AT_ONCE = 256  # messages in one buffer


class SipDuplicateSink(PacketSink):
    """One datagram per message, or one after the other on a connection.

    rejected   oversize: longer than a datagram can be; it is never cut
    lost       refused: the server's host said that nobody listens there
    """

    def __init__(self, target: SipTarget) -> None:
        tally = Tally()
        name, host, port = str(target), target.host, target.port
        kind = UdpSender if target.transport == "udp" else TcpSender
        sender: Sender = kind(name, host, port, tally)
        super().__init__(name, pack, sender, tally)


def pack(batch: list[TracedMessage], first: int) -> Packed:
    messages = [traced.message.sip.raw for traced in batch[first : first + AT_ONCE]]
    return Packed(b"".join(messages), list(accumulate(map(len, messages))), first + len(messages))
