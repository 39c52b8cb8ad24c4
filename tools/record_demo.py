"""Record demo.pcap and the live recordings of pcaps/ in the network of sip_lab.py. Needs root, kamailio, sip-tester.

python tools/record_demo.py [FOLDER]; python tools/make_pcaps.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import capture_files
import sipp_scenarios
from sip_lab import CALLEE6, CALLEES, CALLER, CALLER6, MODULES, PROXY, Lab, lab, wait_for

HERE = Path(__file__).parent
PORTS = ("access", "core")  # of the proxy's host, towards callers and callees


def configuration(siptrace: str = "") -> str:
    text = (HERE / "kamailio.cfg").read_text()
    return text.replace("@modules@", str(MODULES)).replace("@siptrace@", siptrace)


def play(net: Lab, scenarios: dict[str, Path], name: str, answers: str = "", *options: str) -> None:
    """One scenario through the proxy: `name` from the caller, with the callee at the address `answers`."""
    v6 = ":" in answers
    both = [net.sipp("callees", answers, scenarios[f"{name}-callee"], *options)] if answers else []
    if both:
        wait_for(lambda: bound(net, answers), f"SIPp at {answers}")
    caller = scenarios[f"{name}-caller"] if answers else scenarios[name]
    both.append(net.sipp("callers", CALLER6 if v6 else CALLER, caller, *options))
    for process in both:
        net.finish(process, name)


def bound(net: Lab, address: str) -> bool:
    source = f"[{address}]" if ":" in address else address
    command = ["ip", "netns", "exec", net.names["callees"], "ss", "-Hlntu", "src", source]
    return ":5060" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def record(net: Lab, scenarios: dict[str, Path]) -> None:
    """The demo is everything over UDP and IPv4; each way of capturing sees the same packets."""
    nano = ["--time-stamp-precision=nano"]
    captures = [
        net.capture("access", "access.pcap", "udp", nano),
        net.capture("core", "core.pcap", "port 5060", nano),
    ]
    play(net, scenarios, "register")
    play(net, scenarios, "options")
    play(net, scenarios, "speech", CALLEES[0])
    play(net, scenarios, "cancel", CALLEES[1])
    play(net, scenarios, "busy", CALLEES[2])
    play(net, scenarios, "message", CALLEES[3])
    play(net, scenarios, "slow", CALLEES[4])
    stop(net, captures)

    captures = [
        net.capture("access", "call-access.pcap", "udp port 5060", nano),
        net.capture("core", "call-core.pcap", "udp port 5060", nano),
        net.capture("any", "call-sll.pcap", "udp port 5060", ["-y", "LINUX_SLL"]),
        net.capture("any", "call-sll2.pcap", "udp port 5060", ["-y", "LINUX_SLL2"]),
    ]
    play(net, scenarios, "call", CALLEES[0])
    stop(net, captures)

    capture = net.capture("access", "call-tcp.pcap", "tcp port 5060")
    play(net, scenarios, "call", CALLEES[0], "-t", "t1")
    stop(net, [capture])

    capture = net.capture("access", "call-ipv6.pcap", "udp port 5060")
    play(net, scenarios, "call", CALLEE6)
    stop(net, [capture])


def stop(net: Lab, captures: list[subprocess.Popen[bytes]]) -> None:
    time.sleep(0.5)  # the last packets may not have reached tcpdump yet
    for capture in captures:
        net.stop(capture)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "pcaps"
    with tempfile.TemporaryDirectory() as temporary, lab(work := Path(temporary)) as net:
        net.kamailio(configuration())
        record(net, sipp_scenarios.write(work))
        both = {name: [capture_files.read(work / f"{name}{port}.pcap") for port in PORTS] for name in ("", "call-")}
        capture_files.write(folder / "demo.pcap", capture_files.merge(both[""]))
        capture_files.write_pcapng(folder / "call.pcapng", both["call-"], names=PORTS)
        for name in ("call-sll", "call-sll2", "call-tcp", "call-ipv6"):
            (folder / f"{name}.pcap").write_bytes((work / f"{name}.pcap").read_bytes())
    print(f"recorded through the proxy {PROXY}: {folder}")


if __name__ == "__main__":
    main()
