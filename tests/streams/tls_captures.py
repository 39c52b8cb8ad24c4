"""TLS connections as capture files, and what tshark decrypts in them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap
from tls_samples import Said

CLIENT, SERVER = "192.0.2.1", "192.0.2.2"
MAC = "02:00:00:00:00:01"  # scapy would ask the network for one
START = 1_700_000_000


def packets_of(written: Iterable[Said], size: int = 1400, port: int = 40000) -> list[Ether]:
    at = {True: 1001, False: 5001}
    packets = [packet(True, 1000, 0, "S", port=port), packet(False, 5000, 1001, "SA", port=port)]
    for by_client, data in written:
        for start in range(0, len(data), size):
            piece = data[start : start + size]
            packets.append(packet(by_client, at[by_client], at[not by_client], "PA", piece, port))
            at[by_client] += len(piece)
    return packets


def packet(
    by_client: bool, sequence: int, acknowledged: int, flags: str, data: bytes = b"", port: int = 40000
) -> Ether:
    (source, sport), (destination, dport) = ends = (CLIENT, port), (SERVER, 5061)
    if not by_client:
        (destination, dport), (source, sport) = ends
    tcp = TCP(sport=sport, dport=dport, seq=sequence, ack=acknowledged, flags=flags)
    return Ether(src=MAC, dst=MAC) / IP(src=source, dst=destination) / tcp / data


def write_capture(path: Path, *connections: Iterable[Said], size: int = 1400) -> None:
    """One after another; the ports of their clients count from 40000."""
    packets = [one for n, written in enumerate(connections) for one in packets_of(written, size, 40000 + n)]
    for number, one in enumerate(packets):
        one.time = START + number / 1000
    wrpcap(str(path), packets)


def followed_by_tshark(path: Path, option: str, connections: int = 1) -> list[bytes]:
    """The application data of each connection, both directions in the order of their records."""
    command = ["tshark", "-n", "-r", str(path), "-o", option, "-q"]
    for number in range(connections):
        command += ["-z", f"follow,tls,raw,{number}"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = {}
    for part in said.split("Follow: tls,raw")[1:]:
        head, lines = part.split("Node 1:")
        number = int(head.split("tcp.stream eq ")[1].split()[0])
        data = [line.strip() for line in lines.splitlines()[1:] if not line.startswith("=")]  # the server's have a tab
        found[number] = b"".join(map(bytes.fromhex, data))
    return [found[number] for number in range(connections)]


def tshark_key_log(log: Path) -> str:
    return f"tls.keylog_file:{log}"


def tshark_private_key(key: str) -> str:
    return f'uat:rsa_keys:"{key}",""'
