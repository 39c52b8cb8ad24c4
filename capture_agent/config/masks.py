"""What a mask can hide in a traced message: for all messages ([privacy]) or for those of a rule."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

Mask = Literal["authorization", "sdes", "message-body", "users:hash", "users:truncate"]
HASH, TRUNCATE = "users:hash", "users:truncate"


def check_masks(masks: Collection[str]) -> None:
    """Raises ValueError."""
    if HASH in masks and TRUNCATE in masks:
        raise ValueError(f"mask: {HASH} and {TRUNCATE} exclude each other")


def joined(masks: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Those of [privacy], and a rule's; for the users a rule may ask for the other mask."""
    if more and {HASH, TRUNCATE} <= {*masks, *more}:
        masks = tuple(one for one in masks if one not in (HASH, TRUNCATE))
    return tuple(dict.fromkeys((*masks, *more)))
