"""The table of commands: a program for each work.

A command may contain {capture}, {port}, {database}, {limit}, {namespace}, {listen}, {broker} and {folder}, its
environment also {file}. Each case also runs on a one-message capture: this is its start-up, which is subtracted.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.captures import Capture
from benchmarks.tansu import GROUP, TOPIC
from benchmarks.traffic import MEDIA, RTP_PER_SIP
from benchmarks.wire import HOST_RATE, INTERFACE, METRICS_PORT, RATE, STORED_RATE, agents_prefix, usable

AGENT = str(Path(sys.executable).parent / "capture-agent")
COMPILED, PLAIN, LIMIT, DRIVER = "compiled", "plain", "limit", "driver"
DISK, WRITTEN, DRAINED = "disk", "written", "drained"  # as benchmarks.spooling names them
AEAD = "aead"
LIMITS = (LIMIT, DRIVER, DISK, AEAD)  # what others are compared with
PEERS = ("sngrep", "sipgrep", "tshark")  # Debian's

HEP_TCP, HEP_UDP, MIXED, MEASURED = "hep-tcp", "hep-udp", "mixed", "measured"
SQLITE, LISTING = "sqlite", "listing"
TRACKED, TRACKED_UDP, RULES = "tracked", "tracked-udp", "rules"
TLS, SIP_TCP, FRAGMENTS, TUNNELS = "tls", "sip-tcp", "fragments", "tunnels"
LIVE, SCRAPED, FIGURES = "live", "scraped", "figures"
FIRST_LIVE = {LIVE: RATE, SCRAPED: RATE, FIGURES: HOST_RATE}  # packets/s, to HEP
POSTGRESQL, MARIADB, LIVE_SQLITE = "postgresql", "mariadb", "live-sqlite"
STORED = (SQLITE, POSTGRESQL, MARIADB)
JSONL, PCAP = "jsonl", "pcap"
SPOOL = "spool"
RELAY, TO_KAFKA, FROM_KAFKA = "relay", "to-kafka", "from-kafka"
RELAYED = (RELAY, TO_KAFKA, FROM_KAFKA)
FILES = {JSONL: "CAPTURE_AGENT_JSONL__1", PCAP: "CAPTURE_AGENT_PCAP__1"}  # how variables begin
WORKS = {
    HEP_TCP: "SIP/UDP -> HEP3/TCP",
    HEP_UDP: "SIP/UDP -> HEP3/UDP",
    TRACKED: "transactions and dialogs -> HEP3/TCP",
    TRACKED_UDP: "transactions and dialogs -> HEP3/UDP",
    RULES: "20 rules, dialog policy -> HEP3/TCP",
    MIXED: "SIP in RTP (1:9) -> HEP3/TCP",
    MEASURED: "SIP in measured RTP (1:9) -> HEP3/TCP",
    SIP_TCP: "SIP/TCP -> HEP3/TCP",
    TLS: "SIP/TLS 1.3 -> HEP3/TCP",
    FRAGMENTS: "SIP in fragments -> HEP3/TCP",
    TUNNELS: "SIP in tunnels -> HEP3/TCP",
    LIVE: f"SIP/UDP live, {RATE:,} packets/s -> HEP3/TCP",
    SCRAPED: "the same, scraped each second",
    FIGURES: f"the same, SIP counters and call figures, {HOST_RATE:,} packets/s",
    RELAY: "HEP3/TCP -> HEP3/TCP",
    TO_KAFKA: "HEP3/TCP -> Kafka",
    FROM_KAFKA: "Kafka -> HEP3/TCP",
    SQLITE: "SIP/UDP -> SQLite",
    LIVE_SQLITE: f"SIP/UDP live, {STORED_RATE:,} packets/s -> SQLite",
    POSTGRESQL: "SIP/UDP -> PostgreSQL",
    MARIADB: "SIP/UDP -> MariaDB",
    JSONL: "SIP/UDP -> JSON lines",
    PCAP: "SIP/UDP -> pcapng",
    SPOOL: "messages -> spool -> messages",
    LISTING: "SIP/UDP -> a list",
}
REPLAYS = {
    HEP_TCP: ("--hep", "hep+tcp:127.0.0.1:{port}"),
    HEP_UDP: ("--hep", "hep:127.0.0.1:{port}"),
    TRACKED: ("--hep", "hep+tcp:127.0.0.1:{port}", "--trace", "transaction"),
    TRACKED_UDP: ("--hep", "hep:127.0.0.1:{port}", "--trace", "transaction"),
    RULES: ("--hep", "hep+tcp:127.0.0.1:{port}", "--config", str(Path(__file__).with_name("rules.toml"))),
    **dict.fromkeys((MIXED, MEASURED), ("--hep", "hep+tcp:127.0.0.1:{port}")),
    SIP_TCP: ("--hep", "hep+tcp:127.0.0.1:{port}"),
    TLS: ("--hep", "hep+tcp:127.0.0.1:{port}", "--key-log", "{keys}"),
    FRAGMENTS: ("--hep", "hep+tcp:127.0.0.1:{port}"),
    TUNNELS: ("--hep", "hep+tcp:127.0.0.1:{port}"),
    **dict.fromkeys(STORED, ("--db", "{database}")),
    **dict.fromkeys(FILES, ()),
}
CARRIERS = {SIP_TCP: "tcp", TLS: "tls", FRAGMENTS: "fragments", TUNNELS: "tunnels"}
LISTED = [
    *("-e", "frame.time_epoch", "-e", "ip.src", "-e", "ip.dst"),
    *("-e", "sip.Method", "-e", "sip.Status-Code", "-e", "sip.CSeq", "-e", "sip.Call-ID"),
]
# No peer sends HEP over TCP. By default sngrep keeps 20,000 dialogs and forgets the rest; sipgrep prints the messages
# it sends (-m: also those without a dialog); tshark sends nothing, it lists.
PEER_COMMANDS = {
    "sngrep": (HEP_UDP, ("sngrep", "-N", "-q", "-F", "-l", "{sip}", "-I", "{capture}", "-H", "udp:127.0.0.1:{port}")),
    "sipgrep": (HEP_UDP, ("sipgrep", "-C", "-m", "-x", "-I", "{capture}", "-H", "udp:127.0.0.1:{port}")),
    "tshark": (LISTING, ("tshark", "-n", "-r", "{capture}", "-Y", "sip", "-T", "fields", *LISTED)),
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Messages in the captures. Slow programs get fewer: enough for a cost per message."""

    full: int = 500_000
    slow: int = 125_000
    mixed: int = 100_000
    slow_mixed: int = 25_000
    carried: int = 200_000
    slow_carried: int = 50_000
    slowest: int = 62_500
    at_host: int = 50_000  # longer than an ended call is remembered
    growing: tuple[int, ...] = (125_000, 250_000, 1_000_000)  # and `full`

    def divided(self, by: int) -> Sizes:
        return Sizes(
            full=self.full // by,
            slow=self.slow // by,
            mixed=self.mixed // by,
            slow_mixed=self.slow_mixed // by,
            carried=self.carried // by,
            slow_carried=self.slow_carried // by,
            slowest=self.slowest // by,
            at_host=self.at_host // by,
            growing=tuple(size // by for size in self.growing),
        )


@dataclass(frozen=True, slots=True)
class Case:
    work: str
    who: str
    capture: Capture
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.work}/{self.who}/{self.capture.sip}"


