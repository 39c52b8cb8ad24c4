"""The converted configuration does what Kamailio did: recordings are replayed with it, and compared with siptrace's output.

HEP packets, duplicates and rows, to the byte but for the clock. What differs is counted, by start line, and is what the
real module misses: retransmissions that it sends, ACKs that it relays, and what is no accident of ours (SPEC 9).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import test_siptrace_vectors as vectors

from capture_agent.config import Config, load
from capture_agent.convert import convert

ACK = "ACK sip:uas@127.0.0.3:5060 SIP/2.0"
SL_ACK = "ACK sip:slrej@127.0.0.1:5060 SIP/2.0"
OK = "SIP/2.0 200 OK"
# A relayed ACK for a 2xx belongs to no transaction of the module's; timers of tm send again past it; a message without a
# From header is no message for a script.
IN_TRANSACTIONS = {
    ACK: 5,
    "SIP/2.0 100 Trying": 1,
    "INVITE sip:retr@127.0.0.1:5060 SIP/2.0": 1,
    OK: 2,
    "BYE sip:uas@127.0.0.3:5060 SIP/2.0": 1,
    "OPTIONS sip:x@127.0.0.1 SIP/2.0": 1,
}
XR3 = "OPTIONS sip:opt@10.0.0.1 SIP/2.0"  # SPEC 9.7: a part of the x-headers
IPV6 = {"OPTIONS sip:opt@[fd00:0:0:1::ab]:5060 SIP/2.0": 1, OK: 1}

# What the module has more and what we have more, packets and rows together.
SCRIPTS: dict[str, tuple[dict[str, int], dict[str, int]]] = {
    "5.6.3/17-mode1-evrt-drop": ({}, {}),
    "5.6.3/32-trace-m-db": ({}, {}),
    "5.6.3/37-trace-flag-default": ({}, IN_TRANSACTIONS),
    "5.6.3/38-trace-noflag-default": ({}, {}),
    # SPEC 9.14: IPv6 addresses without brackets, where the script traces what has come in.
    "5.6.3/39b-trace-m-onsend-ipv6-db": (IPV6, IPV6),
    "5.6.3/48-trace-table-avp": ({}, {}),
    "5.6.3/49-table-param": ({}, {}),
    "5.6.3/50-dup-sip-trace-t": ({}, IN_TRANSACTIONS),
    "5.6.3/52-dup-db-noaddr": ({}, {}),
    "5.6.3/69-trace-t-hep-default-dst": ({}, IN_TRANSACTIONS),
    "5.6.3/72-xheaders-read": ({}, {}),
    "5.6.3/82-xheaders-read-hep": ({XR3: 1}, {}),
    "5.6.3/87-dbmode2": ({}, {}),
    "5.6.3/89-reply-route-m": ({}, {OK: 1}),
    "5.6.3/94-avp-three-users-hep": ({}, {}),
    "5.6.3/a3-t-traceoff-db": ({}, {}),
    "5.6.3/a7-hep3-addr-nodup": ({}, {}),
    "5.6.3/b1-slack-evroute": ({}, {}),
    "5.6.3/b3-mode-string": ({}, {}),
    "head/77-data-mode-1": ({}, {}),
    "head/81-xheaders-read-ok": ({}, {}),
    "head/82-xheaders-read-hep": ({}, {}),
    "head/97-evrt-hep-db-drop": ({}, {}),
}


@pytest.fixture
def use_conversion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], None]:
    """From now on the vectors' settings are those of the converted kamailio.cfg, with the ports of our receivers."""

    def use(case: Path) -> None:
        def config(self: vectors.Settings, hep_port: int, sip_port: int, database: Path) -> Config:
            (tmp_path / "agent.toml").write_text(convert(case / "kamailio.cfg"))
            made = load(tmp_path / "agent.toml")
            here = {"host": "127.0.0.1", "transport": "udp", "source": ""}
            return replace(
                made,
                hep=tuple(replace(target, port=hep_port, **here) for target in made.hep),
                sip=tuple(replace(target, port=sip_port, **here) for target in made.sip),
                sql=tuple(replace(target, url=f"sqlite:///{database}") for target in made.sql),
            )

        monkeypatch.setattr(vectors.Settings, "config", config)

    return use


# Their settings in the vectors' own tests trace more than the script does.
CORE = [name for name in vectors.CASES if name != "49-table-param"]


@pytest.mark.parametrize("name", CORE)
def test_trace_mode(use_conversion: Callable[[Path], None], shared: Path, tmp_path: Path, name: str) -> None:
    case = shared / "siptrace" / "vectors" / "5.6.3" / name
    use_conversion(case)
    vectors.compare(case, tmp_path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts(use_conversion: Callable[[Path], None], shared: Path, tmp_path: Path, name: str) -> None:
    case = shared / "siptrace" / "vectors" / name
    use_conversion(case)
    settings = vectors.Settings.read(case / "kamailio.cfg")
    settings.params["trace_mode"] = "7" if (case / "rows.json").exists() else "5"  # which of its files are compared
    module = vectors.emitted_by_the_module(case, settings)
    ours = vectors.emitted_by_us(case, settings, tmp_path)
    if settings.number("xheaders_write", 0):
        module.packets, ours.packets = without_bytes(module.packets), without_bytes(ours.packets)
    more = vectors.start_lines(module.packets - ours.packets), vectors.start_lines(ours.packets - module.packets)
    rows = vectors.row_lines(module.rows - ours.rows), vectors.row_lines(ours.rows - module.rows)
    assert (dict(Counter(more[0]) + Counter(rows[0])), dict(Counter(more[1]) + Counter(rows[1]))) == SCRIPTS[name]


def without_bytes(packets: Counter[bytes]) -> Counter[bytes]:
    """Ours has the times of the packets in the headers, or those that it has read: by their lines alone."""
    return Counter(packet.split(b"\r\nX-Siptrace-Time")[0] for packet in packets.elements())


@pytest.mark.parametrize("name", ["mode1-hep2", "mode1-hep3", "mode2-rows", "mode4-duplicates", "mode7-all"])
def test_our_own_recordings(use_conversion: Callable[[Path], None], pcaps: Path, tmp_path: Path, name: str) -> None:
    use_conversion(pcaps / "siptrace" / name)
    vectors.compare(pcaps / "siptrace" / name, tmp_path)
