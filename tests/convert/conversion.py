"""The conversion of a kamailio.cfg as a configuration, with sinks at a test's ports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from capture_agent.config import Config, load
from capture_agent.convert import convert


def converted(case: Path, folder: Path, hep_port: int, sip_port: int, database: Path) -> Config:
    """`folder`: where the TOML is written."""
    (folder / "agent.toml").write_text(convert(case / "kamailio.cfg"))
    made = load(folder / "agent.toml")
    here = {"host": "127.0.0.1", "transport": "udp", "source": ""}
    return replace(
        made,
        hep=tuple(replace(target, port=hep_port, **here) for target in made.hep),
        sip=tuple(replace(target, port=sip_port, **here) for target in made.sip),
        sql=tuple(replace(target, url=f"sqlite:///{database}") for target in made.sql),
    )
