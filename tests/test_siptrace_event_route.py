"""event_route[siptrace:msg] as a hook: the variables of the real module's route, and the messages after its drops.

The cases are recordings of the real module, replayed as in test_siptrace_vectors.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from test_siptrace_vectors import Settings, compare, emitted_by_the_module, emitted_by_us

from capture_agent.app.extensions import Extensions, NamedHook
from capture_agent.config import Config
from capture_agent.hooks import Message
from capture_agent.packet.decoder import PacketDecoder
from capture_agent.sources.capture_file import CaptureFile

METHODS = {b"INVITE", b"ACK", b"BYE", b"OPTIONS"}
LOGGED = re.compile(r"siptrace EVRT (m=.*)")


def extensions(function: Callable[[Message], None]) -> Extensions:
    return Extensions(hooks=(NamedHook("event_route", function),))


def drop_keepalives(message: Message) -> None:
    """`if (is_method("OPTIONS|REGISTER")) drop();` - a reply's method is its CSeq's."""
    if message.method in ("OPTIONS", "REGISTER"):
        message.drop()


def drop_outgoing(message: Message) -> None:
    """`if ($siptrace(direction)=="out") drop();`"""
    if message.direction == "out":
        message.drop()


@pytest.mark.parametrize(
    ("case", "function"),
    [("5.6.3/17-mode1-evrt-drop", drop_keepalives), ("head/97-evrt-hep-db-drop", drop_outgoing)],
)
def test_what_is_dropped(shared: Path, tmp_path: Path, case: str, function: Callable[[Message], None]) -> None:
    """The same HEP packets, duplicates and rows, byte for byte."""
    compare(shared / "siptrace" / "vectors" / case, tmp_path, extensions(function))


class WithHeaders(Settings):
    """xheaders_write=1."""

    def config(self, hep_port: int, sip_port: int, database: Path) -> Config:
        found = super().config(hep_port, sip_port, database)
        return replace(found, sip=tuple(replace(target, x_headers=True) for target in found.sip))


X_HEADERS = re.compile(rb"X-Siptrace-Time: (\d+ \d+)\r\nX-Siptrace-Method: (\w*)\r\n")


def without_time_and_method(packets: Counter[bytes]) -> tuple[Counter[bytes], set[tuple[bytes, bytes]]]:
    """The packets without the values of these two headers, and the values."""
    stood = {match.groups() for packet in packets for match in X_HEADERS.finditer(packet)}
    return Counter(X_HEADERS.sub(b"", packet) for packet in packets.elements()), stood


def test_x_headers_with_a_route(shared: Path, tmp_path: Path) -> None:
    """With a route, trace_mode=4 writes them with the time 0 0 and no method. Ours are always correct."""
    case = shared / "siptrace" / "vectors" / "5.6.3" / "14-mode4-dup-xhw-evrt"
    settings = WithHeaders.read(case / "kamailio.cfg")
    module, zeros = without_time_and_method(emitted_by_the_module(case, settings).packets)
    ours, true = without_time_and_method(
        emitted_by_us(case, settings, tmp_path, extensions(lambda message: None)).packets
    )
    assert module.total() > 20
    assert module == ours
    assert zeros == {(b"0 0", b"")}
    assert {method for _, method in true} == METHODS
    with CaptureFile(case / "wire.pcap") as file:
        times = {
            (b"%d %d" % divmod(t.time_ns // 1000, 10**6)) for fs in file.batches() for t in PacketDecoder().decode(fs)
        }
    assert {time for time, _ in true} <= times


def test_the_variables_of_the_route(shared: Path, tmp_path: Path) -> None:
    """$rm, $cs and the $siptrace(...) variables, as the module's own route has logged them."""
    case = shared / "siptrace" / "vectors" / "5.6.3" / "17-mode1-evrt-drop"
    told: list[str] = []

    def log(message: Message) -> None:
        source = f"{message.transport}:{message.source}:{message.source_port}"
        destination = f"{message.transport}:{message.destination}:{message.destination_port}"
        told.append(
            f"m={message.method} cs={message.cseq} src={source} dst={destination} sh={message.source}"
            f" shi={message.source} sp={message.source_port} spr={message.transport}"
        )
        drop_keepalives(message)

    compare(case, tmp_path, extensions(log))
    by_the_module = Counter(LOGGED.findall((case / "kamailio.log").read_text()))
    assert Counter(told) == by_the_module
