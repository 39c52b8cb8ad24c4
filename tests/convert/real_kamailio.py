"""How the real Kamailio evaluates strings, conditions and parameters: `python tests/convert/real_kamailio.py` records it.

Each question is a line of recorded/*.json with its answer; None: Kamailio refuses it. The tests compare the converter
with the answers, and where Kamailio is installed the answers with Kamailio.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).parent / "recorded"
IS_INSTALLED = shutil.which("kamailio") is not None
MODULES = next(Path("/usr/lib").glob("*/kamailio/modules"), Path("/usr/lib/kamailio/modules"))
LOADED = ("tm", "sl", "rr", "pv", "xlog", "textops", "siputils", "corex", "kex", "avpops", "tmx", "ipops")
SECONDS = 20
END = b"END OF THE SCRIPT"
DONE = f'xlog("L_ERR", "{END.decode()}\\n"); exit; }}'
MESSAGES = {
    "call": b"""INVITE sip:Bob@Example.com:5061;user=phone SIP/2.0
From: "Vi" <sip:Violet@From.example>;tag=ft1
To: <sip:+49301234@to.example>
Call-ID: Abc@127.0.0.1
CSeq: 7 INVITE
User-Agent: Friendly-Scanner 1.0
Contact: <sip:vi@127.0.0.1:5090>
X-Trace: Yes
X-Empty:
X-Number: 10.9.8.7
P-Asserted-Identity: <sip:pai@host>
Content-Type: application/sdp
Content-Length: 3

v=0""",
    "in dialog": b"""BYE sip:004930@198.51.100.7 SIP/2.0
From: <sip:alice@example.com>;tag=1
To: <sip:bob@example.com>;tag=2
Call-ID: def@example.com
CSeq: 8 BYE
X-Trace: no
Content-Length: 0

""",
    "no user": b"""REGISTER sip:example.com SIP/2.0
From: <sip:+4930@example.com>;tag=3
To: <sip:+4930@EXAMPLE.com>
Call-ID: ghi
CSeq: 9 REGISTER
Contact: *
X-Trace: 1
Content-Length: 0

""",
}


def message(name: str, port: int) -> bytes:
    first, rest = MESSAGES[name].replace(b"\n", b"\r\n").split(b"\r\n", 1)
    via = b"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=z9hG4bK%d\r\nMax-Forwards: 70\r\n" % (port, port)
    return first + b"\r\n" + via + rest


def free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(script: str, name: str = "call", parameters: str = "") -> bytes:
    """Its log after one message, or why it refuses the configuration."""
    port = free_port()
    head = ["#!KAMAILIO", "debug=0", "log_stderror=yes", "children=1", "disable_tcp=yes", "auto_aliases=no"]
    head += [f"listen=udp:127.0.0.1:{port}", f'mpath="{MODULES}/"', *(f'loadmodule "{name}.so"' for name in LOADED)]
    with tempfile.TemporaryDirectory() as temporary, socket.socket(type=socket.SOCK_DGRAM) as phone:
        folder = Path(temporary)
        (folder / "k.cfg").write_text("\n".join([*head, parameters, script]))
        phone.bind(("127.0.0.1", 0))
        with (folder / "log").open("wb") as log:
            command = ["kamailio", "-f", f"{folder}/k.cfg", "-DD", "-E", "-m", "16", "-M", "4", "-Y", temporary]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + SECONDS
            while END not in (folder / "log").read_bytes() and process.poll() is None and time.monotonic() < deadline:
                with suppress(OSError):  # nobody listens yet
                    phone.sendto(message(name, phone.getsockname()[1]), ("127.0.0.1", port))
                time.sleep(0.1)
            return (folder / "log").read_bytes()
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            process.wait(5)


def strings(literals: Sequence[str]) -> list[str | None]:
    """The output of xlog for each string of a script."""
    lines = [f'$var(s) = {literal}; xlog("L_ERR", "<{n}<$var(s)>>\\n");' for n, literal in enumerate(literals)]
    log = run("\n".join(["request_route {", *lines, DONE])).decode("latin-1")
    found = {int(number): text for number, text in re.findall(r"<(\d+)<(.*?)>>\n", log, re.DOTALL)}
    if not found and len(literals) > 1:
        return [strings([literal])[0] for literal in literals]
    return [found.get(n) for n in range(len(literals))]


def conditions(questions: Sequence[str], name: str) -> list[bool | None]:
    """Whether each holds for this message."""
    lines = [
        f'if ({question}) xlog("L_ERR", "<{n}:1>\\n"); else xlog("L_ERR", "<{n}:0>\\n");'
        for n, question in enumerate(questions)
    ]
    log = run("\n".join(["request_route {", *lines, DONE]), name).decode("latin-1")
    found = {int(number): holds == "1" for number, holds in re.findall(r"<(\d+):([01])>", log)}
    if not found and len(questions) > 1:
        return [conditions([question], name)[0] for question in questions]
    return [found.get(n) for n in range(len(questions))]


def capture_ids(spellings: Sequence[str]) -> list[int | None]:
    """The number that siptrace sends for hep_capture_id."""
    return [capture_id(spelling) for spelling in spellings]


def capture_id(spelling: str) -> int | None:
    with socket.socket(type=socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(1)
        values = {
            "trace_on": "1", "trace_mode": "1", "hep_version": "3", "trace_to_database": "0", "hep_capture_id": spelling,
            "duplicate_uri": f'"sip:127.0.0.1:{collector.getsockname()[1]}"',
        }  # fmt: skip
        lines = ['loadmodule "siptrace.so"', *(f'modparam("siptrace", "{name}", {v})' for name, v in values.items())]
        run("request_route { " + DONE, parameters="\n".join(lines))
        try:
            packet = collector.recv(65535)
        except TimeoutError:
            return None
    at = packet.index(struct.pack("!HHH", 0, 0x0C, 10)) + 6
    (found,) = struct.unpack_from("!I", packet, at)
    return int(found)


def answers(name: str, questions: Sequence[str]) -> list[Any]:
    if name == "strings":
        return strings(questions)
    if name == "numbers":
        return capture_ids(questions)
    return list(map(list, zip(*(conditions(questions, message) for message in MESSAGES), strict=True)))


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text())
    return found


def main() -> None:
    for name in sys.argv[1:] or ("strings", "conditions", "numbers"):
        questions = list(recorded(name))
        found = dict(zip(questions, answers(name, questions), strict=True))
        lines = ",\n".join(f" {json.dumps(question)}: {json.dumps(answer)}" for question, answer in found.items())
        (RECORDED / f"{name}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
