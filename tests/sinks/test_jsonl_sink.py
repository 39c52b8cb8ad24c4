"""Lines of JSON in files: their fields, rotation, and disks that fail."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sink_samples import INVITE, RINGING, TIME_NS, Receiver, batch_of, numbered, traced

from capture_agent.config.targets import JsonlTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.pipeline import Pipeline
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.frames import HEP_LINK_TYPE, Frames
from capture_agent.records.message_fields import as_object
from capture_agent.records.traced import Trace
from capture_agent.sinks.files import rotating_files
from capture_agent.sinks.files.file_names import safe_name
from capture_agent.sinks.files.jsonl_sink import JsonlSink
from capture_agent.sinks.sink import handled
from hep import Packet, encode

pytestmark = pytest.mark.once
SECOND = 1_000_000_000


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    file = folder / "trace.jsonl"
    yield Receiver(f'file = "{file}"', "", lambda: [one["message"].encode() for one in lines(file)])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def numbers(*files: Path) -> list[int]:
    return [int(one["call_id"].removeprefix("call-")) for file in files for one in lines(file)]


def test_fields(tmp_path: Path) -> None:
    one = traced(INVITE, trace=Trace(correlation_id=b"leg-1", users=("bob", "alice"), rule="all"))
    sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl")))
    sink.send([one, traced(INVITE + b"\xff")])
    sink.close()
    first, second = lines(tmp_path / "a.jsonl")
    assert type(one.message) is CapturedMessage
    assert first == as_object(one.message) | {
        "kind": 1,
        "direction": "in",
        "rule": "all",
        "users": ["bob", "alice"],
        "correlation_id": "leg-1",
        "node": None,
        "capture_id": None,
        "retransmission": False,
        "transaction_state": None,
        "dialog_state": None,
        "message": INVITE.decode(),
    }
    assert ("message" in second, len(second["message_base64"])) == (False, (len(INVITE) + 1 + 2) // 3 * 4)


@pytest.mark.parametrize(
    ("display", "user"),
    [
        pytest.param("plain", "bob", id="ascii"),
        pytest.param("\u009b2J \u202e \u00fc \U0001f4de", "bob", id="controls that are no ASCII"),
        pytest.param("plain", "\u00fc", id="a user that is no ASCII"),
        pytest.param("plain", "bob\udcff", id="a user with a byte that is no text"),
    ],
)
def test_lines_are_ascii(tmp_path: Path, display: str, user: str) -> None:
    """Whatever they show: nothing in them can control a terminal."""
    message = INVITE.replace(b"From: <", b'From: "%s" <' % display.encode())
    sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl")))
    sink.send([traced(message, trace=Trace(users=(user,))), *batch_of(1)])
    sink.close()
    text = (tmp_path / "a.jsonl").read_bytes()
    assert text.isascii()
    assert [line for line in text.splitlines() if b"\x1b" in line] == []
    first, second = lines(tmp_path / "a.jsonl")
    assert (first["message"], first["users"], second["call_id"]) == (message.decode(), [user], "call-0")


@pytest.mark.parametrize(
    ("time_ns", "shown", "name"),
    [
        (0, "0.000000", "1970-01-01-000000"),
        (-1, "-0.000001", "1969-12-31-235959"),
        (-1_500_000_000, "-1.500000", "1969-12-31-235958"),
        (-(2**63), "-9223372036.854776", "1677-09-21-001243"),
    ],
)
def test_times_before_1970(tmp_path: Path, time_ns: int, shown: str, name: str) -> None:
    sink = JsonlSink(JsonlTarget(str(tmp_path / "{date}-{time}.jsonl"), rotate_seconds=60))
    sink.send([traced(INVITE, time_ns=time_ns)])
    sink.close()
    assert [one["time"] for one in lines(tmp_path / f"{name}.jsonl")] == [shown]


TYPES = {"integer": int, "string": str, "boolean": bool, "null": type(None), "array of strings": list}


def test_the_document_has_every_field_with_its_type(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "files.md").read_text().partition("## Fields of [[jsonl]]")[2]
    types = {
        name.strip("`"): tuple(TYPES[one] for one in row[1].split(" or "))
        for line in document.partition("\n## ")[0].splitlines()
        if line.startswith("| `")
        for row in [[cell.strip() for cell in line.strip("|").split("|")]]
        for name in row[0].split(", ")
    }
    sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl")))
    sink.send([traced(INVITE), traced(RINGING), traced(INVITE + b"\xff", trace=Trace(users=("bob",), rule="all"))])
    sink.close()
    found = lines(tmp_path / "a.jsonl")
    assert {name for one in found for name in one} == set(types)
    assert [(name, one[name]) for one in found for name in one if not isinstance(one[name], types[name])] == []


def test_standard_output() -> None:
    code = (
        "from sink_samples import batch_of\nfrom capture_agent.config.targets import JsonlTarget\n"
        "from capture_agent.sinks.files.jsonl_sink import JsonlSink\n"
        "sink = JsonlSink(JsonlTarget('-', message=False, rotate_mib=1))\nsink.open()\nsink.send(batch_of(3))\nsink.close()"
    )
    path = os.pathsep.join(sys.path)
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, timeout=60, env=os.environ | {"PYTHONPATH": path}
    )
    assert [json.loads(line)["call_id"] for line in found.stdout.splitlines()] == ["call-0", "call-1", "call-2"]


def test_rotation_by_size_keeps_every_line_once(tmp_path: Path) -> None:
    sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl"), rotate_mib=1))
    for first in range(0, 3000, 100):
        sink.send([traced(numbered(n), time_ns=TIME_NS + n * SECOND) for n in range(first, first + 100)])
    sink.close()
    files = sorted(tmp_path.glob("a-*.jsonl"))
    assert files
    assert all((1 << 20) <= file.stat().st_size < (1 << 20) + 200_000 for file in files)
    assert numbers(*files, tmp_path / "a.jsonl") == list(range(3000))


@pytest.mark.parametrize(
    ("pattern", "want"),
    [
        ("{date}/{time}.jsonl", ["2026-11-22/231440.jsonl", "2026-11-22/231500.jsonl", "2026-11-22/231600.jsonl"]),
        ("a.jsonl", ["a-20261122T231440.000000.jsonl", "a-20261122T231500.000000.jsonl", "a.jsonl"]),
    ],
)
def test_rotation_by_time(tmp_path: Path, pattern: str, want: list[str]) -> None:
    start = 1_795_389_280
    sink = JsonlSink(JsonlTarget(str(tmp_path / pattern), rotate_seconds=60))
    sink.send([traced(numbered(n), time_ns=(start + n * 20) * SECOND) for n in range(5)])
    sink.close()
    found = sorted(tmp_path.rglob("*.jsonl"))
    assert [str(file.relative_to(tmp_path)) for file in found] == want
    assert numbers(*found) == list(range(5))


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_compressed_files_are_appended_to(tmp_path: Path, compress: str) -> None:
    for n in range(2):
        sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl"), compress=compress))  # type: ignore[arg-type]
        sink.send(batch_of(2, 2 * n))
        sink.close()
    [file] = tmp_path.iterdir()
    data = file.read_bytes()
    text = gzip.decompress(data) if compress == "gzip" else zstd_text(data)
    assert [json.loads(line)["call_id"] for line in text.splitlines()] == [f"call-{n}" for n in range(4)]


def zstd_text(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as reader:
        return reader.read()


def test_a_torn_line_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    sink = JsonlSink(JsonlTarget(str(file)))
    sink.send(batch_of(1))
    sink.close()
    with file.open("a") as more:
        more.write('{"call_id": "call-')
    sink = JsonlSink(JsonlTarget(str(file)))
    sink.send(batch_of(1, 1))
    sink.close()
    assert numbers(file) == [0, 1]


def test_a_disk_that_is_full_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jsonl"
    sink = JsonlSink(JsonlTarget(str(file)))
    sink.send(batch_of(3))
    write = os.write

    def half(handle: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(handle, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(rotating_files.os, "write", half)
        with pytest.raises(SinkError, match="no space left on device"):
            sink.send(batch_of(300, 3))
    assert (handled(sink), numbers(file)) == (3, [0, 1, 2])
    sink.send(batch_of(300, 3))
    sink.close()
    assert (sink.sent, numbers(file)) == (303, list(range(303)))


@pytest.mark.parametrize("gone", ["moved", "deleted"])
def test_a_file_that_another_program_takes_away(tmp_path: Path, gone: str) -> None:
    file = tmp_path / "a.jsonl"
    sink = JsonlSink(JsonlTarget(str(file)))
    sink.send(batch_of(1))
    file.rename(tmp_path / "b.jsonl") if gone == "moved" else file.unlink()
    sink.send(batch_of(1, 1))
    sink.close()
    assert numbers(file) == [1]


def test_calls_in_files_of_their_own(tmp_path: Path) -> None:
    """Interleaved, so that every file is closed and opened again."""
    calls = 3 * rotating_files.MOST_OPEN
    sink = JsonlSink(JsonlTarget(str(tmp_path / "{call_id}.jsonl"), message=False))
    most = 0
    for _ in range(3):
        sink.send(batch_of(calls))
        most = max(most, sink._files.open_files)
    sink.close()
    assert most == rotating_files.MOST_OPEN
    assert sink._files.open_files == 0
    assert {file.name: numbers(file) for file in tmp_path.iterdir()} == {
        f"call-{n}.jsonl": [n] * 3 for n in range(calls)
    }


@pytest.mark.parametrize(
    ("call_id", "want"),
    [
        (b"3c26@192.0.2.1", "3c26@192.0.2.1"),
        (b"../../etc/passwd", "_._.._etc_passwd-"),
        (b"..", "_.-"),
        (b"", "_-"),
        (b"-rf", "_rf-"),
        (b".hidden", "_hidden-"),
        (b"a\0b\x1b[31m", "a_b__31m-"),
        (b"x" * 5000, "x" * 64 + "-"),
        ("\u00e4".encode(), "__-"),
    ],
)
def test_names_from_sip(call_id: bytes, want: str) -> None:
    found = safe_name(call_id)
    assert found == want if want.encode() == call_id else found[:-16] == want


def test_a_call_id_cannot_take_the_name_of_another() -> None:
    assert safe_name(safe_name(b"a/b").encode()) != safe_name(b"a/b")


@pytest.mark.parametrize("call_id", [b"ABC", b"con", b"nul.x", b"com1", b"a.", b"a.part", b"a-20261128T174512.104220"])
def test_names_that_another_file_could_have(call_id: bytes) -> None:
    """Where case makes no difference, on Windows, while it is written, and after a rotation."""
    assert safe_name(call_id)[:-17] == call_id.decode()


def test_no_call_takes_the_file_of_another_that_was_rotated(tmp_path: Path) -> None:
    stamp = b"a-20261122T223123.255621"
    sink = JsonlSink(JsonlTarget(str(tmp_path / "{call_id}.jsonl"), rotate_seconds=30))
    sink.send([traced(INVITE.replace(b"call-1", b"a"), time_ns=TIME_NS + n * 30 * SECOND) for n in range(2)])
    sink.send([traced(INVITE.replace(b"call-1", stamp), time_ns=TIME_NS + 30 * SECOND)])
    sink.close()
    assert [len({one["call_id"] for one in lines(file)}) for file in tmp_path.iterdir()] == [1, 1, 1]


def test_retention(tmp_path: Path) -> None:
    (tmp_path / "others.txt").write_text("x" * 5_000_000)
    sink = JsonlSink(JsonlTarget(str(tmp_path / "{date}" / "{time}.jsonl"), rotate_mib=1, keep_mib=3))
    for n in range(60):
        sink.send([traced(numbered(n, 100_000), time_ns=TIME_NS + n * 3600 * SECOND)])
    sink.close()
    files = sorted(tmp_path.rglob("*.jsonl"))
    assert numbers(*files) == list(range(numbers(files[0])[0], 60))
    assert (2 << 20) < sum(file.stat().st_size for file in files) < (5 << 20)
    assert {folder.name for folder in tmp_path.iterdir() if folder.is_dir()} == {file.parent.name for file in files}
    assert (tmp_path / "others.txt").exists()


def test_retention_by_age(tmp_path: Path) -> None:
    (tmp_path / "1.jsonl").write_text("")
    os.utime(tmp_path / "1.jsonl", (0, 0))
    (tmp_path / "{time}.jsonl").write_text("")
    sink = JsonlSink(JsonlTarget(str(tmp_path / "{time}.jsonl"), keep_hours=1))
    (tmp_path / "000000.jsonl").write_text("")
    os.utime(tmp_path / "000000.jsonl", (0, 0))
    sink.send(batch_of(1))
    sink.close()
    assert {file.name for file in tmp_path.iterdir()} == {"1.jsonl", "{time}.jsonl", "223123.jsonl"}


@pytest.mark.parametrize("pattern", ["{call_id}.jsonl", "all.{date}.jsonl"])
def test_retention_by_age_without_a_new_file(pattern: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / pattern.format(call_id="gone", date="2020-01-01")

    def is_swept(act: Callable[[], None]) -> bool:
        old.write_text("")
        os.utime(old, (0, 0))
        act()
        return not old.exists()

    sink = JsonlSink(JsonlTarget(str(tmp_path / pattern), keep_hours=1))
    assert is_swept(sink.open)
    assert not is_swept(lambda: sink.send([]))  # not each time
    monkeypatch.setattr(rotating_files, "SWEEP_SECONDS", 0.0)
    assert is_swept(lambda: sink.send([]))
    sink.send(batch_of(1))
    assert is_swept(lambda: sink.send(batch_of(1)))
    assert len(list(tmp_path.iterdir())) == 1
    sink.close()


def test_what_cannot_be_written(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "plain").write_text("")
    (tmp_path / "notes").write_text("not ours")
    for path, opens in [("notes", True), ("pipe", True), ("plain/a.jsonl", False), ("", False)]:
        sink = JsonlSink(JsonlTarget(str(tmp_path / path)))
        if not opens:
            with pytest.raises(SinkError):
                sink.open()
        with pytest.raises(SinkError):
            sink.send(batch_of(1))
        assert handled(sink) == 0
        sink.close()
    assert (tmp_path / "notes").read_text() == "not ours"


@pytest.mark.parametrize("kind", [1, 5])
@pytest.mark.parametrize(
    ("packet", "found"),
    [
        pytest.param(
            {"agent_name": b"sbc\x1b-1", "capture_id": 4_000_000_000}, ("sbc\x1b-1", 4_000_000_000), id="both"
        ),
        pytest.param({"capture_id": 0}, (None, 0), id="number"),
        pytest.param({}, (None, None), id="neither"),
    ],
)
def test_who_has_sent_it(
    tmp_path: Path, packet: dict[str, Any], found: tuple[str | None, int | None], kind: int
) -> None:
    a, b = b"\x0a\0\0\1", b"\x0a\0\0\2"
    sent = encode(Packet(source=a, destination=b, protocol=17, protocol_type=kind, payload=INVITE, **packet))
    sink = JsonlSink(JsonlTarget(str(tmp_path / "a.jsonl")))
    sink.send(Pipeline().process(Frames.of([sent], HEP_LINK_TYPE)))
    sink.close()
    [line] = lines(tmp_path / "a.jsonl")
    assert (line["node"], line["capture_id"], line["kind"]) == (*found, kind)
    assert b"\x1b" not in (tmp_path / "a.jsonl").read_bytes()
