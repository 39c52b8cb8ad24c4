"""The benchmark's TCP captures, made small: every message once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from stream_samples import balanced, read_pcap

from capture_agent.build import flavour
from capture_agent.sip.scan import scan
from capture_agent.streams.streams import Streams

MESSAGES = {"compiled": 200_000, "plain": 20_000}[flavour()]


@pytest.mark.parametrize("mess", [[], ["mess"]], ids=["clean", "mess"])
def test_every_message_once(shared: Path, tmp_path: Path, mess: list[str]) -> None:
    """With `mess`: reordering, retransmissions, keep-alives, no SYN."""
    capture = tmp_path / "tcp.pcap"
    made = subprocess.run(
        [sys.executable, shared / "bench/gen.py", "tcp", capture, str(MESSAGES), *mess], capture_output=True, check=True
    )
    assert json.loads(made.stdout)["sip"] == MESSAGES
    streams = Streams()
    found, broken, last = set(), 0, {}
    for batch in read_pcap(capture):
        for message in streams.messages(batch):
            sip = scan(message.data, message.start, message.end)
            broken += sip is None or sip.problems != 0
            key = (message.source, message.destination, message.source_port, message.destination_port)
            assert message.time_ns > last.get(key, 0)
            last[key] = message.time_ns
            found.add(hashlib.sha256(repr(key).encode() + message.payload).digest())
    assert streams.close() == []
    assert (len(found), streams.counts.messages, broken) == (MESSAGES, MESSAGES, 0)
    assert balanced(streams)
    assert streams.rejected() == {"not_sip": 0, "outside": 0, "closed": 0}
