"""A passive SIP capture agent. ARCHITECTURE.md is the map; pipeline.py is the data path; docs/library.md: programs."""

from typing import TYPE_CHECKING, Any

from capture_agent import build

if TYPE_CHECKING:
    from capture_agent.library import read as read

build.choose()

__version__ = "0.1.0"
__all__ = ["read"]


def __getattr__(name: str) -> Any:
    """`read`, imported when somebody asks: the agent itself starts without it."""
    if name == "read":
        from capture_agent.library import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
