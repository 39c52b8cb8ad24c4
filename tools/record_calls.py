"""Record calls*.pcap of pcaps/ in the network of sip_lab.py, to test correlation. Needs root, kamailio,
sip-tester.

python tools/record_calls.py [FOLDER [NAME...]]
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import capture_files
import sipp_scenarios
from record_demo import bound, configuration, stop
from sip_lab import CALLEES, CALLEES6, CALLER, CALLER6, Lab, lab, wait_for

# The caller's scenario, and the scenario of each callee.
CALLS: dict[str, dict[int, str]] = {
    "call-caller": {0: "call-callee"},
    "cancel-caller": {1: "cancel-callee"},
    "busy-caller": {2: "busy-callee"},
    "slow-caller": {4: "slow-callee"},
    "reinvite-caller": {0: "reinvite-callee"},
    "subscribe-caller": {3: "subscribe-callee"},
    "fork-caller": {0: "call-callee", 1: "cancel-callee"},
    "spiral-caller": {0: "call-callee"},
    "old-caller": {0: "call-callee"},
    "stateless-caller": {0: "call-callee"},
    "ended-caller": {0: "ended-callee"},
    "register": {},
    "message-caller": {3: "message-callee"},
}
IN_DEMO = {"call-caller", "cancel-caller", "busy-caller", "slow-caller", "register", "message-caller"}
BY_THE_SERVER = ("stateless-caller", "ended-caller")
DEVICES = ("access", "core", "lo")  # packets from the proxy to itself are seen on lo


@dataclass(frozen=True)
class Medium:
    """Addresses and SIPp options of a capture's calls."""

    calls: tuple[str, ...]
    caller: str = CALLER
    callees: tuple[str, ...] = tuple(CALLEES)
    options: tuple[str, ...] = ()


def other_than(*left_out: str) -> tuple[str, ...]:
    return tuple(call for call in CALLS if call not in left_out)


MEDIA = {
    "calls": Medium(other_than(*IN_DEMO, *BY_THE_SERVER)),
    "calls-server": Medium(BY_THE_SERVER),
    # Over TCP nothing is repeated, and there are no RFC 2543 peers here.
    "calls-tcp": Medium(other_than("slow-caller", "old-caller", *BY_THE_SERVER), options=("-t", "t1")),
    "calls-ipv6": Medium(other_than(*BY_THE_SERVER), CALLER6, tuple(CALLEES6)),
}


def play(net: Lab, scenarios: dict[str, Path], call: str, medium: Medium) -> None:
    processes = []
    for place, callee in CALLS[call].items():
        address = medium.callees[place]
        processes.append(net.sipp("callees", address, scenarios[callee], *medium.options))
        wait_for(lambda address=address: bound(net, address), f"SIPp at {address}")
    processes.append(net.sipp("callers", medium.caller, scenarios[call], *medium.options))
    for process in processes:
        net.finish(process, call)


def record(name: str, medium: Medium, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary, lab(work := Path(temporary)) as net:
        net.kamailio(configuration())
        scenarios = sipp_scenarios.write(work)
        play(net, scenarios, "call-caller", medium)  # from then on the neighbours are known
        captures = [net.capture(device, f"{device}.pcap", "port 5060") for device in DEVICES]
        for call in medium.calls:
            play(net, scenarios, call, medium)
        stop(net, captures)
        merged = capture_files.merge([capture_files.read(work / f"{device}.pcap") for device in DEVICES])
        capture_files.write(folder / f"{name}.pcap", merged)
    print(f"recorded: {folder / name}.pcap")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "pcaps"
    for name in sys.argv[2:] or MEDIA:
        record(name, MEDIA[name], folder)


if __name__ == "__main__":
    main()
