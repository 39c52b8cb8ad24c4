"""Record pcaps/look/, the calls that all views show alike, in the network of sip_lab.py. Needs root, kamailio,
sip-tester.

python tools/record_views.py [FOLDER]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import capture_files
import sipp_scenarios
from record_demo import PORTS, bound, configuration, play, stop
from sip_lab import CALLEES, CALLER, PROXY, Lab, lab, wait_for

FIRST_LEG = "first-leg@sip.example.com"
Play = Callable[[Lab, dict[str, Path]], None]


def forked(net: Lab, scenarios: dict[str, Path]) -> None:
    callees = [
        net.sipp("callees", CALLEES[n], scenarios[name]) for n, name in enumerate(("call-callee", "cancel-callee"))
    ]
    for address in CALLEES[:2]:
        wait_for(lambda address=address: bound(net, address), f"SIPp at {address}")
    for process in (net.sipp("callers", CALLER, scenarios["fork-caller"]), *callees):
        net.finish(process, "forked")


def b2bua(net: Lab, scenarios: dict[str, Path]) -> None:
    """The host at the first callee's address answers one leg, and calls the second callee with the other."""
    ends = [
        net.sipp("callees", CALLEES[0], scenarios["b2bua-callee"]),
        net.sipp("callees", CALLEES[1], scenarios["call-callee"]),
    ]
    for address in CALLEES[:2]:
        wait_for(lambda address=address: bound(net, address), f"SIPp at {address}")
    ends.append(net.sipp("callers", CALLER, scenarios["b2bua-caller"], "-cid_str", FIRST_LEG))
    time.sleep(0.1)
    command = ["sipp", f"{PROXY}:5060", "-sf", str(scenarios["leg-caller"]), "-i", CALLEES[0], "-p", "5070", "-m", "1"]
    ends.append(net.start("callees", *command, "-nostdin", "-timeout", "20s", "-timeout_error", log="sipp-leg"))
    for process in ends:
        net.finish(process, "b2bua")


CALLS: dict[str, Play] = {
    "answered": lambda net, scenarios: play(net, scenarios, "call", CALLEES[0]),
    "cancelled": lambda net, scenarios: play(net, scenarios, "cancel", CALLEES[1]),
    "forked": forked,
    "b2bua": b2bua,
    "registration": lambda net, scenarios: play(net, scenarios, "register"),
}


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "pcaps" / "look"
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, lab(work := Path(temporary)) as net:
        net.kamailio(configuration())
        scenarios = sipp_scenarios.write(work)
        for name, call in CALLS.items():
            captures = [net.capture(port, f"{name}-{port}.pcap", "port 5060") for port in PORTS]
            call(net, scenarios)
            stop(net, captures)
            both = [capture_files.read(work / f"{name}-{port}.pcap") for port in PORTS]
            capture_files.write(folder / f"{name}.pcap", capture_files.merge(both))
    print(f"recorded through the proxy {PROXY}: {folder}")


if __name__ == "__main__":
    main()
