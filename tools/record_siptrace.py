"""Record what Debian's Kamailio siptrace emits for a few calls: pcaps/siptrace/CASE/. Needs root, kamailio, sip-tester.

    python tools/record_siptrace.py [FOLDER]

Each case is a configuration of the module, with the SIP on the wire (wire.pcap) and the module's output: hep.pcap or
dup.pcap, and rows.json for the table.
"""

import json
import sqlite3
import sys
import tempfile
from pathlib import Path

import capture_files
import sipp_scenarios
from record_demo import configuration, play, stop
from sip_lab import CALLEES, COLLECTOR, lab

HERE = Path(__file__).parent
HEP_PORT, DUPLICATE_PORT = 9060, 5888
CASES = {
    "mode1-hep3": {"trace_mode": 1, "hep_version": 3, "hep_mode_on": 1, "hep_capture_id": 2001},
    "mode1-hep2": {"trace_mode": 1, "hep_version": 2, "hep_mode_on": 1, "hep_capture_id": 234},
    "mode2-rows": {"trace_mode": 2, "trace_to_database": 1},
    "mode4-duplicates": {"trace_mode": 4, "hep_mode_on": 0},
    "mode7-all": {"trace_mode": 7, "trace_to_database": 1, "hep_version": 3, "hep_mode_on": 1},
}
SCHEMA = Path("/usr/share/kamailio/db_sqlite")
# The table in Debian's package refuses the empty To tag of a first request, which the module binds as NULL.
STRICT, LENIENT = "totag VARCHAR(128) DEFAULT '' NOT NULL", "totag VARCHAR(128) DEFAULT ''"


def module(parameters: dict[str, int], database: Path) -> str:
    port = DUPLICATE_PORT if parameters["trace_mode"] == 4 else HEP_PORT
    settings: dict[str, int | str] = {
        "trace_on": 1,
        "trace_to_database": 0,
        "duplicate_uri": f"sip:{COLLECTOR}:{port}",
        **parameters,
    }
    needs = ['loadmodule "db_sqlite.so"'] if settings["trace_to_database"] else []
    if needs:
        settings["db_url"] = f"sqlite://{database}"
    values = {name: f'"{value}"' if isinstance(value, str) else value for name, value in settings.items()}
    lines = [f'modparam("siptrace", "{name}", {value})' for name, value in values.items()]
    return "\n".join([*needs, 'loadmodule "siptrace.so"', *lines])


def create(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        for script in ("standard-create.sql", "siptrace-create.sql"):
            connection.executescript((SCHEMA / script).read_text().replace(STRICT, LENIENT))


def rows(database: Path) -> list[dict[str, object]]:
    with sqlite3.connect(database) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute("SELECT * FROM sip_trace ORDER BY id")]
    for row in found:
        row["msg"] = bytes(row["msg"]).decode("latin-1")
    return found


def keep(captures: list[Path], target: Path) -> int:
    """Write one capture sorted by time, or nothing without packets."""
    read = [capture_files.read(capture) for capture in captures]
    if count := sum(len(capture.packets) for capture in read):
        capture_files.write(target, capture_files.merge(read))
    return count


def record(case: str, parameters: dict[str, int], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work, lab(folder := Path(work)) as net:
        database = folder / "trace.db"
        create(database)
        text = configuration(module(parameters, database))
        sip = [net.capture(device, f"{device}.pcap", "port 5060") for device in ("access", "core")]
        emitted = {
            "hep.pcap": net.capture("lo", "hep.pcap", f"udp dst port {HEP_PORT}"),
            "dup.pcap": net.capture("lo", "dup.pcap", f"udp dst port {DUPLICATE_PORT}"),
        }
        net.start("proxy", "python3", "-c", SINK, log="sink")
        net.kamailio(text)
        scenarios = sipp_scenarios.write(folder)
        play(net, scenarios, "register")
        play(net, scenarios, "options")
        play(net, scenarios, "call", CALLEES[0])
        play(net, scenarios, "cancel", CALLEES[1])
        stop(net, [*sip, *emitted.values()])
        counts = [keep([folder / "access.pcap", folder / "core.pcap"], target / "wire.pcap")]
        counts += [keep([folder / name], target / name) for name in emitted]
        found = rows(database)
        if found:
            (target / "rows.json").write_text(json.dumps(found, indent=1) + "\n")
        (target / "kamailio.cfg").write_text(text.replace(work, "/tmp/siptrace"))
    print(f"{case}: {counts[0]} messages on the wire, {counts[1]} HEP, {counts[2]} duplicates, {len(found)} rows")


# Something must listen: an ICMP error would make the module's next send fail.
SINK = (
    "import socket,select\n"
    f"s=[socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for _ in 'ab']\n"
    f"[one.bind(('{COLLECTOR}',port)) for one,port in zip(s,({HEP_PORT},{DUPLICATE_PORT}))]\n"
    "while True:\n for one in select.select(s,[],[])[0]: one.recv(65535)\n"
)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "pcaps" / "siptrace"
    for case, parameters in CASES.items():
        record(case, parameters, folder / case)


if __name__ == "__main__":
    main()
