"""Programs that send HEP: what they say of each message arrives."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from free_ports import free_port
from hep_programs import kamailio_module, running
from installed_programs import program

from capture_agent.config.sections import ListenSection
from capture_agent.config.uris import parse_listen
from capture_agent.intake.unwrapping import Unwrapping
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.sources.capture_file import CaptureFile
from capture_agent.sources.hep_listener import open_hep_listener
from capture_agent.sources.sip_listener import Listener

PATIENCE = 20.0
SIP = (
    b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=f\r\n"
    b"To: <sip:c@d>\r\nCall-ID: senders\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
KAMAILIO = """
children=1
log_stderror=yes
listen=udp:127.0.0.1:{port}
loadmodule "siptrace.so"
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", {version})
modparam("siptrace", "hep_capture_id", 3001)
modparam("siptrace", "duplicate_uri", "sip:127.0.0.1:{collector}")
request_route {{ sip_trace(); drop; }}
"""
CAPTURES = Path(__file__).resolve().parents[2] / "pcaps"
SNGREP_ID = 2002 << 16  # it puts 16 bits into the four bytes of the chunk


def said(message: CapturedMessage) -> tuple[object, ...]:
    """What HEP carries of a message; its time is in microseconds."""
    one = message.datagram
    return (
        one.source,
        one.source_port,
        one.destination,
        one.destination_port,
        one.time_ns // 1000,
        one.protocol,
        message.raw,
    )


def captured(path: Path) -> list[CapturedMessage]:
    pipeline = Pipeline()
    with CaptureFile(path) as capture:
        return [message for frames in capture.batches() for message in pipeline.messages(frames)]


@contextmanager
def listening() -> Iterator[Listener]:
    with closing(open_hep_listener(ListenSection(parse_listen(f"hep:127.0.0.1:{free_port()}")))) as source:
        yield source


def read(source: Listener, count: int) -> list[CapturedMessage]:
    pipeline, found = Pipeline(unwrapping=Unwrapping()), list[CapturedMessage]()
    give_up = time.monotonic() + PATIENCE
    for frames in source.batches():
        found += pipeline.messages(frames)
        if len(found) >= count or time.monotonic() > give_up:
            break
    return found


@pytest.mark.parametrize("name", ["call.pcap", "call-vlan.pcap"])
def test_sngrep(name: str) -> None:
    wanted = captured(CAPTURES / name)
    assert wanted
    with listening() as source:
        command = [
            program("sngrep", "sngrep"),
            "-N",
            "-q",
            "-I",
            str(CAPTURES / name),
            "-H",
            f"udp:127.0.0.1:{source.port}",
        ]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True)
        found = read(source, len(wanted))
    assert list(map(said, found)) == list(map(said, wanted))
    assert {one.origin.capture_id for one in found if one.origin is not None} == {SNGREP_ID}


@pytest.mark.parametrize(("version", "capture_id"), [(1, None), (2, 3001), (3, 3001)])
def test_kamailio(version: int, capture_id: int | None, tmp_path: Path) -> None:
    path, port, config = program("kamailio", "kamailio"), free_port(), tmp_path / "kamailio.cfg"
    kamailio_module("siptrace", "kamailio")
    before = time.time_ns()
    with listening() as source, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        config.write_text(KAMAILIO.format(port=port, version=version, collector=source.port))
        arguments = ["-DD", "-E", "-f", str(config), "-Y", str(tmp_path), "-P", str(tmp_path / "pid")]
        with running(path, *arguments, folder=tmp_path, port=port) as receiver:
            receiver.wait_until_bound()
            peer.bind(("127.0.0.1", 0))
            peer.sendto(SIP, ("127.0.0.1", port))
            [found] = read(source, 1)
        own = int(peer.getsockname()[1])
    assert (found.raw, found.datagram.protocol, found.datagram.time_ns >= before // 10**9 * 10**9) == (SIP, 17, True)
    loopback = bytes([127, 0, 0, 1])
    assert (found.datagram.source, found.datagram.source_port) == (loopback, own)
    assert (found.datagram.destination, found.datagram.destination_port) == (loopback, port)
    assert found.origin is not None
    assert found.origin.capture_id == capture_id
