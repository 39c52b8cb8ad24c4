"""[[group]]: several sinks under one name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval, MinLen

from capture_agent.config.field_types import SingleOrList

GroupMode = Literal["mirror", "failover", "hash"]
BACK_AFTER_SECONDS = 30.0
LONGEST_SEED = 64  # bytes: the longest key of BLAKE2b


@dataclass(frozen=True, slots=True)
class Group:
    """Rules name it like a sink. Which of its members gets a message is decided when the message is handed over."""

    name: Annotated[str, MinLen(1)]
    mode: GroupMode
    members: Annotated[tuple[str, ...], SingleOrList()] = ()  # names or URIs of sinks, the preferred one first
    key: Literal["call_id", "leg"] = "call_id"  # hash: what is hashed
    seed: str = ""  # hash: the same on all agents
    back_after_seconds: Annotated[float, Interval(ge=0, le=86_400)] = (
        BACK_AFTER_SECONDS  # that a member must be up again
    )
    default: bool = True  # gets messages for which no rule names sinks

    def __post_init__(self) -> None:
        if (size := len(self.seed.encode(errors="surrogatepass"))) > LONGEST_SEED:
            raise ValueError(f"seed: {size} bytes, expected at most {LONGEST_SEED}")
        if self.mode != "hash" and (self.seed or self.key != "call_id"):
            raise ValueError(f'{"seed" if self.seed else "key"}: for mode = "hash" only, not "{self.mode}"')
        if self.mode == "mirror" and self.back_after_seconds != BACK_AFTER_SECONDS:
            raise ValueError('back_after_seconds: not for mode = "mirror", whose members get every message')
