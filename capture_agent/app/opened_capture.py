"""One capture file with the pipeline that reads it, for commands and programs that show messages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from capture_agent.config.media_options import MediaSection

if TYPE_CHECKING:
    from capture_agent.config import Config
    from capture_agent.pipeline import Pipeline
    from capture_agent.sources.source import Source

MEASURED = MediaSection(rtp="all")


@contextmanager
def opened(
    config: Config, path: str, keeps_frames: bool = False, with_streams: bool = False
) -> Iterator[tuple[Source, Pipeline]]:
    """The source and its pipeline, with the configured keys. `keeps_frames`: each message has the captured ones.

    `with_streams`: RTP is measured. Raises SourceError: this is no capture file.
    """
    from capture_agent.app.decryption import key_store, read_key_log, secrets_for
    from capture_agent.delivery.spool.spool_or_capture import open_capture
    from capture_agent.pipeline import Pipeline

    pipeline = Pipeline(config.capture, keys=key_store(config.tls), media=MEASURED if with_streams else None)
    read_key_log(config.tls, pipeline)
    pipeline.packets.keeps_frames = keeps_frames
    source = open_capture(path, on_secrets=secrets_for(pipeline))
    try:
        yield source, pipeline
    finally:
        source.close()
