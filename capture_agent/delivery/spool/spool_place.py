"""Which file of the directory is a sink's."""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import sha256
from pathlib import Path

LABEL_CHARACTERS = 60


def spool_path(directory: str, name: str, taken: Container[Path]) -> Path:
    """`name`: the sink's, which has no secret. Its readable part may be alike for two sinks; the digest is not.

    Of several sinks of one name, each gets a file of its own: one that is not in `taken`.
    """
    label = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:LABEL_CHARACTERS]
    number = 1
    while True:
        digest = sha256(f"{name} #{number}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        path = Path(directory) / f"{label}-{digest}.spool"
        if path not in taken:
            return path
        number += 1
