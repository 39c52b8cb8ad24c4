"""Other SIP servers: a copy of each traced message (siptrace's duplicate_uri).

sip_duplicate.py    the sink
exact_message.py    a copy that is exactly one message on a stream
x_headers_added.py  siptrace's headers, which say where a message was captured
"""
