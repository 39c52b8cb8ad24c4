"""One noun per stage.

sources ─Frames─▶ packet ─Datagram─▶ streams ─Datagram─▶ intake ─CapturedMessage─▶ correlate ─▶ policy
    ─TracedMessage─▶ emission ─▶ delivery ─▶ sinks

frames.py          (hot) Frames: a batch of captured frames, and the Interface where they were captured
datagram.py        (hot) Datagram: the payload of one packet; after `streams`, a complete candidate for a message
captured.py        (hot) CapturedMessage: a SIP message, its datagram, transaction and dialog
origin.py          (hot) Origin: who sent a message to us; Envelope: what a HEP packet says of its payload
kinds.py           other kinds of messages: RTCP reports, log events, payloads from other agents
dialog.py          (hot) Transaction and Dialog
call_key.py        (hot) what the messages of a call have in common
traced.py          (hot) Trace: how something is traced; TracedMessage: a message under a trace
message_fields.py  the fields of a message as a JSON object
message_filter.py  the filter language over a message
frame_building.py  wraps data from sockets in frames

The stages copy no bytes: each record points into the buffer that its source read (`data`, `start`, `end`), and a sink
copies the message once, into its output.
"""

from capture_agent.records.captured import CapturedMessage, Direction
from capture_agent.records.datagram import Datagram
from capture_agent.records.frames import Frames, Interface
from capture_agent.records.traced import Trace, TracedMessage

# For sinks, sources and hooks of packages; this project's own modules import from the defining module.
__all__ = ["CapturedMessage", "Datagram", "Direction", "Frames", "Interface", "Trace", "TracedMessage"]