def file_variables(work: str) -> dict[str, str]:
    """The configuration of a sink that writes one file, if the work has one."""
    return {f"{FILES[work]}__FILE": "{file}", f"{FILES[work]}__ROTATE_MIB": "0"} if work in FILES else {}


def agent_cases(who: str, sizes: Sizes, servers: Collection[str]) -> list[Case]:
    """`servers`: the works whose database server is installed."""
    full, mixed, carried = sizes.full, sizes.mixed, sizes.carried
    if who == PLAIN:
        full, mixed, carried = sizes.slow, sizes.slow_mixed, sizes.slow_carried
    captures = {work: Capture(carried, carrier=carrier) for work, carrier in CARRIERS.items()}
    captures |= {MEASURED: Capture(mixed, RTP_PER_SIP, MEDIA)}
    captures |= {MIXED: Capture(mixed, RTP_PER_SIP), POSTGRESQL: Capture(carried), MARIADB: Capture(carried)}
    here = [work for work in REPLAYS if work not in (POSTGRESQL, MARIADB) or (work in servers and who == COMPILED)]
    environment = {} if who == COMPILED else {"CAPTURE_AGENT_PURE": "1"}
    cases = [
        Case(
            work,
            who,
            captures.get(work, Capture(full)),
            (AGENT, "replay", "{capture}", *sink),
            environment | file_variables(work) | ({"CAPTURE_AGENT_MEDIA__RTP": "all"} if work == MEASURED else {}),
        )
        for work, sink in REPLAYS.items()
        if work in here
    ]
    listing = (AGENT, "decode", "--format", "jsonl", "{capture}")
    return [*cases, Case(LISTING, who, Capture(sizes.slow), listing, environment)]


