"""Record calls.pcap of pcaps/ in the network of sip_lab.py: what a correlator must tell apart. Needs root, kamailio,
sip-tester.

python tools/record_calls.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import capture_files
import sipp_scenarios
from record_demo import bound, configuration, stop
from sip_lab import CALLEES, CALLER, Lab, lab, wait_for

# What the caller plays, and who answers at which of CALLEES.
CALLS: dict[str, dict[int, str]] = {
    "reinvite-caller": {0: "reinvite-callee"},
    "subscribe-caller": {3: "subscribe-callee"},
    "fork-caller": {0: "call-callee", 1: "cancel-callee"},
    "spiral-caller": {0: "call-callee"},
    "old-caller": {0: "call-callee"},
}
DEVICES = ("access", "core", "lo")  # what goes round through the proxy is seen on lo


def play(net: Lab, scenarios: dict[str, Path], caller: str) -> None:
    processes = []
    for place, callee in CALLS[caller].items():
        processes.append(net.sipp("callees", CALLEES[place], scenarios[callee]))
        wait_for(lambda address=CALLEES[place]: bound(net, address), f"SIPp at {CALLEES[place]}")
    processes.append(net.sipp("callers", CALLER, scenarios[caller]))
    for process in processes:
        net.finish(process, caller)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "pcaps"
    with tempfile.TemporaryDirectory() as temporary, lab(work := Path(temporary)) as net:
        net.kamailio(configuration())
        scenarios = sipp_scenarios.write(work)
        captures = [net.capture(device, f"{device}.pcap", "udp port 5060") for device in DEVICES]
        for caller in CALLS:
            play(net, scenarios, caller)
        stop(net, captures)
        merged = capture_files.merge([capture_files.read(work / f"{device}.pcap") for device in DEVICES])
        capture_files.write(folder / "calls.pcap", merged)
    print(f"recorded: {folder / 'calls.pcap'}")


if __name__ == "__main__":
    main()
