"""A passive SIP capture agent. ARCHITECTURE.md is the map; pipeline.py is the data path."""

from capture_agent import build

build.choose()

__version__ = "0.1.0"