def live_cases(sizes: Sizes) -> list[Case]:
    """The first row from an interface, with the HTTP door, and with all figures; with one message the start-ups."""
    if not usable():
        return []
    command = (*agents_prefix("{namespace}"), AGENT, "run", "--interface", INTERFACE, *REPLAYS[HEP_TCP])
    door = ("--http", f"127.0.0.1:{METRICS_PORT}")
    figures = {"CAPTURE_AGENT_METRICS__SIP": "true", "CAPTURE_AGENT_METRICS__CALLS": "true"}
    cases = [
        Case(LIVE, COMPILED, Capture(sizes.full), (*command, "--control", "")),
        Case(SCRAPED, COMPILED, Capture(sizes.full), (*command, "--control", "", *door)),
        Case(FIGURES, COMPILED, Capture(sizes.at_host), (*command, "--control", "", *door), figures),
    ]
    stored = (*agents_prefix("{namespace}", alone=False), AGENT, "run", "--interface", INTERFACE, *REPLAYS[SQLITE])
    return [*cases, Case(LIVE_SQLITE, COMPILED, Capture(sizes.full), (*stored, "--control", ""))]


def listener(port: str) -> dict[str, str]:
    """It loses nothing: the limit waits for it."""
    return {"CAPTURE_AGENT_LISTEN__1__URI": f"hep+tcp:127.0.0.1:{port}", "CAPTURE_AGENT_LISTEN__1__WHEN_FULL": "wait"}


def kafka_sink(brokers: str) -> dict[str, str]:
    return {"CAPTURE_AGENT_KAFKA__1__BROKERS": brokers, "CAPTURE_AGENT_KAFKA__1__TOPIC": TOPIC}


def kafka_relay(brokers: str, port: str) -> dict[str, str]:
    return listener(port) | kafka_sink(brokers)


def kafka_worker(brokers: str, port: str) -> tuple[str, ...]:
    source = f"kafka:{brokers}/{TOPIC}?group={GROUP}"
    return "run", "--listen", source, "--hep", f"hep+tcp:127.0.0.1:{port}", "--control", ""


def relay_cases(sizes: Sizes) -> list[Case]:
    """What the limit sends goes through an agent; and through one that reads what another has written to a topic."""
    full, carried = Capture(sizes.full), Capture(sizes.carried)
    run, worker = (AGENT, "run", "--control", ""), (AGENT, *kafka_worker("{broker}", "{port}"))
    return [
        Case(RELAY, COMPILED, full, (*run, "--hep", "hep+tcp:127.0.0.1:{port}"), listener("{listen}")),
        Case(TO_KAFKA, COMPILED, carried, run, kafka_relay("{broker}", "{listen}")),
        Case(FROM_KAFKA, COMPILED, carried, worker),
    ]


