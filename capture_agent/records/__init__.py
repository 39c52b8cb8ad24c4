"""One noun per stage.

sources ─Frames─▶ packet ─Datagram─▶ streams ─Datagram─▶ intake ─CapturedMessage─▶ correlate ─▶ policy
    ─TracedMessage─▶ emission ─▶ delivery ─▶ sinks

frames.py          (hot) Frames: a batch of captured frames, and the Interface where they were captured
datagram.py        (hot) Datagram: the payload of one packet; after `streams`, one complete candidate for a message
captured.py        (hot) CapturedMessage: a SIP message, its datagram, transaction and dialog
dialog.py          (hot) Transaction and Dialog
traced.py          (hot) Trace: how something is traced; TracedMessage: a message under a trace
frame_building.py  wraps what a socket received in frames

The stages copy no bytes: each record points into the buffer that its source read (`data`, `start`, `end`), and a sink
copies the message once, into what it sends.
"""
