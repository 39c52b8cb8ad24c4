"""A message that a datagram cannot hold goes to the sink that `oversize` names; the books of both say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import Packet, capture_agent, pcap
from faults.peers import Read
from sink_samples import UdpReceiver, numbered

from hep import StreamDecoder, decode

COUNT = 60
LIMIT = 1400


def message(n: int) -> bytes:
    """Every third is longer than LIMIT; compressed, none is."""
    return numbered(n, 1500 if n % 3 == 0 else 10)


@pytest.mark.parametrize("default", [True, False], ids=["both get all", "only long ones"])
@pytest.mark.parametrize("limit", [LIMIT, 65_507])
@pytest.mark.parametrize("extra", ["", "compress = true\n", "version = 2\n"], ids=["plain", "compressed", "HEP 2"])
def test_long_messages(tmp_path: Path, default: bool, limit: int, extra: str) -> None:
    frames = [Packet(n, "10.0.0.1", "10.0.0.2", message(n)) for n in range(COUNT)]
    (tmp_path / "a.pcap").write_bytes(pcap(frames))
    udp = UdpReceiver()
    with Read() as tcp:
        (tmp_path / "a.toml").write_text(
            f"[[hep]]\nhost = '127.0.0.1'\nport = {udp.port}\noversize = 'long'\ndatagram_bytes = {limit}\n{extra}"
            f"[[hep]]\nuri = 'hep+tcp:127.0.0.1:{tcp.port}'\nname = 'long'\ndefault = {str(default).lower()}\n"
        )
        ended = capture_agent("replay", "a.pcap", "--config", "a.toml", folder=tmp_path)
        assert ended.status == 0, ended.err
        over_tcp = [packet.payload for data in tcp.streams for packet in StreamDecoder().feed(bytes(data))]
    over_udp = [decode(one).payload for one in udp.received()]
    udp.close()
    messages = [message(n) for n in range(COUNT)]
    long = [] if limit > LIMIT or "compress" in extra else messages[::3]
    assert over_udp == [one for one in messages if one not in long]
    assert over_tcp == (messages if default else long)
    assert f"hep:127.0.0.1:{udp.port}: {COUNT - len(long)} seen, {COUNT - len(long)} sent" in ended.err