def growing_cases(sizes: Sizes) -> list[Case]:
    """The first row with other captures, to check that the cost per message is the same."""
    command = (AGENT, "replay", "{capture}", *REPLAYS[HEP_TCP])
    return [Case(HEP_TCP, COMPILED, Capture(size), command) for size in sizes.growing]


def base_of(work: str) -> str | None:
    """The work without what this one has in addition: its cost is a ratio to that."""
    return {SCRAPED: LIVE}.get(work)


def limit_of(work: str) -> str:
    """The work whose limit applies to this one: following calls, and a relay, send the same bytes."""
    return {TRACKED: HEP_TCP, TRACKED_UDP: HEP_UDP, RELAY: HEP_TCP}.get(work, work)


def chosen(cases: list[Case], works: Collection[str]) -> list[Case]:
    """The cases of these works, with their limits and what they are compared with."""
    limits = {limit_of(work) for work in works}
    wanted = {*works, *map(base_of, works)}
    return [case for case in cases if case.work in wanted or (case.who in LIMITS and case.work in limits)]


def limit_cases(sizes: Sizes) -> list[Case]:
    captures = {HEP_TCP: Capture(sizes.full), HEP_UDP: Capture(sizes.full), MIXED: Capture(sizes.mixed, RTP_PER_SIP)}
    return [
        Case(work, LIMIT, capture, ("{limit}", "udp" if work == HEP_UDP else "tcp", "{port}", "{capture}"))
        for work, capture in captures.items()
    ]


def driver_cases(sizes: Sizes, servers: Collection[str]) -> list[Case]:
    """The driver alone, with the rows that a replay of the same capture has stored."""
    command = (sys.executable, str(Path(__file__).with_name("driver.py")), "{database}", "sip_trace", "{copied}")
    captures = {SQLITE: Capture(sizes.full)} | {work: Capture(sizes.carried) for work in servers}
    return [Case(work, DRIVER, capture, command) for work, capture in captures.items()]


def aead_cases(sizes: Sizes) -> list[Case]:
    """It reports its decryption itself."""
    command = (sys.executable, "-m", "benchmarks.aead", "{sip}")
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return [Case(TLS, AEAD, Capture(sizes.carried, carrier="tls"), command, environment)]


def spool_cases(sizes: Sizes) -> list[Case]:
    """The spool alone, and the disk with the same packets: they report what was measured themselves."""
    command = (sys.executable, "-m", "benchmarks.spooling", "--folder", "{folder}", "--capture", "{capture}")
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return [
        Case(SPOOL, who, Capture(sizes.carried), (*command, "--measure", who), environment)
        for who in (DISK, WRITTEN, DRAINED)
    ]


def installed_peers() -> list[str]:
    return [peer for peer in PEERS if shutil.which(peer)]


def peer_cases(peers: list[str], sizes: Sizes) -> list[Case]:
    capture = {peer: Capture(sizes.slowest if peer == "tshark" else sizes.slow) for peer in peers}
    return [Case(PEER_COMMANDS[peer][0], peer, capture[peer], PEER_COMMANDS[peer][1]) for peer in peers]


def all_cases(sizes: Sizes, peers: list[str], servers: Collection[str] = ()) -> list[Case]:
    """The cases in the order of each round: cases that are compared run one after the other."""
    cases = [
        *agent_cases(COMPILED, sizes, servers),
        *live_cases(sizes),
        *relay_cases(sizes),
        *limit_cases(sizes),
        *driver_cases(sizes, servers),
        *aead_cases(sizes),
        *spool_cases(sizes),
        *agent_cases(PLAIN, sizes, servers),
        *peer_cases(peers, sizes),
    ]
    return sorted(cases, key=lambda case: list(WORKS).index(case.work)) + growing_cases(sizes)
