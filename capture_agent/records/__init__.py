"""One noun per stage.

sources ─Frames─▶ packet ─Datagram─▶ streams ─Datagram─▶ intake ─CapturedMessage─▶ correlate ─▶ policy
    ─TracedMessage─▶ emission ─▶ delivery ─▶ sinks

frames.py          (hot) Frames: a batch of captured frames, and the Interface where they were captured
datagram.py        (hot) Datagram: the payload of one packet; after `streams`, one complete candidate for a message
captured.py        (hot) CapturedMessage: a SIP message, its datagram, and what it belongs to; Origin: who sent it to us
kinds.py           what else can be traced: RTCP reports, log events, payloads that other agents sent; all kinds
dialog.py          (hot) Transaction and Dialog
traced.py          (hot) Trace: how something is traced; TracedMessage: a message under a trace
frame_building.py  wraps what a socket received in frames

The stages copy no bytes: each record points into the buffer that its source read (`data`, `start`, `end`), and a sink
copies the message once, into what it sends.
"""

from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames, Interface
from capture_agent.records.traced import Trace, TracedMessage

# For the sinks, sources and hooks of packages; this project's own modules import from where it is defined.
__all__ = ["CapturedMessage", "Datagram", "Direction", "Frames", "Interface", "Trace", "TracedMessage"]
