"""Replays capture files and spools through an agent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from capture_agent.app.agent import Agent, OnBatch
from capture_agent.app.decryption import read_key_log, secrets_for
from capture_agent.delivery.spool.spool_or_capture import open_capture
from capture_agent.sources.pacing import Pace, Shift
from capture_agent.sources.source import SourceError


def replay(
    agent: Agent,
    paths: Sequence[str | Path],
    rounds: int = 1,
    pace: Pace | None = None,
    shift: Shift | None = None,
    on_batch: OnBatch | None = None,
    on_damage: Callable[[SourceError], None] | None = None,
) -> None:
    """Replay the capture files in order, `rounds` times; without a pace, as fast as possible. Raises SourceError.

    With `on_damage`, damage ends only the file it is in; a file that is not a capture at all still raises.
    """
    read_key_log(agent.config.tls, agent.pipeline)
    on_secrets = secrets_for(agent.pipeline)
    for round_number in range(rounds):
        if round_number:
            agent.begin_again()
            for timing in (pace, shift):
                if timing is not None:
                    timing.restart()
        for path in paths:
            if agent.stop.is_set() or agent.routes.failure:
                return
            agent.pipeline.begin()
            try:
                agent.drain([open_capture(path, agent.stop.is_set, on_secrets)], pace, on_batch, shift)
            except SourceError as error:
                if error.usage or on_damage is None:
                    raise
                on_damage(error)
