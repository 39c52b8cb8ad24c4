"""The limit sends everything, the sink counts what arrives, and a missing message is an error."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import captures, traffic
from benchmarks.building import built
from benchmarks.captures import Capture
from benchmarks.cases import COMPILED, HEP_TCP, HEP_UDP, Case, Sizes, all_cases, peer_cases
from benchmarks.checks import check_books, check_collector
from benchmarks.collector import Counts, collecting
from benchmarks.measure import Failed, Usage, measure
from benchmarks.runner import Runner, run_all, start_up
from benchmarks.stores import installed

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler (Debian package gcc)"),
]
SIP = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 2\r\n\r\nhi"


def hep(payload: bytes) -> bytes:
    chunk = bytes([0, 0, 0, 15]) + (6 + len(payload)).to_bytes(2, "big") + payload
    return b"HEP3" + (6 + len(chunk)).to_bytes(2, "big") + chunk


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name in ("sink", "limit"):
        built(name, folder, "-Wall", "-Wextra", "-Werror")
    return folder


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sizes:
    """Captures of our own, in a folder of the test."""
    monkeypatch.setattr(captures, "CACHE", tmp_path)
    monkeypatch.setattr(captures, "SHARED", tmp_path / "none")
    return Sizes().divided(1000)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("rtp", [0, 9])
def test_the_limit_sends_every_message(programs: Path, tmp_path: Path, transport: str, rtp: int) -> None:
    truth = traffic.write(tmp_path / "capture", 777, rtp)
    with collecting(programs / "sink") as collector:
        command = [programs / "limit", transport, str(collector.port), tmp_path / "capture"]
        sent = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        counts = collector.counts()
    assert int(sent) == 777
    assert counts == Counts(packets=777, bytes=truth.sip_bytes + 777 * 99, broken=0, dropped=0)


@pytest.mark.parametrize(
    ("sent", "packets", "broken"),
    [
        pytest.param(hep(SIP), 1, 0, id="whole"),
        pytest.param(hep(SIP[:-1]), 1, 1, id="a body that is cut"),
        pytest.param(hep(SIP + SIP), 1, 1, id="two messages in one"),
        pytest.param(hep(b"\x80\x00" + bytes(20)), 1, 1, id="no SIP"),
        pytest.param(hep(SIP)[:4] + b"\0\0" + hep(SIP)[6:], 1, 1, id="a length of nothing"),
        pytest.param(b"HEP3\0\x0c\0\0\0\x0f\0\x63", 1, 1, id="a chunk longer than its packet"),
        pytest.param(b"HEP3\0\x06", 1, 1, id="no payload"),
    ],
)
def test_the_sink_reports_broken_messages(programs: Path, sent: bytes, packets: int, broken: int) -> None:
    with collecting(programs / "sink") as collector:
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.sendto(sent, ("127.0.0.1", collector.port))
        assert collector.counts() == Counts(packets, len(sent), broken, 0)


@pytest.mark.parametrize(
    ("pieces", "packets", "broken"),
    [
        pytest.param([hep(SIP) * 3], 3, 0, id="three at once"),
        pytest.param([hep(SIP)[:5], hep(SIP)[5:] + hep(SIP)], 2, 0, id="a torn header"),
        pytest.param([hep(SIP) + hep(SIP)[:20]], 1, 1, id="the last one torn"),
        pytest.param([hep(SIP) + b"nonsense", hep(SIP)], 1, 1, id="no HEP from there on"),
    ],
)
def test_the_sink_cuts_streams(programs: Path, pieces: list[bytes], packets: int, broken: int) -> None:
    with collecting(programs / "sink") as collector:
        with socket.create_connection(("127.0.0.1", collector.port)) as tcp:
            for piece in pieces:
                tcp.sendall(piece)
                time.sleep(0.05)
        counts = collector.counts()
    assert (counts.packets, counts.broken) == (packets, broken)


def test_datagrams_that_find_no_room_are_counted(programs: Path) -> None:
    with collecting(programs / "sink") as collector:
        # With the sink stopped, its buffer fills up.
        subprocess.run(["kill", "-STOP", str(collector.pid)], check=True)
        datagram = hep(SIP + b" " * 60_000)
        count = collector.receive_buffer // len(datagram) + 100
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            for _ in range(count):
                udp.sendto(datagram, ("127.0.0.1", collector.port))
        subprocess.run(["kill", "-CONT", str(collector.pid)], check=True)
        counts = collector.counts()
    assert counts.dropped > 0
    assert counts.packets + counts.dropped == count


def test_all_works_of_the_compiled_build_and_the_limit(small: Sizes) -> None:
    cases = [case for case in all_cases(small, [], installed()) if case.who != "plain"]
    told: list[str] = []
    samples = run_all(cases, 1, told.append)
    once = {case.key for case in cases} | {start_up(case).key for case in cases}
    assert sorted(sample.case for sample in samples) == sorted(once)
    assert len(told) == len(samples)
    assert all(sample.cpu > 0 and sample.memory > 0 and sample.lost == 0 for sample in samples)


@pytest.mark.parametrize("peer", ["sngrep", "sipgrep", "tshark"])
def test_a_peer_does_all_of_its_work(small: Sizes, tmp_path: Path, peer: str) -> None:
    if shutil.which(peer) is None:
        pytest.skip(f"{peer} is not installed (Debian package {peer})")
    (case,) = peer_cases([peer], small)
    sample = Runner(tmp_path).run(case)
    assert (sample.lost, sample.dropped) == (0, 0)


CASE = Case(HEP_TCP, COMPILED, Capture(5), ())
BOOKS = (
    "frames: 5 seen, 5 carried\nmessages: 5 seen, 5 traced, 0 not traced, 0 duplicate\n"
    "hep+tcp:127.0.0.1:9: 5 seen, 5 sent, 0 waiting\n"
)


@pytest.mark.parametrize(
    "books",
    [
        pytest.param(BOOKS.replace("5 sent", "4 sent"), id="one was not sent"),
        pytest.param(BOOKS.replace("5 traced", "4 traced"), id="one was not traced"),
        pytest.param(BOOKS + "messages does not balance: 1 unaccounted for\n", id="no balance"),
        pytest.param("", id="no books"),
    ],
)
def test_books_with_a_loss_give_no_figure(books: str) -> None:
    check_books(CASE, Usage(1, 1, 1, BOOKS))
    with pytest.raises(Failed, match="the books say"):
        check_books(CASE, Usage(1, 1, 1, books))


def test_missing_messages_give_no_figure() -> None:
    assert check_collector(CASE, Counts(4, 1, 0, 1)) == (1, 0)
    assert check_collector(Case(HEP_UDP, "sngrep", Capture(5), ()), Counts(3, 1, 0, 0)) == (0, 2)
    for counts in (Counts(4, 1, 0, 0), Counts(5, 1, 1, 0), Counts(6, 1, 0, 0)):
        with pytest.raises(Failed, match="the sink has"):
            check_collector(CASE, counts)


def test_measuring_reports_cpu_and_memory(tmp_path: Path) -> None:
    busy = "import time\nx = bytearray(50_000_000)\nwhile time.process_time() < 0.3: pass"
    usage = measure([sys.executable, "-c", busy], tmp_path, os.environ)
    assert 0.3 <= usage.cpu < 1
    assert 50_000_000 < usage.memory < 90_000_000


def test_a_failing_command_gives_no_figure(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="status 3: sorry"):
        measure(
            [sys.executable, "-c", "import sys; print('sorry', file=sys.stderr); sys.exit(3)"], tmp_path, os.environ
        )
    with pytest.raises(Failed, match="could not be started"):
        measure([str(tmp_path / "none")], tmp_path, os.environ)
