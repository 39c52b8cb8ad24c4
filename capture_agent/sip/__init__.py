"""Recognises SIP, and finds the parts of a message.

message.py   SipMessage: offsets of the commonly used parts; everything else is parsed on request
scan.py      the only pass over the bytes (hot): whether it is SIP, and the headers that every message needs
patterns.py  plain build: the scan's loops as regular expressions
plain_scan.py  plain build: the scan of ordinary messages
stranger.py  the kind of a payload that is not SIP (hot)
methods.py   the methods, as numbers (hot)
parameters.py  tags and branches in header values (hot)
lookup.py    one header's value without parsing the others (hot)
contacts.py  registrations: To, Contact and Expires (hot)
timer_values.py  times of SIP's timers
headers.py   header names, compact forms, values, on request
session_description.py  finds the SDP in a message
x_headers.py  siptrace's own headers in a duplicate
problems.py  kinds of payloads that are not SIP (Stranger), and faults of SIP messages (Problem)

No I/O, no clock, no capture_agent modules except these and hashing.
"""
