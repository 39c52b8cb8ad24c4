"""What can be configured: a dataclass for each section of the file. docs/configuration.md explains it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.advertised import Advertise
from capture_agent.config.local import AUTO, Local
from capture_agent.config.targets import HepTarget, SipTarget, SqlTarget, Target


@dataclass(frozen=True, slots=True)
class Capture:
    """Where packets come from."""

    interfaces: tuple[Annotated[str, MinLen(1)], ...] = ()
    filter: str = ""  # BPF, as tcpdump takes it
    snapshot_length: Annotated[int, Interval(ge=68, le=262144)] = 262144  # bytes of a packet: all of the longest
    promiscuous: bool = True
    buffer_mib: Annotated[int, Interval(ge=1, le=2047)] = 16  # the kernel's, for each interface
    local: tuple[Local, ...] = (AUTO,)
    esp_null: bool = False  # look into ESP for packets without encryption


@dataclass(frozen=True, slots=True)
class Trace:
    """What is traced."""

    on: bool = True
    mode: Literal["message"] = "message"
    advertise: tuple[Advertise, ...] = ()

    def __post_init__(self) -> None:
        real = [str(one).partition("=")[0] for one in self.advertise]
        if twice := next((one for one in real if real.count(one) > 1), ""):
            raise ValueError(f"advertise: {twice} stands there twice")


Mask = Literal["authorization", "sdes", "message-body", "users:hash", "users:truncate"]


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is hidden in everything that is traced."""

    mask: tuple[Mask, ...] = ()
    hash_key: str = field(default="", repr=False)  # a secret: who has it can tell whether a hash is a user's

    def __post_init__(self) -> None:
        if "users:hash" in self.mask and "users:truncate" in self.mask:
            raise ValueError("mask: users:hash and users:truncate exclude each other")
        if "users:hash" in self.mask and not self.hash_key:
            raise ValueError("mask: users:hash needs a hash_key or hash_key_file")


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue before each sink."""

    messages: Annotated[int, Interval(ge=1, le=100_000_000)] = 100_000
    drain_seconds: Annotated[float, Interval(ge=0, le=3600)] = 5.0


@dataclass(frozen=True, slots=True)
class Log:
    """What the agent says about itself."""

    level: Literal["debug", "info", "warning", "error"] = "info"


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. Config() holds the documented defaults."""

    capture: Capture = field(default_factory=Capture)
    trace: Trace = field(default_factory=Trace)
    hep: tuple[HepTarget, ...] = ()
    sip: tuple[SipTarget, ...] = ()
    sql: tuple[SqlTarget, ...] = ()
    privacy: Privacy = field(default_factory=Privacy)
    queue: Queue = field(default_factory=Queue)
    log: Log = field(default_factory=Log)

    def targets(self) -> list[Target]:
        """Every sink's, in the order that the bits of Trace.sinks have."""
        return [*self.hep, *self.sip, *self.sql]

    def hep_sinks(self) -> int:
        """The bits of the HEP collectors that get what no rule sends elsewhere: log events go there."""
        return sum(1 << bit for bit, target in enumerate(self.hep) if target.default)

    def default_sinks(self) -> int:
        """The bits of the sinks that get what no rule sends elsewhere."""
        return sum(1 << bit for bit, target in enumerate(self.targets()) if target.default)
