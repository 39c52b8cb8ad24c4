"""A small SIP network inside Linux network namespaces: Kamailio in the middle, SIPp as every phone. Needs root.

    callers  eth0 198.51.100.20 ── access  proxy  core ── eth0 203.0.113.30-34  callees
                                           192.0.2.10 Kamailio, 192.0.2.60 collector

It has no connection to the machine's network, and ends every process that it has started.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PROXY, COLLECTOR, CALLER = "192.0.2.10", "192.0.2.60", "198.51.100.20"
CALLEES = [f"203.0.113.{host}" for host in range(30, 35)]
PROXY6, CALLER6 = "2001:db8::10", "2001:db8:1::20"
CALLEES6 = [f"2001:db8:2::{host}" for host in range(30, 35)]
CALLEE6 = CALLEES6[0]
MODULES = next(Path("/usr/lib").glob("*/kamailio/modules"), Path("/usr/lib/kamailio/modules"))


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Lab:
    """The network, and the processes started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder  # folder for the processes' logs
        self.names = {name: f"sip-{os.getpid()}-{name}" for name in ("callers", "proxy", "callees")}
        self._processes: list[subprocess.Popen[bytes]] = []

    def build(self) -> None:
        for name in self.names.values():
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        v4, v6 = "198.51.100.", "2001:db8:1::"
        self._connect("access", "callers", f"{v4}1/24", f"{v6}1/64", [f"{CALLER}/24", f"{CALLER6}/64"])
        v4, v6 = "203.0.113.", "2001:db8:2::"
        self._connect(
            "core", "callees", f"{v4}1/24", f"{v6}1/64", [*(f"{a}/24" for a in CALLEES), *(f"{a}/64" for a in CALLEES6)]
        )
        # The proxy's host routes between both networks: speech passes through it.
        run("ip", "netns", "exec", self.names["proxy"], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        for address in (f"{PROXY}/32", f"{COLLECTOR}/32", f"{PROXY6}/128"):
            run("ip", "-n", self.names["proxy"], "addr", "add", address, "dev", "lo", *nodad(address))

    def _connect(self, port: str, other: str, router4: str, router6: str, addresses: list[str]) -> None:
        proxy, host = self.names["proxy"], self.names[other]
        run("ip", "-n", proxy, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host)
        for namespace, device, some in ((proxy, port, [router4, router6]), (host, "eth0", addresses)):
            for address in some:
                run("ip", "-n", namespace, "addr", "add", address, "dev", device, *nodad(address))
            run("ip", "-n", namespace, "link", "set", device, "up")
            checksums_in_software(namespace, device)
        for router in (router4, router6):
            family = "-6" if ":" in router else "-4"
            run("ip", family, "-n", host, "route", "add", "default", "via", router.partition("/")[0])

    def start(self, where: str, *command: str, log: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("wb") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.names[where], *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Ask it to end; tcpdump then writes its buffer."""
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def capture(self, device: str, name: str, what: str, options: Iterable[str] = ()) -> subprocess.Popen[bytes]:
        """tcpdump in the proxy's namespace into `name`, ready when this returns."""
        log = f"tcpdump-{name}"
        # Without immediate mode, packets that the kernel has not handed over within a second are lost at the end.
        command = ["tcpdump", "-i", device, "-n", "-s0", "-U", "--immediate-mode", "-Z", "root", "-w", name]
        process = self.start("proxy", *command, *options, what, log=log)
        wait_for(lambda: b"listening on" in (self.folder / f"{log}.log").read_bytes(), f"tcpdump on {device}")
        return process

    def kamailio(self, configuration: str) -> subprocess.Popen[bytes]:
        (self.folder / "kamailio.cfg").write_text(configuration)
        command = ["kamailio", "-f", str(self.folder / "kamailio.cfg"), "-DD", "-E", "-m", "16", "-M", "4"]
        process = self.start("proxy", *command, "-Y", str(self.folder), log="kamailio")
        self.wait_for_port("proxy", 5060, process)
        return process

    def sipp(self, where: str, address: str, scenario: Path, *options: str) -> subprocess.Popen[bytes]:
        log = f"sipp-{scenario.stem}-{len(self._processes)}"
        remote = [] if where == "callees" else [f"[{PROXY6}]:5060" if ":" in address else f"{PROXY}:5060"]
        local = f"[{address}]" if ":" in address else address
        command = ["sipp", *remote, "-sf", str(scenario), "-i", local, "-p", "5060", "-m", "1", "-nostdin"]
        return self.start(where, *command, "-timeout", "20s", "-timeout_error", *options, log=log)

    def finish(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Wait for a SIPp that must have seen exactly what its scenario expects."""
        if process.wait(30) != 0:
            raise RuntimeError(f"{name}: SIPp ended with {process.returncode}\n{self.logs()}")

    def wait_for_port(self, where: str, port: int, process: subprocess.Popen[bytes] | None = None) -> None:
        def bound() -> bool:
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"ended at once: {process.args!r}\n{self.logs()}")
            command = ["ip", "netns", "exec", self.names[where], "cat", "/proc/net/udp", "/proc/net/udp6"]
            return f":{port:04X} " in subprocess.run(command, capture_output=True, text=True, check=True).stdout

        wait_for(bound, f"port {port} in {where}")

    def logs(self) -> str:
        texts = {path.name: path.read_text(errors="replace") for path in self.folder.glob("*.log")}
        return "\n".join(f"{name}: {text[-2000:]}" for name, text in texts.items())

    def close(self) -> None:
        for process in reversed(self._processes):
            self.stop(process)
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], check=False, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    missing = [tool for tool in ("ip", "tcpdump", "kamailio", "sipp") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        raise SystemExit(f"needs root, and {', '.join(missing) or 'nothing else'}")
    made = Lab(folder)
    try:
        made.build()
        yield made
    finally:
        made.close()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not there after {seconds:g} s")
        time.sleep(0.02)


def nodad(address: str) -> list[str]:
    return ["nodad"] if ":" in address else []  # otherwise an IPv6 address is tentative for a second


def checksums_in_software(namespace: str, device: str) -> None:
    """A veth leaves checksums to missing hardware: captures would be full of wrong ones."""
    ethtool, set_tx_checksum, name_bytes = 0x8946, 0x17, 16
    script = (
        "import ctypes,fcntl,socket,struct\n"
        f"value=ctypes.create_string_buffer(struct.pack('II',{set_tx_checksum},0))\n"
        f"request=struct.pack('{name_bytes}sP',{device.encode()!r},ctypes.addressof(value))\n"
        f"fcntl.ioctl(socket.socket(),{ethtool},request)\n"
    )
    run("ip", "netns", "exec", namespace, "python3", "-c", script)
