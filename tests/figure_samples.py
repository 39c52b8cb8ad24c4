"""AgentFigures in which every metric has a sample, and the text of a scrape taken apart."""

from __future__ import annotations

import re
from collections.abc import Iterable

from capture_agent.books import HeldTable, Ledger
from capture_agent.delivery.standing import BATCH_SECONDS, LAG_SECONDS, SpoolStanding, Standing
from capture_agent.histogram import Distribution, Histogram
from capture_agent.metrics.figures import (
    About,
    AgentFigures,
    GroupFigures,
    GuardFigures,
    Reloaded,
    RuleFigures,
    SinkFigures,
    SourceFigures,
)
from capture_agent.metrics.media_families import MEDIA_FAMILIES
from capture_agent.metrics.metric_family import HISTOGRAM
from capture_agent.metrics.sip_families import SIP_FAMILIES

ABOUT = About("1.2", "compiled", "3.11.7", 1000.0, "edge", 2001, "u-u-i-d")


def standing(up: bool = True, queue_bytes: int = 0, oldest: float = 0.0, reconnects: int = 0) -> Standing:
    lag, batch = Histogram(LAG_SECONDS), Histogram(BATCH_SECONDS)
    lag.observe(0.004, 3)
    batch.observe(0.5)
    return Standing(queue_bytes, oldest, up, reconnects, lag.now(), batch.now(), SpoolStanding(3, 4096, 1.5, 1 << 30))


def sink(name: str = "hep:h:9060", kind: str = "hep", up: bool = True, lost: int = 0, waiting: int = 0) -> SinkFigures:
    ledger = Ledger(name, 7 + lost + waiting, {"sent": 7, "waiting": waiting}, {}, {"queue_full": lost} if lost else {})
    place = ("h:9060", "tcp") if kind == "hep" else ("", "")
    return SinkFigures(name, kind, ledger, standing(up, 100 * waiting), *place)


def source(name: str = "eth0", up: bool = True, quiet: float = 0.0, sip_quiet: float | None = None) -> SourceFigures:
    return SourceFigures(name, 10, 1000, {"kernel": 2}, up, quiet, sip_quiet)


LEDGERS = (
    Ledger("frames", 12, {"carried": 9, "waiting": 1}, {"not_ip": 0}, {"kernel": 2}),
    Ledger("segments", 3, {"delivered": 2, "waiting": 1}),
    Ledger("hep", 3, {"sip": 1, "rtcp_json": 1}, {"auth_key": 1}),
    Ledger("websocket", 1, {"delivered": 1}),
    Ledger("tls", 1, {"decrypted": 1}),
    Ledger("chunks", 1, {"joined": 1}),
    Ledger("rtcp", 2, {"traced": 1}, {"unannounced": 1}),
    Ledger("rtp", 3, {"measured": 2}, {"unannounced": 1}),
    Ledger("messages", 9, {"traced": 5, "not_traced": 1, "duplicate": 1}, {"rtp": 1, "stun": 1}),
    Ledger("correlation", 5, {"new": 4, "retransmitted": 1}),
    Ledger("calls", 3, {"over": 1, "held": 2}, {}, {"evicted": 0}),
    Ledger("transactions", 3, {"over": 1, "held": 2}),
    Ledger("dialogs", 1, {"over": 0, "held": 1}),
    Ledger("condition c", 2, {"true": 1, "false": 1}),
    Ledger("hook h.py", 2, {"passed": 1}, {"KeyError": 1}),
    Ledger("hook h.py", 1, {"passed": 1}),
)

ONE_DURATION = Distribution((0.5, 1.0), (1, 0, 0), 0.25)
COUNTED = {
    family.name: {family.labels: ONE_DURATION if family.kind == HISTOGRAM else 1}
    for family in (*SIP_FAMILIES, *MEDIA_FAMILIES)
}


def figures(ledgers: Iterable[Ledger] = LEDGERS, sinks: Iterable[SinkFigures] = (sink(),)) -> AgentFigures:
    return AgentFigures(
        about=ABOUT,
        now=8230.5,
        tracing=True,
        reloaded=Reloaded(True, 1000.0),
        ledgers=list(ledgers),
        problems={"no_via": 1},
        streams={"gaps": 1, "lost_bytes": 30},
        tables=[HeldTable("fragments", 1, 4), HeldTable("segments", 1)],
        rules=[RuleFigures("rule 1", "dialog", 2)],
        guards=[GuardFigures("condition", "c", False), GuardFigures("hook", "h.py", True), GuardFigures("hook", "h.py", False)],
        sources=[source()],
        sinks=list(sinks),
        groups=[GroupFigures("homers", "failover", True, {"hep:h:9060": True, "hep:i:9060": False})],
        counted=COUNTED,
    )  # fmt: skip


def messages_of_sink(text: str) -> dict[str, int]:
    """What became of the messages for the only sink of a scrape, by outcome or reason, and how many wait."""
    outcomes = re.findall(
        r'^capture_agent_sink_messages_total\{outcome="(.*?)",reason="(.*?)",.*?\} ([0-9.]+)$', text, re.MULTILINE
    )
    found = {reason or outcome: int(float(value)) for outcome, reason, value in outcomes if float(value)}
    waiting = re.findall(r"^capture_agent_sink_queue_messages\{.*?\} ([0-9.]+)$", text, re.MULTILINE)
    return found | {"waiting": int(float(waiting[0]))}
