"""Other SIP servers: each traced message once more (siptrace's duplicate_uri).

sip_duplicate.py    the sink
exact_message.py    a copy that is exactly one message on a stream
x_headers_added.py  siptrace's header lines, which say where a message was captured
"""
