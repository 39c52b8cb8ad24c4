"""A capture of a call with RTCP through the whole program, and the figures as tshark reads them."""

from __future__ import annotations

import json
import struct
import subprocess
from itertools import count
from pathlib import Path
from shutil import which

import pytest
from cli_samples import capture_agent
from media_samples import BYE, RR, SDES, SIP_A, SIP_B, SR, XR, A, B, bye, invite, packet, sdp
from sink_samples import UdpReceiver

from hep import decode

pytestmark = pytest.mark.once

PORTS = (B[1] + 1, A[1] + 1)
SENT = [
    packet(SIP_A, SIP_B, invite(sdp(*A))),
    packet((B[0], PORTS[0]), (A[0], PORTS[1]), SR + SDES + XR),
    packet((A[0], PORTS[1]), (B[0], PORTS[0]), RR + BYE),
    packet(SIP_A, SIP_B, bye()),
]
# tshark's field: where it is in the JSON.
FIELDS = {
    "rtcp.timestamp.ntp.msw": ("sender_information", "ntp_timestamp_sec"),
    "rtcp.timestamp.ntp.lsw": ("sender_information", "ntp_timestamp_usec"),
    "rtcp.timestamp.rtp": ("sender_information", "rtp_timestamp"),
    "rtcp.sender.packetcount": ("sender_information", "packets"),
    "rtcp.sender.octetcount": ("sender_information", "octets"),
    "rtcp.ssrc.cum_nr": ("report_blocks", "packets_lost"),
    "rtcp.ssrc.ext_high": ("report_blocks", "highest_seq_no"),
    "rtcp.ssrc.jitter": ("report_blocks", "ia_jitter"),
    "rtcp.ssrc.lsr": ("report_blocks", "lsr"),
    "rtcp.ssrc.dlsr": ("report_blocks", "dlsr"),
    "rtcp.xr.voipmetrics.burstdensity": ("report_blocks_xr", "burst_density"),
    "rtcp.xr.voipmetrics.gapdensity": ("report_blocks_xr", "gap_density"),
    "rtcp.xr.voipmetrics.burstduration": ("report_blocks_xr", "burst_duration"),
    "rtcp.xr.voipmetrics.gapduration": ("report_blocks_xr", "gap_duration"),
    "rtcp.xr.voipmetrics.rtdelay": ("report_blocks_xr", "round_trip_delay"),
    "rtcp.xr.voipmetrics.esdelay": ("report_blocks_xr", "end_system_delay"),
    "rtcp.xr.voipmetrics.rerl": ("report_blocks_xr", "rerl"),
    "rtcp.xr.voipmetrics.gmin": ("report_blocks_xr", "gmin"),
    "rtcp.xr.voipmetrics.rfactor": ("report_blocks_xr", "r_factor"),
    "rtcp.xr.voipmetrics.jbnominal": ("report_blocks_xr", "jb_nominal"),
    "rtcp.xr.voipmetrics.jbmax": ("report_blocks_xr", "jb_maximum"),
    "rtcp.xr.voipmetrics.jbabsmax": ("report_blocks_xr", "jb_abs_max"),
}


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    data = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)
    for second, one in zip(count(1_700_000_000), SENT, strict=False):
        data += struct.pack("<IIII", second, 0, len(one), len(one)) + one
    path = tmp_path / "call.pcap"
    path.write_bytes(data)
    return path


def sent_by(replay: Path) -> tuple[list[dict[str, object]], str]:
    """The payloads of type 5, and the books."""
    receiver = UdpReceiver()
    config = replay.parent / "agent.toml"
    config.write_text(f'[media]\nrtcp = true\n[[hep]]\nuri = "hep:127.0.0.1:{receiver.port}"\n')
    ended = capture_agent("replay", "--config", config, replay)
    assert ended.status == 0, ended.err
    packets = [decode(one) for one in receiver.received()]
    receiver.close()
    assert [(one.protocol_type, one.correlation_id) for one in packets if one.protocol_type != 1] == [
        (5, b"call-1")
    ] * 2
    assert [one.protocol_type for one in packets] == [1, 5, 5, 1]
    return [json.loads(one.payload or b"") for one in packets if one.protocol_type == 5], ended.err


def test_the_books(capture: Path) -> None:
    reports, books = sent_by(capture)
    assert [(one["type"], one.get("bye")) for one in reports] == [(200, None), (201, [0x11111111])]
    assert "frames: 4 seen, 2 carried, 2 media" in books
    assert "rtcp: 2 seen, 2 traced" in books


@pytest.mark.skipif(which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_the_same(capture: Path) -> None:
    shown = [word for name in FIELDS for word in ("-e", name)]
    command = ["tshark", "-r", str(capture), "-d", f"udp.port=={PORTS[0]},rtcp", "-Y", "rtcp", "-T", "fields", *shown]
    lines = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120).stdout.splitlines()
    reports, _ = sent_by(capture)
    assert len(lines) == len(reports) == 2
    for line, report in zip(lines, reports, strict=True):
        for (name, (part, key)), want in zip(FIELDS.items(), line.split("\t"), strict=True):
            found = report.get(part, {})
            value = found[0][key] if isinstance(found, list) else found.get(key, "")
            assert str(value) == want, name
